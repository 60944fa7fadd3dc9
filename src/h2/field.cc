#include "h2/field.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"
#include "base/copy.h"
#include "h2/huffman.h"

namespace ringway::h2 {
namespace {

uint64_t load_up_to_8(const char* p, size_t size) noexcept {
  uint64_t word = 0;
  std::memcpy(&word, p, size);
  return word;
}

uint64_t fold(uint64_t a, uint64_t b) noexcept {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_octets(std::string_view octets, uint64_t state) noexcept {
  constexpr uint64_t kMultiplier = 0xa0761d6478bd642f;
  const char* p = octets.data();
  size_t left = octets.size();
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, p, sizeof word);
    state = fold(state ^ word, kMultiplier);
  }
  return fold(state ^ load_up_to_8(p, left) ^ (uint64_t{octets.size()} << 56), kMultiplier ^ state);
}

constexpr std::array<bool, 256> make_name_octets() noexcept {
  std::array<bool, 256> allowed{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) allowed[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    allowed[static_cast<unsigned char>(c)] = true;
  }
  return allowed;
}

constexpr std::array<bool, 256> kNameOctets = make_name_octets();

constexpr std::array<bool, 256> make_authority_octets() noexcept {
  std::array<bool, 256> allowed{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) allowed[c] = allowed[c - 'a' + 'A'] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (const char c :
       {'-', '.', '_', '~', '%', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', ':', '[', ']'}) {
    allowed[static_cast<unsigned char>(c)] = true;
  }
  return allowed;
}

constexpr std::array<bool, 256> kAuthorityOctets = make_authority_octets();

// True when an octet is below 0x20. Sixteen octets at a time; the last of them overlap those before.
[[gnu::always_inline]] inline bool has_control_octet(std::string_view text) noexcept {
  using Octets [[gnu::vector_size(16)]] = unsigned char;
  const char* p = text.data();
  const char* const end = p + text.size();
  if (text.size() < 16) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    const auto below = [](uint64_t word) { return ((word - kOnes * 0x20) & ~word & (kOnes * 0x80)) != 0; };
    uint64_t first = kOnes * 0x20;  // padding is none
    uint64_t last = kOnes * 0x20;
    if (text.size() >= 8) {
      std::memcpy(&first, p, 8);
      std::memcpy(&last, end - 8, 8);
    } else {
      base::copy_bytes(&first, p, text.size());
    }
    return below(first) || below(last);
  }
  Octets least;
  std::memcpy(&least, end - 16, 16);
  for (; end - p > 16; p += 16) {
    Octets next;
    std::memcpy(&next, p, 16);
    least = next < least ? next : least;
  }
  const auto found = reinterpret_cast<base::Sixteen>(least < 0x20);
  return (found[0] | found[1]) != 0;
}

}  // namespace

bool is_valid_name(std::string_view name) noexcept {
  if (!name.empty() && name.front() == ':') name.remove_prefix(1);
  if (name.empty()) return false;
  for (const char c : name) {
    if (!kNameOctets[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

namespace {

[[gnu::noinline]] bool is_valid_unusual_value(std::string_view value) noexcept {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  if (is_blank(value.front()) || is_blank(value.back())) return false;
  return value.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos;
}

}  // namespace

bool is_valid_value(std::string_view value) noexcept {
  if (value.empty()) return true;
  // What is forbidden is at most a space: below that at both ends, and without control octets, all is well.
  const bool is_plain = value.data()[0] > ' ' && value.data()[value.size() - 1] > ' ' && !has_control_octet(value);
  return is_plain || is_valid_unusual_value(value);
}

uint16_t parse_status(std::string_view value) noexcept {
  if (value.size() != 3) return 0;
  uint32_t number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  return number >= 100 ? static_cast<uint16_t>(number) : 0;
}

namespace {

// A token (RFC 9110 section 9.1): a name's octets in either case.
bool is_valid_method(std::string_view method) noexcept {
  if (method.empty()) return false;
  for (const char c : method) {
    if (!kNameOctets[static_cast<unsigned char>(c)] && (c < 'A' || c > 'Z')) return false;
  }
  return true;
}

// Printable, without a fragment. Asterisk form belongs to OPTIONS alone (section 8.3.1), which its caller looks at.
bool is_valid_path(std::string_view path) noexcept {
  if (path.empty() || (path.front() != '/' && path != "*")) return false;
  for (const char c : path) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet >= 0x7f || octet == '#') return false;
  }
  return true;
}

// What host and port are written in (RFC 3986 section 3.2), so no userinfo (section 8.3.1). Clients of Unix sockets
// name their path here, escaped.
bool is_authority_text(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return kAuthorityOctets[static_cast<unsigned char>(c)]; });
}

// It has a host (RFC 9110 section 4.2.1: else it is to be rejected).
bool is_valid_authority(std::string_view authority) noexcept {
  return !authority.empty() && authority.front() != ':' && is_authority_text(authority);
}

}  // namespace

bool is_grpc_content_type(std::string_view value) noexcept {
  constexpr std::string_view kType = "application/grpc";
  constexpr std::string_view kBehind = "+;, \t";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  if (!std::ranges::equal(value.substr(0, kType.size()), kType, {}, lower)) return false;
  return value.size() == kType.size() || kBehind.find(value[kType.size()]) != std::string_view::npos;
}

bool is_grpc_content_type(const Field& content_type) noexcept {
  if (content_type.record != nullptr) [[likely]]
    return (content_type.flags & kFieldIsGrpc) != 0;
  return is_grpc_content_type(content_type.value());
}

bool is_valid_meaning(KnownName name, std::string_view value) noexcept {
  if (is_hop_by_hop(name)) return false;  // section 8.2.2
  switch (name) {
    case KnownName::kMethod: return is_valid_method(value);
    // What gRPC speaks of. It is not held against the transport: behind something that ends TLS, clients rightly say
    // https on a cleartext connection, and nothing here depends on it.
    case KnownName::kScheme: return value == "http" || value == "https";
    case KnownName::kAuthority: return is_valid_authority(value);
    case KnownName::kHost: return is_authority_text(value);  // an empty one stands for no authority (RFC 9110, 7.2)
    case KnownName::kPath: return is_valid_path(value);
    case KnownName::kStatus: return parse_status(value) != 0;
    case KnownName::kTe: return value == "trailers";
    default: return true;
  }
}

namespace {

// The code behind the length of a string literal that was read before.
std::span<const uint8_t> code_of(const Field& field) noexcept {
  const uint8_t* p = field.wire_value;
  const uint8_t* const end = p + field.wire_size;
  if ((*p++ & 0x7f) == 0x7f) {
    while ((*p++ & 0x80) != 0) {}
  }
  return {p, end};
}

}  // namespace

std::string_view decoded_value(const Field& field, Arena& arena) {
  if (!field.is_coded()) return field.value();
  const std::span<const uint8_t> code = code_of(field);
  char* const text = arena.allocate(huffman_decoded_size_max(code.size()));
  const size_t size = huffman_decode(code, text);
  ASSERT(size == field.value_size);
  arena.shrink_to(text + size);
  return {text, size};
}

bool has_value(const Field& field, std::string_view value) noexcept {
  if (!field.is_coded()) return field.value() == value;
  return field.value_size == value.size() && is_huffman_code_of(code_of(field), value);
}

FieldInterner::FieldInterner(uint64_t hash_key, uint32_t bytes_max)
    : hash_key_(hash_key | 1), bytes_max_(bytes_max), buckets_(256) {
  static_records_.push_back(nullptr);
  for (uint32_t index = 1; index <= kStaticTableSize; ++index) {
    const StaticField& field = static_field(index);
    FieldRecord* record = make(field.name, field.value);
    annotate(*record, field.known, 0);
    record->static_index = static_cast<uint8_t>(index);
    record->references = 1;
    static_records_.push_back(record);
  }
}

FieldInterner::~FieldInterner() {
  const auto destroy = [](FieldRecord* record) {
    std::free(const_cast<char*>(record->octets));
    delete record;
  };
  for (FieldRecord* record : buckets_) {
    while (record != nullptr) {
      FieldRecord* next = record->next_in_bucket;
      destroy(record);
      record = next;
    }
  }
  for (FieldRecord* record : unused_) destroy(record);
  for (FieldRecord* record : static_records_) {
    if (record != nullptr) destroy(record);
  }
}

uint32_t FieldInterner::hash_of(std::string_view name, std::string_view value) const noexcept {
  const uint64_t hash = hash_octets(value, hash_octets(name, hash_key_));
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

// A record with the octets and a fresh generation; everything else is zero.
FieldRecord* FieldInterner::make(std::string_view name, std::string_view value) {
  FieldRecord* record;
  if (unused_.empty()) {
    record = new FieldRecord();
    record->index = next_index_++;
    record->generation = 1;
  } else {
    record = unused_.back();
    unused_.pop_back();
    const uint32_t index = record->index;
    const uint32_t generation = record->generation + 1;
    *record = FieldRecord();
    record->index = index;
    record->generation = generation;
  }
  char* octets = static_cast<char*>(std::malloc(name.size() + value.size() + 1));
  ASSERT(octets != nullptr);
  std::memcpy(octets, name.data(), name.size());
  if (!value.empty()) std::memcpy(octets + name.size(), value.data(), value.size());
  record->octets = octets;
  record->name_size = static_cast<uint16_t>(name.size());
  record->value_size = static_cast<uint32_t>(value.size());
  record->list_bytes = static_cast<uint32_t>(name.size() + value.size()) + kFieldOverhead;
  return record;
}

// What every use of the field would otherwise have to find out again.
void FieldInterner::annotate(FieldRecord& record, KnownName known, uint8_t flags) noexcept {
  record.known = known;
  record.flags = flags;
  if (is_valid_meaning(known, record.value())) record.flags |= kFieldIsValid;
  if (known == KnownName::kStatus) record.status = parse_status(record.value());
  if (known == KnownName::kContentType && is_grpc_content_type(record.value())) record.flags |= kFieldIsGrpc;
}

FieldRecord* FieldInterner::intern(std::string_view name, KnownName known, std::string_view value, uint8_t flags) {
  const uint32_t hash = hash_of(name, value);
  for (FieldRecord* record = buckets_[hash & (buckets_.size() - 1)]; record != nullptr;
       record = record->next_in_bucket) {
    if (record->hash != hash || record->peer_flags() != flags || record->name() != name || record->value() != value) {
      continue;
    }
    retain(*record);
    return record;
  }
  const uint32_t size = static_cast<uint32_t>(name.size() + value.size()) + kFieldOverhead;
  while (bytes_ + size > bytes_max_) {
    if (idle_.is_empty() || idle_.front().idle_epoch == epoch_) {
      ++failure_count_;
      return nullptr;
    }
    evict(idle_.front());
  }
  FieldRecord* record = make(name, value);
  annotate(*record, known, flags);
  record->hash = hash;
  record->references = 1;
  if (record_count_ >= buckets_.size()) grow_buckets();
  FieldRecord*& bucket = buckets_[hash & (buckets_.size() - 1)];
  record->next_in_bucket = bucket;
  bucket = record;
  ++record_count_;
  bytes_ += size;
  return record;
}

void FieldInterner::become_idle(FieldRecord& record) noexcept {
  ASSERT(record.static_index == 0 && !record.is_idle);
  record.is_idle = true;
  record.idle_epoch = epoch_;
  idle_.push_back(record);
}

void FieldInterner::evict(FieldRecord& record) noexcept {
  ASSERT(record.is_idle);
  record.unlink();
  FieldRecord** link = &buckets_[record.hash & (buckets_.size() - 1)];
  while (*link != &record) link = &(*link)->next_in_bucket;
  *link = record.next_in_bucket;
  bytes_ -= record.hpack_size();
  --record_count_;
  std::free(const_cast<char*>(record.octets));
  record.octets = nullptr;
  // From here on no {index, generation} that anybody remembers names this record.
  ++record.generation;
  unused_.push_back(&record);
}

void FieldInterner::grow_buckets() {
  std::vector<FieldRecord*> grown(buckets_.size() * 2);
  for (FieldRecord* record : buckets_) {
    while (record != nullptr) {
      FieldRecord* next = record->next_in_bucket;
      FieldRecord*& bucket = grown[record->hash & (grown.size() - 1)];
      record->next_in_bucket = bucket;
      bucket = record;
      record = next;
    }
  }
  buckets_.swap(grown);
}

}  // namespace ringway::h2
