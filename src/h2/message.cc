#include "h2/message.h"

#include <algorithm>
#include <array>
#include <cstddef>

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

// What a name means to us, and where its position is kept.
enum class Meaning : uint8_t {
  kNone,      // forwarded, no more
  kPosition,  // its place is remembered
  kPseudo,    // … at most once, and before all regular fields
  kForeign,   // a pseudo-field of another kind of message
  kContentLength,
  kContentType,  // remembered is one of gRPC, if there are several
  kHost,         // two hosts let two readers disagree about where a request goes (RFC 9110 section 7.2)
  kRestricted,   // te: one value, and in requests alone; connection-specific fields: none (section 8.2.2)
  kUnknown,      // a name that is not in the list of known ones
};

struct NameRule {
  Meaning meaning = Meaning::kNone;
  uint8_t offset = 0;  // of the position in MessageHead, in units of its members
};

using Rules = std::array<NameRule, static_cast<size_t>(KnownName::kCount)>;

constexpr Rules make_rules(MessageKind kind) noexcept {
  Rules rules{};
  const auto set = [&rules](KnownName name, Meaning meaning, size_t offset) {
    rules[static_cast<size_t>(name)] = {meaning, static_cast<uint8_t>(offset / sizeof(uint16_t))};
  };
  set(KnownName::kNone, Meaning::kUnknown, 0);
  const Meaning of_request = kind == MessageKind::kRequest ? Meaning::kPseudo : Meaning::kForeign;
  const Meaning of_response = kind == MessageKind::kResponse ? Meaning::kPseudo : Meaning::kForeign;
  set(KnownName::kMethod, of_request, offsetof(MessageHead, method));
  set(KnownName::kPath, of_request, offsetof(MessageHead, path));
  set(KnownName::kScheme, of_request, offsetof(MessageHead, scheme));
  set(KnownName::kAuthority, of_request, offsetof(MessageHead, authority));
  set(KnownName::kStatus, of_response, offsetof(MessageHead, status_position));
  set(KnownName::kHost, Meaning::kHost, offsetof(MessageHead, host));
  set(KnownName::kContentType, Meaning::kContentType, offsetof(MessageHead, content_type));
  set(KnownName::kGrpcTimeout, Meaning::kPosition, offsetof(MessageHead, grpc_timeout));
  set(KnownName::kGrpcStatus, Meaning::kPosition, offsetof(MessageHead, grpc_status));
  set(KnownName::kGrpcMessage, Meaning::kPosition, offsetof(MessageHead, grpc_message));
  set(KnownName::kXForwardedClientCert, Meaning::kPosition, offsetof(MessageHead, client_cert));
  set(KnownName::kContentLength, Meaning::kContentLength, 0);
  set(KnownName::kTe, Meaning::kRestricted, 0);
  for (size_t i = 0; i < rules.size(); ++i) {
    if (is_hop_by_hop(static_cast<KnownName>(i))) set(static_cast<KnownName>(i), Meaning::kRestricted, 0);
  }
  return rules;
}

constexpr Rules kRules[] = {make_rules(MessageKind::kRequest), make_rules(MessageKind::kResponse),
                            make_rules(MessageKind::kTrailers)};

// A record was looked at when it was interned.
bool has_valid_meaning(const Field& field) noexcept {
  if (field.record != nullptr) [[likely]]
    return (field.flags & kFieldIsValid) != 0;
  return is_valid_meaning(field.known, field.value());
}

// Several of them are one too many (RFC 9110 section 8.3), and which one counts every reader decides for himself: a
// call that one of them takes for gRPC is held to what gRPC calls are held to.
bool is_overridden(const Field& content_type, uint16_t earlier) noexcept {
  return earlier != 0 && !is_grpc_content_type(content_type);
}

bool refuse(MessageHead& head, Fault fault) noexcept {
  head.fault = fault;
  return false;
}

Fault fault_of(Meaning meaning) noexcept {
  switch (meaning) {
    case Meaning::kContentLength: return Fault::kContentLength;
    case Meaning::kHost: return Fault::kHost;
    case Meaning::kRestricted: return Fault::kConnectionField;
    default: return Fault::kPseudoField;
  }
}

// What is asked of a field beyond remembering its place.
bool is_allowed(MessageKind kind, const Field& field, Meaning meaning, MessageHead& head) noexcept {
  switch (meaning) {
    case Meaning::kContentLength: return kind == MessageKind::kTrailers || parse_content_length(field.value(), head);
    case Meaning::kHost: return kind != MessageKind::kRequest || (head.host == 0 && has_valid_meaning(field));
    case Meaning::kRestricted: return kind == MessageKind::kRequest && has_valid_meaning(field);
    case Meaning::kForeign: return false;
    case Meaning::kUnknown: return !field.name().starts_with(':');  // no other pseudo-fields exist
    default: return true;
  }
}

bool is_connect_target(std::string_view authority) noexcept {
  const size_t colon = authority.rfind(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  const std::string_view port = authority.substr(colon + 1);
  return !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos;
}

// Compared are the entities that both name (RFC 9113 section 8.3.1, RFC 3986 section 6.2): letters of either case, and
// with or without the scheme's own port.
bool is_same_authority(std::string_view a, std::string_view b, std::string_view scheme) noexcept {
  if (a == b) [[likely]]
    return true;
  const std::string_view port = scheme == "https" ? ":443" : ":80";
  if (a.ends_with(port)) a.remove_suffix(port.size());
  if (b.ends_with(port)) b.remove_suffix(port.size());
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// What the fields of a request are to each other; there is a method.
bool is_valid_request(std::span<const Field> fields, MessageHead& head) noexcept {
  const auto value_at = [fields](uint16_t position) { return fields[position - 1u].value(); };
  const std::string_view method = value_at(head.method);
  if (method == "CONNECT") {
    const bool is_tunnel = head.path == 0 && head.scheme == 0 && head.authority != 0 &&
                           is_connect_target(value_at(head.authority)) &&
                           (head.host == 0 || is_same_authority(value_at(head.authority), value_at(head.host), ""));
    return is_tunnel || refuse(head, Fault::kConnect);
  }
  head.is_head = method == "HEAD";
  if (head.path == 0 || head.scheme == 0) return refuse(head, Fault::kMissingField);
  if (value_at(head.path) == "*" && method != "OPTIONS") return refuse(head, Fault::kPseudoField);
  return head.authority == 0 || head.host == 0 ||
         is_same_authority(value_at(head.authority), value_at(head.host), value_at(head.scheme)) ||
         refuse(head, Fault::kHost);
}

}  // namespace

bool check_message(MessageKind kind, std::span<const Field> fields, MessageHead& head) noexcept {
  const NameRule* const rules = kRules[static_cast<size_t>(kind)].data();
  auto* const positions = reinterpret_cast<uint16_t*>(&head);
  bool is_past_pseudo = false;
  uint16_t position = 0;
  for (const Field& field : fields) {
    ++position;
    const NameRule rule = rules[static_cast<size_t>(field.known)];
    uint16_t& place = positions[rule.offset];
    if (rule.meaning == Meaning::kPseudo) {
      if (is_past_pseudo || place != 0 || !has_valid_meaning(field)) return refuse(head, Fault::kPseudoField);
    } else {
      is_past_pseudo = true;
      if (rule.meaning > Meaning::kPosition) {
        if (!is_allowed(kind, field, rule.meaning, head)) return refuse(head, fault_of(rule.meaning));
        if (rule.meaning == Meaning::kContentType && is_overridden(field, place)) continue;
      }
    }
    place = position;
  }
  if (head.status_position != 0) {
    const Field& status = fields[head.status_position - 1u];
    head.status = status.record != nullptr ? status.record->status : parse_status(status.value());
  }
  if (kind == MessageKind::kTrailers) return true;
  if (kind == MessageKind::kResponse) {
    head.has_content_length |= has_no_content(head.status);
    return head.status != 0 || refuse(head, Fault::kMissingField);
  }
  return head.method != 0 ? is_valid_request(fields, head) : refuse(head, Fault::kMissingField);
}

bool check_ordinary(MessageKind kind, std::span<const Field> fields, uint16_t position, MessageHead& head) noexcept {
  const NameRule* const rules = kRules[static_cast<size_t>(kind)].data();
  auto* const positions = reinterpret_cast<uint16_t*>(&head);
  for (const Field& field : fields) {
    const NameRule rule = rules[static_cast<size_t>(field.known)];
    const bool is_ordinary = rule.meaning <= Meaning::kPosition ||
                             (rule.meaning == Meaning::kUnknown && !field.name().starts_with(':')) ||
                             (rule.meaning == Meaning::kContentType && head.content_type == 0);
    if (!is_ordinary) return false;
    positions[rule.offset] = position++;
  }
  return true;
}

}  // namespace ringway::h2
