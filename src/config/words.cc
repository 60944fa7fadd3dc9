#include "config/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <utility>

#include "config/limits.h"
#include "config/values.h"

namespace ringway::config {
namespace {

template <typename T>
struct Word {
  std::string_view text;
  T value;
};

constexpr std::array kAccept = {Word{"balanced", AcceptMode::kBalanced}, Word{"reuseport", AcceptMode::kReusePort}};
constexpr std::array kPolicies = {Word{"round_robin", Policy::kRoundRobin}};
constexpr std::array kHeaderCompression = {Word{"dynamic", HeaderCompression::kDynamic},
                                           Word{"static", HeaderCompression::kStatic}};
constexpr std::array kLogLevels = {Word{"debug", LogLevel::kDebug}, Word{"info", LogLevel::kInfo},
                                   Word{"warn", LogLevel::kWarn}, Word{"error", LogLevel::kError}};
constexpr std::array kFormats = {Word{"combined", AccessLogFormat::kCombined}, Word{"json", AccessLogFormat::kJson}};
constexpr std::array kProxyProtocols = {Word{"off", ProxyProtocol::kOff}, Word{"optional", ProxyProtocol::kOptional},
                                        Word{"require", ProxyProtocol::kRequire}};
constexpr std::array kKtls = {Word{"off", KtlsMode::kOff}, Word{"tx", KtlsMode::kTx}, Word{"rxtx", KtlsMode::kRxTx},
                              Word{"auto", KtlsMode::kAuto}};
constexpr std::array kClientCertificates = {Word{"off", ClientCertificate::kOff},
                                            Word{"optional", ClientCertificate::kOptional},
                                            Word{"require", ClientCertificate::kRequire}};
constexpr std::array kClientCertHeaders = {
    Word{"sanitize", ClientCertHeader::kSanitize}, Word{"sanitize_set", ClientCertHeader::kSanitizeSet},
    Word{"append_forward", ClientCertHeader::kAppendForward}, Word{"forward_only", ClientCertHeader::kForwardOnly}};
constexpr std::array kForwardedFor = {Word{"append", true}, Word{"off", false}};

// Policies of the design that this version does not have.
constexpr std::array<std::string_view, 4> kLaterPolicies = {"least_request", "random", "ewma", "ring_hash"};

constexpr std::string_view kWeightPart = ",weight=";

bool is_file_name(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](char byte) { return static_cast<unsigned char>(byte) < 0x20; });
}

// RFC 1123 section 2.1, with the underscore that some data centres use; without the dot at the end, which certificates
// do not have.
bool is_host_name(std::string_view text) {
  constexpr size_t kNameLength = 253;
  constexpr size_t kLabelLength = 63;
  if (text.size() > kNameLength) return false;
  for (bool is_last = false; !is_last;) {
    const size_t dot = text.find('.');
    is_last = dot == std::string_view::npos;
    const std::string_view label = text.substr(0, dot);
    if (!is_last) text.remove_prefix(dot + 1);
    if (label.empty() || label.size() > kLabelLength || label.front() == '-' || label.back() == '-') return false;
    const bool is_sound = std::ranges::all_of(label, [](char byte) {
      return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
             byte == '-' || byte == '_';
    });
    if (!is_sound) return false;
    // No top-level domain begins with a digit, but the last part of a broken IPv4 address does.
    if (is_last && label.front() >= '0' && label.front() <= '9') return false;
  }
  return true;
}

template <typename T, size_t N>
Parsed<T> pick(std::string_view text, const std::array<Word<T>, N>& words, std::string_view allowed) {
  for (const Word<T>& word : words) {
    if (word.text == text) return word.value;
  }
  return std::unexpected(fmt::format("{} is not known here, allowed: {}", quote(text), allowed));
}

template <typename T, size_t N>
std::string_view name_of(T value, const std::array<Word<T>, N>& words) {
  for (const Word<T>& word : words) {
    if (word.value == value) return word.text;
  }
  return "";
}

}  // namespace

Parsed<AcceptMode> parse_accept(std::string_view text) {
  return pick(text, kAccept, kAcceptWords);
}
Parsed<HeaderCompression> parse_header_compression(std::string_view text) {
  return pick(text, kHeaderCompression, kHeaderCompressionWords);
}
Parsed<LogLevel> parse_log_level(std::string_view text) {
  return pick(text, kLogLevels, kLogLevelWords);
}
Parsed<AccessLogFormat> parse_access_log_format(std::string_view text) {
  return pick(text, kFormats, kAccessLogFormatWords);
}
Parsed<ProxyProtocol> parse_proxy_protocol(std::string_view text) {
  return pick(text, kProxyProtocols, kProxyProtocolWords);
}
Parsed<io::Network> parse_network(std::string_view text) {
  return io::Network::parse(text);
}
Parsed<bool> parse_forwarded_for(std::string_view text) {
  return pick(text, kForwardedFor, kForwardedForWords);
}

Parsed<KtlsMode> parse_ktls(std::string_view text) {
  return pick(text, kKtls, kKtlsWords);
}
Parsed<ClientCertificate> parse_client_certificate(std::string_view text) {
  return pick(text, kClientCertificates, kClientCertificateWords);
}
Parsed<ClientCertHeader> parse_client_cert(std::string_view text) {
  return pick(text, kClientCertHeaders, kClientCertWords);
}

Parsed<std::string> parse_server_name(std::string_view text) {
  const bool is_address = text.find('/') == std::string_view::npos && io::Network::parse(text).has_value();
  if (is_address || is_host_name(text)) return std::string(text);
  return std::unexpected(fmt::format("{} is not a server name, allowed: {}", quote(text), kServerNameWords));
}

Parsed<std::string> parse_file(std::string_view text, const std::string& directory) {
  if (!is_file_name(text)) {
    return std::unexpected(fmt::format("{} is not a file name, allowed: {}", quote(text), kFileWords));
  }
  while (text.starts_with("./")) text.remove_prefix(2);
  return (std::filesystem::path(directory) / text).string();
}

Parsed<Policy> parse_policy(std::string_view text) {
  if (std::ranges::find(kLaterPolicies, text) != kLaterPolicies.end()) {
    return std::unexpected(fmt::format("{} is not supported by this version, allowed: {}", quote(text), kPolicyWords));
  }
  return pick(text, kPolicies, kPolicyWords);
}

Parsed<bool> parse_switch(std::string_view text) {
  if (const auto value = parse_boolean(text)) return *value;
  return std::unexpected(fmt::format("{} is neither true nor false, allowed: {}", quote(text), kBooleanWords));
}

Parsed<std::string> parse_access_log_path(std::string_view text) {
  if (text == "off") return std::string();
  if (!is_file_name(text)) {
    return std::unexpected(fmt::format("{} is not a file name, allowed: {}", quote(text), kAccessLogPathWords));
  }
  return std::string(text);
}

std::string shard_count_words() {
  return allowed_range(LimitId::kShardCount) + ", or auto";
}

Parsed<std::optional<uint32_t>> parse_shard_count(std::string_view text) {
  if (text == "auto") return std::optional<uint32_t>();
  const auto count = parse_limited(LimitId::kShardCount, text);
  if (count) return static_cast<uint32_t>(*count);
  return std::unexpected(count.error() + ", or auto");
}

Parsed<std::optional<std::vector<uint32_t>>> parse_cpus(std::string_view text) {
  if (text == "none") return std::optional<std::vector<uint32_t>>();
  if (auto cpus = parse_cpu_list(text)) return cpus;
  return std::unexpected(fmt::format("{} is not a list of CPUs, allowed: {}", quote(text), kCpusWords));
}

Parsed<io::Address> parse_listen_address(std::string_view text) {
  auto address = io::Address::parse(text);
  if (address) return *address;
  // io puts what is allowed in brackets; here it is said the same way for every value.
  constexpr std::string_view kBracket = " (allowed: ";
  std::string message = std::move(address).error();
  const size_t bracket = message.find(kBracket);
  if (bracket == std::string::npos || !message.ends_with(')')) return std::unexpected(message);
  message.pop_back();
  message.replace(bracket, kBracket.size(), ", allowed: ");
  return std::unexpected(message);
}

Parsed<io::Address> parse_endpoint_address(std::string_view text) {
  auto address = parse_listen_address(text);
  if (address && !address->is_unix() && address->port() == 0) {
    return std::unexpected(
        fmt::format("{} has port 0, to which nothing can connect, allowed: a port from 1 to 65535", quote(text)));
  }
  return address;
}

Parsed<EndpointConfig> parse_upstream(std::string_view text) {
  const size_t part = text.rfind(kWeightPart);
  EndpointConfig endpoint;
  endpoint.weight = static_cast<uint32_t>(initial(LimitId::kWeight));
  if (part != std::string_view::npos) {
    const auto weight = parse_limited(LimitId::kWeight, text.substr(part + kWeightPart.size()));
    if (!weight) return std::unexpected(fmt::format("in {} the weight {}", quote(text), weight.error()));
    endpoint.weight = static_cast<uint32_t>(*weight);
  }
  auto address = parse_endpoint_address(text.substr(0, part));
  if (!address) return std::unexpected(address.error());
  endpoint.address = *address;
  return endpoint;
}

std::string_view accept_text(AcceptMode mode) {
  return name_of(mode, kAccept);
}
std::string_view policy_text(Policy policy) {
  return name_of(policy, kPolicies);
}
std::string_view header_compression_text(HeaderCompression compression) {
  return name_of(compression, kHeaderCompression);
}
std::string_view log_level_text(LogLevel level) {
  return name_of(level, kLogLevels);
}
std::string_view proxy_protocol_text(ProxyProtocol protocol) {
  return name_of(protocol, kProxyProtocols);
}
std::string_view access_log_format_text(AccessLogFormat format) {
  return name_of(format, kFormats);
}
std::string_view ktls_text(KtlsMode mode) {
  return name_of(mode, kKtls);
}
std::string_view client_certificate_text(ClientCertificate client_certificate) {
  return name_of(client_certificate, kClientCertificates);
}
std::string_view client_cert_text(ClientCertHeader header) {
  return name_of(header, kClientCertHeaders);
}

}  // namespace ringway::config
