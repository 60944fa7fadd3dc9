// The header names that ringway knows: the static table of RFC 7541 appendix A and those that gRPC and HTTP/2 give a
// meaning. A known name is compared as a number.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringway::h2 {

enum class KnownName : uint8_t {
  kNone = 0,
  kAuthority,
  kMethod,
  kPath,
  kScheme,
  kStatus,
  kAcceptCharset,
  kAcceptEncoding,
  kAcceptLanguage,
  kAcceptRanges,
  kAccept,
  kAccessControlAllowOrigin,
  kAge,
  kAllow,
  kAuthorization,
  kCacheControl,
  kContentDisposition,
  kContentEncoding,
  kContentLanguage,
  kContentLength,
  kContentLocation,
  kContentRange,
  kContentType,
  kCookie,
  kDate,
  kEtag,
  kExpect,
  kExpires,
  kFrom,
  kHost,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kLastModified,
  kLink,
  kLocation,
  kMaxForwards,
  kProxyAuthenticate,
  kProxyAuthorization,
  kRange,
  kReferer,
  kRefresh,
  kRetryAfter,
  kServer,
  kSetCookie,
  kStrictTransportSecurity,
  kTransferEncoding,
  kUserAgent,
  kVary,
  kVia,
  kWwwAuthenticate,
  kTe,
  kConnection,
  kKeepAlive,
  kProxyConnection,
  kUpgrade,
  kHttp2Settings,
  kGrpcTimeout,
  kGrpcStatus,
  kGrpcMessage,
  kGrpcEncoding,
  kGrpcAcceptEncoding,
  kXForwardedFor,
  kXForwardedProto,
  kXForwardedClientCert,
  kTraceparent,
  kCount,
};

constexpr bool is_pseudo(KnownName name) noexcept {
  return name >= KnownName::kAuthority && name <= KnownName::kStatus;
}

// Connection-specific fields (RFC 9113 section 8.2.2), which make a message malformed and are never forwarded.
constexpr bool is_hop_by_hop(KnownName name) noexcept {
  return (name >= KnownName::kConnection && name <= KnownName::kHttp2Settings) || name == KnownName::kTransferEncoding;
}

// Fields that must not enter a compression table that tenants share (RFC 7541 section 7.1.3).
constexpr bool is_sensitive(KnownName name) noexcept {
  return name == KnownName::kAuthorization || name == KnownName::kCookie || name == KnownName::kProxyAuthorization;
}

// Values that ringway passes on and never reads: they may stay in Huffman code (see kFieldCoded). A name that anything
// here looks into must not be among these.
constexpr bool passes_unread(KnownName name) noexcept {
  return name == KnownName::kNone || name == KnownName::kTraceparent || name == KnownName::kGrpcMessage ||
         name == KnownName::kSetCookie || is_sensitive(name);
}

// kNone for a name that is not in the list.
KnownName find_known_name(std::string_view name) noexcept;

struct NameRow {
  std::string_view text;
  uint8_t static_index;
};
extern const NameRow kNameRows[];  // by KnownName

inline std::string_view text_of(KnownName name) noexcept {
  return kNameRows[static_cast<uint8_t>(name)].text;
}

// The first static table entry with this name, 1 to 61; 0 for names that have none.
inline uint8_t static_index_of(KnownName name) noexcept {
  return kNameRows[static_cast<uint8_t>(name)].static_index;
}

// How a literal without indexing begins that has this name (RFC 7541 section 6.2.2): by name index, or spelt out. None
// for kNone. To be copied whole, whatever its size.
struct LiteralStart {
  uint8_t size;
  uint8_t octets[31];
};
struct LiteralStarts {
  LiteralStart rows[static_cast<size_t>(KnownName::kCount)];  // by KnownName
};
extern const LiteralStarts kLiteralStarts;

struct StaticField {
  std::string_view name;
  std::string_view value;
  KnownName known;
};

inline constexpr uint32_t kStaticTableSize = 61;

// `index` is 1 to 61.
const StaticField& static_field(uint32_t index) noexcept;

}  // namespace ringway::h2
