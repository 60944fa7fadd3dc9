// Shared lists: several encoders write the same lists, each to nghttp2's decoder of its own. What one encoder has
// written for a list is used again by every encoder with the same past, so pasts part and meet here: table sizes
// change, lists are written and forgotten, records lose their index to others, connections begin anew.
//
// The input is a list of commands of one octet each, with operands.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "h2/block_cache.h"
#include "h2/hpack_encoder.h"
#include "hpack_oracle.h"
#include "input.h"

namespace ringway::h2 {
namespace {

// An encoder and the peer that reads it.
struct Writer {
  HpackEncoder encoder;
  Inflater inflater;
};

class SharingDriver {
 public:
  explicit SharingDriver(std::span<const uint8_t> input)
      : input_(input), interner_(1, 200 + take() * 100u), cache_(interner_) {
    for (auto& writer : writers_) writer = std::make_unique<Writer>();
  }

  ~SharingDriver() { forget_lists(); }

  void run() {
    while (!input_.empty()) step(take());
  }

 private:
  static constexpr uint32_t kWriters = 4;
  static constexpr size_t kHeldMax = 100;
  static constexpr uint64_t kDecoderState = 1;

  uint8_t take() { return take_octet(input_); }

  Writer& any_writer(uint8_t choice) { return *writers_[choice % kWriters]; }

  // Each command is one receive call: what nobody holds by then may go.
  void step(uint8_t command) {
    cache_.begin_epoch();
    interner_.begin_epoch();
    switch (command % 16) {
      default: write_shared(any_writer(command / 16), take()); break;
      case 8:
      case 9: write_fields(any_writer(command / 16), take()); break;
      case 10: write_everywhere(take()); break;
      case 11: change_table_size(any_writer(command / 16)); break;
      case 12: writers_[command / 16 % kWriters] = std::make_unique<Writer>(); break;
      case 13: forget_lists(); break;
      case 14: cache_.clear(); break;
    }
  }

  // The octets are those of a block behind the end of its frame's header.
  SharedList* list_of(uint8_t choice) {
    const uint8_t framed[10] = {0, 0, 0, 0, 0, 0, 0, 0, 0xbe, choice};
    const std::span<const uint8_t> block(framed + 8, 2);
    if (SharedList* const known = cache_.find(kDecoderState, block, MessageKind::kRequest)) return known;
    std::vector<Field> fields;
    for (uint32_t count = 1 + choice % 5; count-- != 0;) add_record(fields, take());
    if (!fields.empty()) cache_.store(kDecoderState, block, MessageKind::kRequest, fields, {});
    for (const Field& field : fields) release(*field.record);
    return cache_.find(kDecoderState, block, MessageKind::kRequest);
  }

  void release(FieldRecord& record) {
    if (record.static_index == 0) interner_.release(record);
  }

  // Sixty-four names with few values each, so that lists have fields in common.
  void add_record(std::vector<Field>& fields, uint8_t choice) {
    const std::string name = "n" + std::to_string(choice % 64);
    const std::string value(choice / 64 == 3 ? size_t{take()} * 3 : choice / 16, static_cast<char>('a' + choice % 4));
    FieldRecord* record =
        choice % 32 == 0 ? interner_.static_record(1 + choice / 32 * 7)
                         : interner_.intern(name, KnownName::kNone, value, choice % 16 == 9 ? kFieldNeverIndex : 0);
    // As a connection does it: lists that nobody holds give up their records, and these their index.
    if (record == nullptr) return cache_.clear();
    Field& field = fields.emplace_back();
    field = {};
    field.record = record;
    field.known = record->known;
    field.flags = record->flags;
  }

  void write_shared(Writer& writer, uint8_t choice) {
    SharedList* const list = list_of(choice);
    if (list == nullptr) return;
    write_list(writer, *list);
    if (choice % 3 != 0 || held_.size() == kHeldMax) return;
    BlockCache::retain(*list);
    held_.push_back(list);
  }

  void write_everywhere(uint8_t choice) {
    SharedList* const list = list_of(choice);
    if (list == nullptr) return;
    for (const auto& writer : writers_) write_list(*writer, *list);
  }

  // As Connection::send_headers() does it.
  void write_list(Writer& writer, SharedList& list) {
    const PlainList expected = plain({list.fields, list.count});
    if (const SharedList::Encoded* const encoded = writer.encoder.encode_as_before(list)) {
      return check(writer, {reinterpret_cast<const char*>(encoded->octets), encoded->size}, expected);
    }
    writer.encoder.begin_block(out_, pool_);
    writer.encoder.encode_shared(list, out_, pool_);
    check_output(writer, expected);
  }

  // A list of its own: one literal and some records.
  void write_fields(Writer& writer, uint8_t choice) {
    const std::string value(choice, 'v');
    std::vector<Field> fields = {make_field("x-literal", KnownName::kNone, value)};
    for (uint32_t count = choice % 4; count-- != 0;) add_record(fields, take());
    writer.encoder.begin_block(out_, pool_);
    writer.encoder.encode_all(fields, out_, pool_);
    check_output(writer, plain(fields));
    for (const Field& field : fields) {
      if (field.record != nullptr) release(*field.record);
    }
  }

  void check_output(Writer& writer, const PlainList& expected) {
    const std::string block(reinterpret_cast<const char*>(out_.data()), out_.size());
    out_.release(pool_);
    check(writer, block, expected);
  }

  static void check(Writer& writer, std::string_view block, const PlainList& expected) {
    const auto list = writer.inflater.decode(block);
    require(list.has_value(), "nghttp2 rejects the block");
    require(*list == expected, "nghttp2 reads something else");
    require(writer.encoder.table_bytes() <= kTableSizeDefault, "the table is larger than it may be");
  }

  void change_table_size(Writer& writer) {
    for (uint32_t count = 1 + take() % 3; count-- != 0;) {
      // Few sizes, so that encoders come to the same one.
      const uint32_t size = take() % 8 * 700u;
      writer.encoder.set_peer_table_size(size);
      writer.inflater.change_table_size(size);
    }
  }

  void forget_lists() {
    for (SharedList* list : held_) cache_.release(*list);
    held_.clear();
  }

  std::span<const uint8_t> input_;
  FieldInterner interner_;
  BlockCache cache_;
  base::BlockPool pool_;
  base::ByteQueue out_;
  std::unique_ptr<Writer> writers_[kWriters];
  std::vector<SharedList*> held_;
};

}  // namespace
}  // namespace ringway::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringway::h2::SharingDriver({data, size}).run();
  return 0;
}
