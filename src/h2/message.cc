#include "h2/message.h"

namespace ringway::h2 {
namespace {

// Several equal values, or one list of equal values, are one value (RFC 9110 section 8.6 allows rejecting them; we do).
bool parse_content_length(std::string_view value, MessageHead& head) noexcept {
  if (value.empty() || value.size() > 18 || head.has_content_length) return false;
  uint64_t number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  head.has_content_length = true;
  head.content_length = number;
  return true;
}

// A record was looked at when it was interned.
bool has_valid_meaning(const Field& field) noexcept {
  if (field.record != nullptr) [[likely]] return (field.flags & kFieldIsValid) != 0;
  return is_valid_meaning(field.known, field.value());
}

// A pseudo-field of a request or response; false when it may not be there or is there twice.
bool take_pseudo(MessageKind kind, const Field& field, uint16_t position, MessageHead& head) noexcept {
  if (!has_valid_meaning(field)) return false;
  if (kind == MessageKind::kResponse) {
    if (field.known != KnownName::kStatus || head.status != 0) return false;
    head.status = field.record != nullptr ? field.record->status : parse_status(field.value());
    return true;
  }
  uint16_t* member = nullptr;
  switch (field.known) {
    case KnownName::kMethod: member = &head.method; break;
    case KnownName::kPath: member = &head.path; break;
    case KnownName::kScheme: member = &head.scheme; break;
    case KnownName::kAuthority: member = &head.authority; break;
    default: return false;
  }
  if (*member != 0) return false;
  *member = position;
  return true;
}

bool take_regular(MessageKind kind, const Field& field, uint16_t position, MessageHead& head) noexcept {
  switch (field.known) {
    case KnownName::kNone: return !field.name().starts_with(':');  // no other pseudo-fields exist
    case KnownName::kContentType: head.content_type = position; break;
    case KnownName::kUserAgent: head.user_agent = position; break;
    case KnownName::kGrpcTimeout: head.grpc_timeout = position; break;
    case KnownName::kGrpcStatus: head.grpc_status = position; break;
    case KnownName::kGrpcMessage: head.grpc_message = position; break;
    case KnownName::kHost:
      // Two hosts let two readers disagree about where a request goes (RFC 9110 section 7.2).
      if (kind == MessageKind::kRequest && head.host != 0) return false;
      head.host = position;
      break;
    case KnownName::kContentLength: return kind == MessageKind::kTrailers || parse_content_length(field.value(), head);
    case KnownName::kTe:
      head.te = position;
      return has_valid_meaning(field);
    case KnownName::kConnection:
    case KnownName::kKeepAlive:
    case KnownName::kProxyConnection:
    case KnownName::kUpgrade:
    case KnownName::kTransferEncoding: return false;  // section 8.2.2
    case KnownName::kHttp2Settings: head.has_hop_by_hop = true; break;
    default: break;
  }
  return true;
}

}  // namespace

bool check_message(MessageKind kind, std::span<const Field> fields, MessageHead& head) noexcept {
  bool is_past_pseudo = false;
  uint16_t position = 0;
  for (const Field& field : fields) {
    ++position;
    if (is_pseudo(field.known)) {
      if (is_past_pseudo || kind == MessageKind::kTrailers || !take_pseudo(kind, field, position, head)) return false;
      continue;
    }
    is_past_pseudo = true;
    if (!take_regular(kind, field, position, head)) return false;
  }
  if (kind == MessageKind::kTrailers) return true;
  if (kind == MessageKind::kResponse) return head.status != 0;
  if (head.method == 0) return false;
  // CONNECT has neither scheme nor path (section 8.5) and is not for a gRPC proxy.
  const std::string_view method = fields[head.method - 1u].value();
  if (head.path == 0 || head.scheme == 0 || method == "CONNECT") return false;
  if (fields[head.path - 1u].value() == "*" && method != "OPTIONS") return false;
  if (head.authority != 0 && head.host != 0) {
    return fields[head.authority - 1u].value() == fields[head.host - 1u].value();
  }
  return true;
}

}  // namespace ringway::h2
