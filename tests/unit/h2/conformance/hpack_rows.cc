// RFC 7541: what cannot be decoded is a connection error COMPRESSION_ERROR (RFC 9113 section 4.3), however good the
// message around it.
#include "rows.h"

namespace ringway::h2::conformance {
namespace {

constexpr auto kBad = connection_error(ErrorCode::kCompressionError);

// Blocks that follow each other on streams of their own; `parts` stand behind the fields of a good message.
class Blocks {
 public:
  Blocks(std::vector<Row>& rows, std::string section, Role role)
      : add_(rows, "7541 " + std::move(section), role), role_(role) {}

  void operator()(const std::string& title, const std::vector<std::string>& parts, Expected expected) {
    std::string bytes;
    for (size_t i = 0; i < parts.size(); ++i) bytes += wire::headers(id(i), message_block(role_) + parts[i], true);
    add_(title, bytes, expected);
  }
  // `front` comes first in the block.
  void in_front(const std::string& title, const std::string& front, Expected expected) {
    add_(title, wire::headers(id(0), front + message_block(role_), true), expected);
  }

 private:
  uint32_t id(size_t i) const {
    static constexpr uint32_t kClientIds[] = {kOpen, kAnswered, kLast};
    return role_ == Role::kServer ? kIdle + 2 * static_cast<uint32_t>(i) : kClientIds[i];
  }

  Section add_;
  Role role_;
};

std::string index_of(uint64_t index) {
  return hpack_integer(0x80, 7, index);
}
std::string size_update(uint64_t size) {
  return hpack_integer(0x20, 5, size);
}
const std::string kInserted = hpack_literal(kLiteralIncremental, "x-kept", "v");

void add_tables(std::vector<Row>& rows, Role role) {
  Blocks indexes(rows, "2.3.3", role);
  indexes("index 0", {index_of(0)}, kBad);
  indexes("the last of the static table", {index_of(61)}, kAccepted);
  indexes("the first of an empty dynamic table", {index_of(62)}, kBad);
  indexes("the first of the dynamic table", {kInserted, index_of(62)}, kAccepted);
  indexes("the first of the dynamic table, in the same block", {kInserted + index_of(62)}, kAccepted);
  indexes("one beyond the dynamic table", {kInserted, index_of(63)}, kBad);
  indexes("far beyond the dynamic table", {index_of(1'000'000)}, kBad);
  indexes("the largest index", {index_of((1u << 28) - 1)}, kBad);
  indexes("a literal with a name one beyond the table", {hpack_integer(0x40, 6, 62) + hpack_string("v")}, kBad);
  indexes("a literal without indexing with a name one beyond", {hpack_integer(0x00, 4, 62) + hpack_string("v")}, kBad);
  indexes("a literal never indexed with a name one beyond", {hpack_integer(0x10, 4, 62) + hpack_string("v")}, kBad);
  indexes("a literal with a name of the dynamic table", {kInserted, hpack_integer(0x40, 6, 62) + hpack_string("w")},
          kAccepted);
  Blocks sizes(rows, "4.2", role);
  sizes.in_front("a size update first", size_update(100), kAccepted);
  sizes.in_front("a size update to 0", size_update(0), kAccepted);
  sizes.in_front("a size update to 4096", size_update(4096), kAccepted);
  sizes.in_front("two size updates first", size_update(0) + size_update(4096), kAccepted);
  sizes("a size update behind a field", {size_update(100)}, kBad);
  sizes("a size update between fields", {size_update(100) + index_of(15)}, kBad);
  sizes("a size update behind a literal", {hpack_literal(kLiteralPlain, "a", "b") + size_update(0)}, kBad);
  Blocks evictions(rows, "4.3", role);
  const std::string empty_block = size_update(0) + size_update(4096);
  Section raw_blocks(rows, "7541 4.3", role);
  const uint32_t first = role == Role::kServer ? kIdle : kOpen;
  const uint32_t second = role == Role::kServer ? kIdle + 2 : kLast;
  raw_blocks("a size update evicts",
             wire::headers(first, message_block(role) + kInserted, true) +
                 wire::headers(second, empty_block + message_block(role) + index_of(62), true),
             kBad);
  evictions("an entry larger than the table empties it",
            {kInserted, hpack_literal(kLiteralIncremental, "n", octets(5000)), index_of(62)}, kBad);
  evictions("an entry as large as the table stays",
            {hpack_literal(kLiteralIncremental, "n", octets(4096 - 33)), index_of(62)}, kAccepted);
  evictions("an entry one octet too large does not",
            {hpack_literal(kLiteralIncremental, "n", octets(4096 - 32)), index_of(62)}, kBad);
  evictions("the oldest goes first",
            {kInserted, hpack_literal(kLiteralIncremental, "n", octets(4096 - 33 - 38)), index_of(63)}, kBad);
}

void add_primitives(std::vector<Row>& rows, Role role) {
  Blocks integers(rows, "5.1", role);
  integers("an index cut behind its prefix", {"\xff"}, kBad);
  integers("an index cut in the middle", {"\xff\x80"}, kBad);
  integers("an index of six octets", {from_hex("ff 80 80 80 80 00")}, kBad);
  integers("an index of eleven octets", {from_hex("ff ff ff ff ff ff ff ff ff ff 01")}, kBad);
  integers("an index that wraps 32 bits to a good one", {from_hex("ff 81 ff ff ff 0f")}, kBad);
  integers("superfluous zeros within the limit", {from_hex("0f 80 80 00 00")}, kAccepted);
  integers("a string length cut behind its prefix", {from_hex("00 01 61 7f")}, kBad);
  integers("a string length that wraps 32 bits", {from_hex("00 01 61 7f 82 ff ff ff 0f 61 62")}, kBad);
  integers("a size update that wraps 32 bits", {from_hex("3f e1 ff ff ff 0f")}, kBad);
  Blocks strings(rows, "5.2", role);
  const std::string name = from_hex("00 01 61");
  strings("a name longer than the block", {from_hex("00 05 61 62")}, kBad);
  strings("a value longer than the block", {name + from_hex("05 61")}, kBad);
  strings("no value", {name}, kBad);
  strings("no name", {from_hex("40")}, kBad);
  strings("an empty value", {name + from_hex("00")}, kAccepted);
  strings("Huffman, no padding", {name + from_hex("85") + huffman_encode("00000000")}, kAccepted);
  strings("Huffman, padding of 3 bits", {name + hpack_string("0", true)}, kAccepted);
  strings("Huffman, padding of 7 bits", {name + hpack_string("00000", true)}, kAccepted);
  strings("Huffman, padding of zeros", {name + from_hex("81 00")}, kBad);
  strings("Huffman, padding of 8 bits", {name + from_hex("82 07 ff")}, kBad);
  strings("Huffman, padding of 11 bits", {name + from_hex("82 07 ff ff")}, kBad);
  strings("Huffman, padding alone", {name + from_hex("81 ff")}, kBad);
  strings("Huffman, EOS", {name + from_hex("84 ff ff ff ff")}, kBad);
  strings("Huffman, EOS behind an octet", {name + from_hex("85 07 ff ff ff ff")}, kBad);
  strings("Huffman, a code that is cut", {name + from_hex("81 fe")}, kBad);
  strings("Huffman, EOS in a name", {from_hex("00 84 ff ff ff ff 01 61")}, kBad);
  strings("Huffman, padding of 8 bits in a name", {from_hex("00 82 07 ff 01 61")}, kBad);
}

void add_representations(std::vector<Row>& rows, Role role) {
  Blocks fields(rows, "6.2", role);
  fields("a literal with indexing", {kInserted}, kAccepted);
  fields("a literal without indexing is not in the table", {hpack_literal(kLiteralPlain, "a", "b"), index_of(62)},
         kBad);
  fields("a literal never indexed is not in the table", {hpack_literal(kLiteralNever, "a", "b"), index_of(62)}, kBad);
  fields("a literal with a name of the static table", {hpack_integer(0x40, 6, 58) + hpack_string("u")}, kAccepted);
  fields("a literal cut behind its first octet", {"\x40"}, kBad);
  fields("a literal cut behind its name", {from_hex("40 01 61")}, kBad);
  Blocks updates(rows, "6.3", role);
  updates.in_front("a size update to 4097", size_update(4097), kBad);
  updates.in_front("a size update to 65536", size_update(65'536), kBad);
  Section cut(rows, "7541 6.3", role);
  cut("a size update without its number", wire::headers(role == Role::kServer ? kIdle : kOpen, "\x3f", true), kBad);
}

}  // namespace

void add_hpack(std::vector<Row>& rows, Role role) {
  add_tables(rows, role);
  add_primitives(rows, role);
  add_representations(rows, role);
}

}  // namespace ringway::h2::conformance
