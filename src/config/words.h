// The settings that are one of a few words, or an address: the same for the file and the flags. Each function answers
// the value, or "what is wrong with 'text', allowed: …". The *_text functions print what the parse functions read.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/snapshot.h"

namespace ringway::config {

template <typename T>
using Parsed = std::expected<T, std::string>;

inline constexpr std::string_view kAcceptWords = "balanced, reuseport";
inline constexpr std::string_view kPolicyWords = "round_robin";
inline constexpr std::string_view kHeaderCompressionWords = "dynamic, static";
inline constexpr std::string_view kLogLevelWords = "debug, info, warn, error";
inline constexpr std::string_view kProxyProtocolWords = "off, optional, require";
inline constexpr std::string_view kAccessLogFormatWords = "combined, json";
inline constexpr std::string_view kKtlsWords = "off, tx, rxtx, auto";
inline constexpr std::string_view kClientCertificateWords = "off, optional, require";
inline constexpr std::string_view kClientCertWords = "sanitize, sanitize_set, append_forward, forward_only";
inline constexpr std::string_view kFileWords = "the name of a file";
inline constexpr std::string_view kServerNameWords = "a host name, as api.example.com, or an IP address";
inline constexpr std::string_view kBooleanWords = "true or false";
inline constexpr std::string_view kForwardedForWords = "append, off";
inline constexpr std::string_view kAccessLogPathWords = "a file, - for standard output, or off";
inline constexpr std::string_view kCpusWords = "a list of CPUs without repetition, as 2-7,9, or none";
inline constexpr std::string_view kAddressWords = "HOST:PORT with an IP address or localhost, [IPV6]:PORT, unix:PATH";

Parsed<AcceptMode> parse_accept(std::string_view text);
Parsed<Policy> parse_policy(std::string_view text);
Parsed<HeaderCompression> parse_header_compression(std::string_view text);
Parsed<LogLevel> parse_log_level(std::string_view text);
Parsed<AccessLogFormat> parse_access_log_format(std::string_view text);
Parsed<ProxyProtocol> parse_proxy_protocol(std::string_view text);
Parsed<io::Network> parse_network(std::string_view text);
Parsed<KtlsMode> parse_ktls(std::string_view text);
Parsed<ClientCertificate> parse_client_certificate(std::string_view text);
Parsed<ClientCertHeader> parse_client_cert(std::string_view text);
Parsed<std::string> parse_server_name(std::string_view text);
// A relative name is one in `directory`; the answer is absolute if that is.
Parsed<std::string> parse_file(std::string_view text, const std::string& directory);
Parsed<bool> parse_switch(std::string_view text);
Parsed<bool> parse_forwarded_for(std::string_view text);
Parsed<std::string> parse_access_log_path(std::string_view text);  // "off" becomes the empty path

// Nothing inside: "auto", or "none".
Parsed<std::optional<uint32_t>> parse_shard_count(std::string_view text);
Parsed<std::optional<std::vector<uint32_t>>> parse_cpus(std::string_view text);
std::string shard_count_words();

// An endpoint's address has a port that is not 0.
Parsed<io::Address> parse_listen_address(std::string_view text);
Parsed<io::Address> parse_endpoint_address(std::string_view text);
// ADDR[,weight=N], as --upstream has it.
Parsed<EndpointConfig> parse_upstream(std::string_view text);

std::string_view accept_text(AcceptMode mode);
std::string_view policy_text(Policy policy);
std::string_view header_compression_text(HeaderCompression compression);
std::string_view log_level_text(LogLevel level);
std::string_view proxy_protocol_text(ProxyProtocol protocol);
std::string_view access_log_format_text(AccessLogFormat format);
std::string_view ktls_text(KtlsMode mode);
std::string_view client_certificate_text(ClientCertificate client_certificate);
std::string_view client_cert_text(ClientCertHeader header);

}  // namespace ringway::config
