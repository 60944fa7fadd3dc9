#include "h2/known_names.h"

#include <array>

namespace ringway::h2 {

constexpr NameRow kNameRows[] = {
    {"", 0},
    {":authority", 1},
    {":method", 2},
    {":path", 4},
    {":scheme", 6},
    {":status", 8},
    {"accept-charset", 15},
    {"accept-encoding", 16},
    {"accept-language", 17},
    {"accept-ranges", 18},
    {"accept", 19},
    {"access-control-allow-origin", 20},
    {"age", 21},
    {"allow", 22},
    {"authorization", 23},
    {"cache-control", 24},
    {"content-disposition", 25},
    {"content-encoding", 26},
    {"content-language", 27},
    {"content-length", 28},
    {"content-location", 29},
    {"content-range", 30},
    {"content-type", 31},
    {"cookie", 32},
    {"date", 33},
    {"etag", 34},
    {"expect", 35},
    {"expires", 36},
    {"from", 37},
    {"host", 38},
    {"if-match", 39},
    {"if-modified-since", 40},
    {"if-none-match", 41},
    {"if-range", 42},
    {"if-unmodified-since", 43},
    {"last-modified", 44},
    {"link", 45},
    {"location", 46},
    {"max-forwards", 47},
    {"proxy-authenticate", 48},
    {"proxy-authorization", 49},
    {"range", 50},
    {"referer", 51},
    {"refresh", 52},
    {"retry-after", 53},
    {"server", 54},
    {"set-cookie", 55},
    {"strict-transport-security", 56},
    {"transfer-encoding", 57},
    {"user-agent", 58},
    {"vary", 59},
    {"via", 60},
    {"www-authenticate", 61},
    {"te", 0},
    {"connection", 0},
    {"keep-alive", 0},
    {"proxy-connection", 0},
    {"upgrade", 0},
    {"http2-settings", 0},
    {"grpc-timeout", 0},
    {"grpc-status", 0},
    {"grpc-message", 0},
    {"grpc-encoding", 0},
    {"grpc-accept-encoding", 0},
    {"x-forwarded-for", 0},
    {"x-forwarded-proto", 0},
    {"x-forwarded-client-cert", 0},
    {"traceparent", 0},
};

namespace {

constexpr auto make_literal_starts() {
  LiteralStarts starts{};
  for (size_t i = 1; i < std::size(kNameRows); ++i) {
    LiteralStart& start = starts.rows[i];
    const auto [name, index] = kNameRows[i];
    if (index == 0) {
      start.octets[start.size++] = 0;
      start.octets[start.size++] = static_cast<uint8_t>(name.size());
      for (const char c : name) start.octets[start.size++] = static_cast<uint8_t>(c);
    } else if (index < 15) {
      start.octets[start.size++] = index;
    } else {
      start.octets[start.size++] = 15;
      start.octets[start.size++] = static_cast<uint8_t>(index - 15);
    }
  }
  return starts;
}

}  // namespace

constexpr LiteralStarts kLiteralStarts = make_literal_starts();

namespace {

static_assert(std::size(kNameRows) == static_cast<size_t>(KnownName::kCount));

// RFC 7541 appendix A.
constexpr StaticField kStaticFields[kStaticTableSize + 1] = {
    {},
    {":authority", "", KnownName::kAuthority},
    {":method", "GET", KnownName::kMethod},
    {":method", "POST", KnownName::kMethod},
    {":path", "/", KnownName::kPath},
    {":path", "/index.html", KnownName::kPath},
    {":scheme", "http", KnownName::kScheme},
    {":scheme", "https", KnownName::kScheme},
    {":status", "200", KnownName::kStatus},
    {":status", "204", KnownName::kStatus},
    {":status", "206", KnownName::kStatus},
    {":status", "304", KnownName::kStatus},
    {":status", "400", KnownName::kStatus},
    {":status", "404", KnownName::kStatus},
    {":status", "500", KnownName::kStatus},
    {"accept-charset", "", KnownName::kAcceptCharset},
    {"accept-encoding", "gzip, deflate", KnownName::kAcceptEncoding},
    {"accept-language", "", KnownName::kAcceptLanguage},
    {"accept-ranges", "", KnownName::kAcceptRanges},
    {"accept", "", KnownName::kAccept},
    {"access-control-allow-origin", "", KnownName::kAccessControlAllowOrigin},
    {"age", "", KnownName::kAge},
    {"allow", "", KnownName::kAllow},
    {"authorization", "", KnownName::kAuthorization},
    {"cache-control", "", KnownName::kCacheControl},
    {"content-disposition", "", KnownName::kContentDisposition},
    {"content-encoding", "", KnownName::kContentEncoding},
    {"content-language", "", KnownName::kContentLanguage},
    {"content-length", "", KnownName::kContentLength},
    {"content-location", "", KnownName::kContentLocation},
    {"content-range", "", KnownName::kContentRange},
    {"content-type", "", KnownName::kContentType},
    {"cookie", "", KnownName::kCookie},
    {"date", "", KnownName::kDate},
    {"etag", "", KnownName::kEtag},
    {"expect", "", KnownName::kExpect},
    {"expires", "", KnownName::kExpires},
    {"from", "", KnownName::kFrom},
    {"host", "", KnownName::kHost},
    {"if-match", "", KnownName::kIfMatch},
    {"if-modified-since", "", KnownName::kIfModifiedSince},
    {"if-none-match", "", KnownName::kIfNoneMatch},
    {"if-range", "", KnownName::kIfRange},
    {"if-unmodified-since", "", KnownName::kIfUnmodifiedSince},
    {"last-modified", "", KnownName::kLastModified},
    {"link", "", KnownName::kLink},
    {"location", "", KnownName::kLocation},
    {"max-forwards", "", KnownName::kMaxForwards},
    {"proxy-authenticate", "", KnownName::kProxyAuthenticate},
    {"proxy-authorization", "", KnownName::kProxyAuthorization},
    {"range", "", KnownName::kRange},
    {"referer", "", KnownName::kReferer},
    {"refresh", "", KnownName::kRefresh},
    {"retry-after", "", KnownName::kRetryAfter},
    {"server", "", KnownName::kServer},
    {"set-cookie", "", KnownName::kSetCookie},
    {"strict-transport-security", "", KnownName::kStrictTransportSecurity},
    {"transfer-encoding", "", KnownName::kTransferEncoding},
    {"user-agent", "", KnownName::kUserAgent},
    {"vary", "", KnownName::kVary},
    {"via", "", KnownName::kVia},
    {"www-authenticate", "", KnownName::kWwwAuthenticate},
};

// Buckets by a hash of length, first and last octet: one or two comparisons find or refute a name.
constexpr uint32_t kBuckets = 256;

constexpr uint32_t bucket_of(std::string_view name) noexcept {
  const auto first = static_cast<uint8_t>(name.front());
  const auto last = static_cast<uint8_t>(name.back());
  return (static_cast<uint32_t>(name.size()) * 37 + first * 5 + last * 11) % kBuckets;
}

struct NameIndex {
  std::array<uint8_t, kBuckets> first{};             // the first name of a bucket, 0: none
  std::array<uint8_t, std::size(kNameRows)> next{};  // the next of the same bucket
};

constexpr NameIndex make_index() noexcept {
  NameIndex index;
  for (size_t i = std::size(kNameRows); --i > 0;) {
    const uint32_t bucket = bucket_of(kNameRows[i].text);
    index.next[i] = index.first[bucket];
    index.first[bucket] = static_cast<uint8_t>(i);
  }
  return index;
}

constexpr NameIndex kIndex = make_index();

}  // namespace

KnownName find_known_name(std::string_view name) noexcept {
  if (name.empty()) return KnownName::kNone;
  for (uint8_t i = kIndex.first[bucket_of(name)]; i != 0; i = kIndex.next[i]) {
    if (kNameRows[i].text == name) return static_cast<KnownName>(i);
  }
  return KnownName::kNone;
}

const StaticField& static_field(uint32_t index) noexcept {
  return kStaticFields[index];
}

}  // namespace ringway::h2
