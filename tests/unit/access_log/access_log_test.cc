#include "proxy/access_log.h"

#include <gtest/gtest.h>

#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "base/units.h"

namespace ringway::proxy {
namespace {

// Formats into memory with guards behind it, so that a byte too many shows.
template <typename Format>
std::string line_of(Format&& format) {
  std::vector<char> out(AccessFormatter::kLineBytesMax + 16, '#');
  const size_t size = format(std::span<char>(out).first(AccessFormatter::kLineBytesMax));
  EXPECT_LE(size, AccessFormatter::kLineBytesMax);
  for (size_t index = AccessFormatter::kLineBytesMax; index < out.size(); ++index) EXPECT_EQ(out[index], '#');
  return std::string(out.data(), size);
}

std::string combined(const AccessRecord& record) {
  AccessFormatter formatter;
  return line_of([&](std::span<char> out) { return formatter.format_combined(record, out); });
}

std::string json(const AccessRecord& record) {
  AccessFormatter formatter;
  return line_of([&](std::span<char> out) { return formatter.format_json(record, out); });
}

AccessRecord course_record() {
  AccessRecord record;
  record.wall_time_ns = 1'620'848'893'678'000'000;
  record.client = "192.168.48.1";
  record.method = "POST";
  record.path = "/techschool_pcbook.LaptopService/CreateLaptop";
  record.authority = "0.0.0.0:8080";
  record.user_agent = "grpc-go/1.37.0";
  record.status = 200;
  record.grpc_status = 0;
  record.bytes_sent = 43;
  record.bytes_received = 310;
  record.cluster = "laptop_services";
  record.endpoint = "192.168.48.3:50051";
  record.attempts = 1;
  record.duration_ns = 1'234'567;
  record.hop_ns = 45'999;
  return record;
}

TEST(AccessLog, CombinedIsTheLineOfNginx) {
  EXPECT_EQ(combined(course_record()),
            "192.168.48.1 - - [12/May/2021:19:48:13 +0000] "
            "\"POST /techschool_pcbook.LaptopService/CreateLaptop HTTP/2.0\" 200 43 \"-\" \"grpc-go/1.37.0\"\n");
}

TEST(AccessLog, JsonHasEveryKeyInOrder) {
  EXPECT_EQ(json(course_record()),
            "{\"time\":\"2021-05-12T19:48:13.678Z\",\"client\":\"192.168.48.1\",\"method\":\"POST\","
            "\"path\":\"/techschool_pcbook.LaptopService/CreateLaptop\",\"authority\":\"0.0.0.0:8080\",\"status\":200,"
            "\"grpc_status\":0,\"bytes_sent\":43,\"bytes_received\":310,\"user_agent\":\"grpc-go/1.37.0\","
            "\"cluster\":\"laptop_services\",\"endpoint\":\"192.168.48.3:50051\",\"attempts\":1,\"duration_us\":1234,"
            "\"hop_us\":45}\n");
}

TEST(AccessLog, WhatIsNotThereIsADashOrNull) {
  AccessRecord record;
  EXPECT_EQ(combined(record), "- - - [01/Jan/1970:00:00:00 +0000] \"- - HTTP/2.0\" 000 0 \"-\" \"-\"\n");
  EXPECT_NE(json(record).find("\"grpc_status\":null,"), std::string::npos);
  record.grpc_status = 14;
  EXPECT_NE(json(record).find("\"grpc_status\":14,"), std::string::npos);
}

TEST(AccessLog, TheRefererIsLogged) {
  AccessRecord record = course_record();
  record.referer = "https://example.org/";
  EXPECT_NE(combined(record).find("200 43 \"https://example.org/\" \"grpc-go"), std::string::npos);
}

TEST(AccessLog, OneFormatterFollowsTheClock) {
  AccessFormatter formatter;
  AccessRecord record = course_record();
  const auto both = [&] {
    return line_of([&](std::span<char> out) { return formatter.format_combined(record, out); }) +
           line_of([&](std::span<char> out) { return formatter.format_json(record, out); });
  };
  const std::string first = both();
  EXPECT_EQ(first, combined(record) + json(record));
  record.wall_time_ns += base::kMillisecond_ns;
  EXPECT_EQ(both(), combined(record) + json(record)) << "the same second";
  record.wall_time_ns += base::kSecond_ns;
  EXPECT_EQ(both(), combined(record) + json(record)) << "the next one";
  record.wall_time_ns -= 3600 * base::kSecond_ns;
  EXPECT_EQ(both(), combined(record) + json(record)) << "a clock that was set back";
}

TEST(AccessLog, FieldsAreCutAtTheirLimit) {
  for (const size_t over : {0u, 1u, 2u}) {
    const std::string path(AccessFormatter::kFieldBytesMax - 1 + over, 'p');
    AccessRecord record = course_record();
    record.path = path;
    const std::string kept = path.substr(0, AccessFormatter::kFieldBytesMax);
    EXPECT_NE(combined(record).find("\"POST " + kept + " HTTP/2.0\""), std::string::npos) << over;
    EXPECT_NE(json(record).find("\"path\":\"" + kept + "\","), std::string::npos) << over;
  }
}

TEST(AccessLog, TheLongestLineFits) {
  const std::string worst(100'000, '\n');
  AccessRecord record;
  record.wall_time_ns = UINT64_MAX;
  record.client = record.method = record.path = record.authority = record.user_agent = record.referer = record.cluster =
      record.endpoint = worst;
  record.status = UINT16_MAX;
  record.grpc_status = INT32_MAX;
  record.bytes_sent = record.bytes_received = record.duration_ns = record.hop_ns = UINT64_MAX;
  record.attempts = UINT32_MAX;
  EXPECT_TRUE(json(record).ends_with("}\n"));
  EXPECT_TRUE(combined(record).ends_with("\"\n"));
  EXPECT_GT(json(record).size(), 7000u);
}

// Readers of both formats, as a consumer of the log would write them.

std::optional<std::string> unescape(std::string_view text, bool is_json) {
  std::string value;
  for (size_t index = 0; index < text.size(); ++index) {
    if (static_cast<unsigned char>(text[index]) < 0x20 || static_cast<unsigned char>(text[index]) >= 0x7f) return {};
    if (text[index] != '\\') {
      value += text[index];
      continue;
    }
    if (is_json && (text[index + 1] == '"' || text[index + 1] == '\\')) {
      value += text[++index];
      continue;
    }
    const std::string_view start = is_json ? "\\u00" : "\\x";
    if (text.substr(index, start.size()) != start) return {};
    unsigned byte = 0;
    const char* digits = text.data() + index + start.size();
    if (std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return {};
    value += static_cast<char>(byte);
    index += start.size() + 1;
  }
  return value;
}

// The members of a flat object; texts are unescaped, other values stand as written.
std::optional<std::map<std::string, std::string>> parse_json(std::string_view line) {
  std::map<std::string, std::string> members;
  if (!line.starts_with('{') || !line.ends_with("}\n")) return {};
  line = line.substr(1, line.size() - 3);
  const auto take_text = [&]() -> std::optional<std::string> {
    if (!line.starts_with('"')) return {};
    size_t end = 1;
    while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
    if (end >= line.size()) return {};
    auto text = unescape(line.substr(1, end - 1), true);
    line.remove_prefix(end + 1);
    return text;
  };
  while (!line.empty()) {
    const auto key = take_text();
    if (!key || !line.starts_with(':')) return {};
    line.remove_prefix(1);
    std::string value;
    if (line.starts_with('"')) {
      const auto text = take_text();
      if (!text) return {};
      value = *text;
    } else {
      value = line.substr(0, line.find(','));
      line.remove_prefix(value.size());
    }
    if (!members.emplace(*key, value).second) return {};
    if (line.empty()) break;
    if (!line.starts_with(',')) return {};
    line.remove_prefix(1);
  }
  return members;
}

// client, method, path, status, bytes, referer, user agent.
std::optional<std::vector<std::string>> parse_combined(std::string_view line) {
  std::vector<std::string> fields;
  const auto take = [&](std::string_view end) {
    const size_t at = line.find(end);
    if (at == std::string_view::npos) return false;
    const auto value = unescape(line.substr(0, at), false);
    if (!value) return false;
    fields.push_back(*value);
    line.remove_prefix(at + end.size());
    return true;
  };
  if (!take(" - - [") || !take("] \"") || !take(" ") || !take(" HTTP/2.0\" ") || !take(" ") || !take(" \"") ||
      !take("\" \"") || !take("\"\n") || !line.empty()) {
    return {};
  }
  return fields;
}

// Random texts: any byte, or the ones that matter to the formats more often than others.
std::string random_text(base::Prng& prng, bool allow_space) {
  constexpr std::string_view kNasty = "\"\\\n\r\t\x1b[]{}:,-\x7f\x80\xff";
  std::string text(prng.below(4) == 0 ? prng.below(150) : prng.below(12), '\0');
  for (char& byte : text) {
    byte = prng.below(3) == 0 ? kNasty[prng.below(static_cast<uint32_t>(kNasty.size()))]
                              : static_cast<char>(prng.below(256));
    // A space ends a field of the combined line; HTTP/2 peers cannot send one in a method or a path.
    if (byte == ' ' && !allow_space) byte = '_';
  }
  return text;
}

class AccessLogParsesBack : public testing::TestWithParam<uint64_t> {};

TEST_P(AccessLogParsesBack, EveryLineIsOneLineAndHoldsItsRecord) {
  base::Prng prng(GetParam());
  for (int round = 0; round < 500; ++round) {
    const std::string client = random_text(prng, false), method = random_text(prng, false),
                      path = random_text(prng, false), authority = random_text(prng, true),
                      agent = random_text(prng, true), referer = random_text(prng, true),
                      cluster = random_text(prng, true), endpoint = random_text(prng, true);
    AccessRecord record{.wall_time_ns = prng.next() >> 2,
                        .client = client,
                        .method = method,
                        .path = path,
                        .authority = authority,
                        .user_agent = agent,
                        .referer = referer,
                        .status = static_cast<uint16_t>(100 + prng.below(500)),
                        .grpc_status = static_cast<int>(prng.below(18)) - 1,
                        .bytes_sent = prng.next(),
                        .bytes_received = prng.next(),
                        .cluster = cluster,
                        .endpoint = endpoint,
                        .attempts = prng.below(5),
                        .duration_ns = prng.next(),
                        .hop_ns = prng.next()};
    const std::string json_line = json(record);
    ASSERT_EQ(json_line.find('\n'), json_line.size() - 1);
    auto members = parse_json(json_line);
    ASSERT_TRUE(members) << json_line;
    EXPECT_EQ(members->size(), 15u);
    EXPECT_EQ((*members)["client"], client);
    EXPECT_EQ((*members)["method"], method);
    EXPECT_EQ((*members)["path"], path);
    EXPECT_EQ((*members)["authority"], authority);
    EXPECT_EQ((*members)["user_agent"], agent);
    EXPECT_EQ((*members)["cluster"], cluster);
    EXPECT_EQ((*members)["endpoint"], endpoint);
    EXPECT_EQ((*members)["status"], std::to_string(record.status));
    EXPECT_EQ((*members)["grpc_status"], record.grpc_status < 0 ? "null" : std::to_string(record.grpc_status));
    EXPECT_EQ((*members)["bytes_sent"], std::to_string(record.bytes_sent));
    EXPECT_EQ((*members)["bytes_received"], std::to_string(record.bytes_received));
    EXPECT_EQ((*members)["attempts"], std::to_string(record.attempts));
    EXPECT_EQ((*members)["duration_us"], std::to_string(record.duration_ns / 1000));
    EXPECT_EQ((*members)["hop_us"], std::to_string(record.hop_ns / 1000));

    const std::string combined_line = combined(record);
    ASSERT_EQ(combined_line.find('\n'), combined_line.size() - 1);
    const auto fields = parse_combined(combined_line);
    ASSERT_TRUE(fields) << combined_line;
    const auto or_dash = [](const std::string& value) { return value.empty() ? "-" : value; };
    EXPECT_EQ((*fields)[0], or_dash(client));
    EXPECT_EQ((*fields)[2], or_dash(method));
    EXPECT_EQ((*fields)[3], or_dash(path));
    EXPECT_EQ((*fields)[4], std::to_string(record.status));
    EXPECT_EQ((*fields)[5], std::to_string(record.bytes_sent));
    EXPECT_EQ((*fields)[6], or_dash(referer));
    EXPECT_EQ((*fields)[7], or_dash(agent));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AccessLogParsesBack, testing::Range(uint64_t{1}, uint64_t{5}));

TEST(AccessLogDeathTest, ASmallBufferIsABug) {
  AccessFormatter formatter;
  std::vector<char> small(AccessFormatter::kLineBytesMax - 1);
  EXPECT_DEATH(formatter.format_json({}, small), "assertion failed");
}

}  // namespace
}  // namespace ringway::proxy
