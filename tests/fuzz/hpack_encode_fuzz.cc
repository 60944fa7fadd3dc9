// HPACK encoding: lists that mix records and literals, with the peer's table size changing in between, must come out of
// nghttp2's decoder as they went in.
//
// The input is a list of commands of one octet each, with operands.
#include <cstdlib>
#include <memory>

#include "h2/hpack_decoder.h"
#include "h2/hpack_encoder.h"
#include "hpack_oracle.h"
#include "input.h"

namespace ringway::h2 {
namespace {

class EncodeDriver {
 public:
  explicit EncodeDriver(std::span<const uint8_t> input) : input_(input), interner_(1, 1 + take() * 100u) {}

  void run() {
    encoder_.begin_block(out_, pool_);
    while (!input_.empty()) step(take());
    end_block();
    for (FieldRecord* record : held_) interner_.release(*record);
  }

 private:
  uint8_t take() { return take_octet(input_); }

  std::string text(size_t size) {
    std::string result;
    while (size-- != 0 && !input_.empty()) result.push_back(static_cast<char>(take()));
    return result;
  }

  void step(uint8_t command) {
    switch (command % 6) {
      case 0:
      case 1: add_record(take()); break;
      case 2: add_literal(take()); break;
      case 3:
        end_block();
        encoder_.begin_block(out_, pool_);
        break;
      case 4: change_table_size(); break;
      default: forget_records(); break;
    }
  }

  // Sixty-four names with few values each: enough repetition for the table to matter.
  void add_record(uint8_t choice) {
    const std::string name = "n" + std::to_string(choice % 64);
    std::string value(choice / 64 == 3 ? size_t{take()} * 3 : choice / 16, static_cast<char>('a' + choice % 4));
    FieldRecord* record =
        choice == 0 ? interner_.static_record(1 + take() % kStaticTableSize)
                    : interner_.intern(name, KnownName::kNone, value, choice % 16 == 9 ? kFieldNeverIndex : 0);
    if (record == nullptr) return;
    if (record->static_index == 0) held_.push_back(record);
    Field field{};
    field.record = record;
    field.known = record->known;
    field.flags = record->flags;
    add(field);
  }

  void add_literal(uint8_t choice) {
    texts_.push_back(std::make_unique<std::string>(text(choice % 32)));
    const std::string& value = *texts_.back();
    Field field = make_field(choice & 32 ? "x-name" : "user-agent",
                             choice & 32 ? KnownName::kNone : KnownName::kUserAgent, value);
    if (choice & 64) field.flags |= kFieldNeverIndex;
    if (choice & 128) {
      // As it came from a peer that codes.
      texts_.push_back(std::make_unique<std::string>(hpack_string(value, true)));
      field.wire_value = reinterpret_cast<const uint8_t*>(texts_.back()->data());
      field.wire_size = static_cast<uint32_t>(texts_.back()->size());
    }
    add(field);
  }

  void add(const Field& field) {
    encoder_.encode(field, out_, pool_);
    expected_.push_back(plain({&field, 1})[0]);
  }

  void end_block() {
    const std::string block(reinterpret_cast<const char*>(out_.data()), out_.size());
    out_.release(pool_);
    const auto list = inflater_.decode(block);
    require(list.has_value(), "nghttp2 rejects the block");
    require(*list == expected_, "nghttp2 reads something else");
    require(encoder_.table_bytes() <= kTableSizeDefault, "the table is larger than it may be");
    expected_.clear();
    texts_.clear();
  }

  // SETTINGS arrive between two blocks.
  void change_table_size() {
    end_block();
    for (uint32_t count = 1 + take() % 3; count-- != 0;) {
      const uint32_t size = take() * 24u;
      encoder_.set_peer_table_size(size);
      inflater_.change_table_size(size);
    }
    encoder_.begin_block(out_, pool_);
  }

  // The records become idle and may be replaced by others under the same index.
  void forget_records() {
    for (FieldRecord* record : held_) interner_.release(*record);
    held_.clear();
    interner_.begin_epoch();
  }

  std::span<const uint8_t> input_;
  FieldInterner interner_;
  base::BlockPool pool_;
  base::ByteQueue out_;
  HpackEncoder encoder_;
  Inflater inflater_;
  PlainList expected_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<FieldRecord*> held_;
};

}  // namespace
}  // namespace ringway::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringway::h2::EncodeDriver({data, size}).run();
  return 0;
}
