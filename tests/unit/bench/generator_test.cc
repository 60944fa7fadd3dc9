#include "generator.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "failure.h"

namespace ringway::bench {
namespace {

bool has(const std::vector<std::string>& arguments, const std::string& argument) {
  return std::find(arguments.begin(), arguments.end(), argument) != arguments.end();
}

std::string after(const std::vector<std::string>& arguments, const std::string& flag) {
  const auto found = std::find(arguments.begin(), arguments.end(), flag);
  return found == arguments.end() || found + 1 == arguments.end() ? "" : *(found + 1);
}

TEST(GeneratorArguments, OfRingwayLoad) {
  const Load load{.target = "127.0.0.1:1",
                  .connections = 8,
                  .streams = 10,
                  .duration_s = 0.5,
                  .rate = 1000,
                  .message_bytes = 64,
                  .stream_messages = 4,
                  .is_pipelined = true,
                  .vary_metadata = true,
                  .paths = 64};
  const auto arguments = generator_arguments(load, "ringway-load", "");
  EXPECT_EQ(after(arguments, "--target"), "127.0.0.1:1");
  EXPECT_EQ(after(arguments, "--connections"), "8");
  EXPECT_EQ(after(arguments, "--streams"), "10");
  EXPECT_EQ(after(arguments, "--duration"), "500ms");
  EXPECT_EQ(after(arguments, "--rate"), "1000");
  EXPECT_EQ(after(arguments, "--message-bytes"), "64");
  EXPECT_EQ(after(arguments, "--stream-messages"), "4");
  EXPECT_EQ(after(arguments, "--paths"), "64");
  EXPECT_TRUE(has(arguments, "--pipelined"));
  EXPECT_TRUE(has(arguments, "--vary-metadata"));
  EXPECT_TRUE(has(arguments, "--json"));
  EXPECT_FALSE(has(arguments, "--requests"));
}

TEST(GeneratorArguments, SayHowTheTargetSpeaksTls) {
  Load load{.target = "127.0.0.1:1", .requests = 5, .ca = "/ca.pem", .handshakes = Handshakes::kFull};
  auto arguments = generator_arguments(load, "ringway-load", "");
  EXPECT_TRUE(has(arguments, "--upstream-tls"));
  EXPECT_EQ(after(arguments, "--upstream-ca"), "/ca.pem");
  EXPECT_EQ(after(arguments, "--tls-cipher"), "aes-128-gcm");
  EXPECT_TRUE(has(arguments, "--handshakes"));
  EXPECT_FALSE(has(arguments, "--resume"));
  load.handshakes = Handshakes::kResumed;
  arguments = generator_arguments(load, "ringway-load", "");
  EXPECT_TRUE(has(arguments, "--handshakes"));
  EXPECT_TRUE(has(arguments, "--resume"));

  load = {.generator = GeneratorKind::kH2load, .target = "127.0.0.1:1", .requests = 5, .ca = "/ca.pem"};
  arguments = generator_arguments(load, "h2load", "/body");
  EXPECT_TRUE(has(arguments, "--tls13-ciphers=TLS_AES_128_GCM_SHA256"));
  EXPECT_TRUE(has(arguments, std::string("https://127.0.0.1:1") + kPath));

  load.ca.clear();
  for (const auto kind : {GeneratorKind::kH2load, GeneratorKind::kRingwayLoad}) {
    load.generator = kind;
    for (const std::string& argument : generator_arguments(load, "", "")) {
      EXPECT_EQ(argument.find("tls"), std::string::npos) << argument;
      EXPECT_EQ(argument.find("https"), std::string::npos) << argument;
    }
  }
}

TEST(GeneratorArguments, OfH2loadCyclePaths) {
  const Load load{.generator = GeneratorKind::kH2load,
                  .target = "127.0.0.1:1",
                  .connections = 8,
                  .streams = 10,
                  .requests = 500,
                  .paths = 3};
  const auto arguments = generator_arguments(load, "h2load", "/body");
  EXPECT_TRUE(has(arguments, "--requests=500"));
  EXPECT_TRUE(has(arguments, "--clients=8"));
  EXPECT_TRUE(has(arguments, "--max-concurrent-streams=10"));
  EXPECT_TRUE(has(arguments, "--data=/body"));
  EXPECT_TRUE(has(arguments, std::string("http://127.0.0.1:1") + kPath + "2"));
  EXPECT_FALSE(has(arguments, std::string("http://127.0.0.1:1") + kPath + "3"));
}

TEST(GrpcBody, HasTheLengthInNetworkOrder) {
  const std::string body = grpc_body(0x0102);
  ASSERT_EQ(body.size(), 5U + 0x0102);
  EXPECT_EQ(body.substr(0, 5), std::string("\0\0\0\1\2", 5));
}

const std::string kReport =
    R"({"requests": 1000, "errors": {"grpc_status": 2, "reset": 0}, "duration_s": 0.5, "rate_offered": 2100, "rate_achieved": 2000,)"
    R"( "latency_us": {"mean": 50.5, "p50": 48, "p90": 60, "p99": 90, "p99.9": 120, "max": 300},)"
    R"( "latency_from_send_us": {"mean": 49, "p50": 47, "p90": 59, "p99": 80, "p99.9": 100, "max": 200}, "schedule_lag_us": null,)"
    R"( "cpu_s": 0.25, "bottleneck": true, "bottleneck_reason": "its CPU was busy", "bytes_sent": 10, "bytes_received": 20})";

TEST(RingwayLoadReport, SaysWhatWasAgreedOn) {
  EXPECT_FALSE(parse_ringway_load(kReport).tls);
  std::string text = kReport;
  text.back() = ',';
  const Report report = parse_ringway_load(
      text + R"( "tls": {"kinds": {"TLSv1.3 AES-128-GCM X25519": 8}, "handshakes": 8, "resumed": 3}})");
  ASSERT_TRUE(report.tls);
  EXPECT_EQ(report.tls->kind, "TLSv1.3 AES-128-GCM X25519");
  EXPECT_EQ(report.tls->handshakes, 8U);
  EXPECT_EQ(report.tls->resumed, 3U);
  EXPECT_FALSE(parse_ringway_load(text + R"( "tls": null})").tls);
}

TEST(RingwayLoadReport, IsRead) {
  const Report report = parse_ringway_load(kReport);
  EXPECT_EQ(report.requests, 1000U);
  EXPECT_EQ(report.succeeded, 998U);
  EXPECT_DOUBLE_EQ(report.rate_offered, 2100);
  EXPECT_DOUBLE_EQ(report.rate_achieved, 2000);
  EXPECT_EQ(report.errors, (std::map<std::string, uint64_t>{{"grpc_status", 2}}));
  EXPECT_EQ(report.error_count(), 2U);
  ASSERT_TRUE(report.latency);
  EXPECT_DOUBLE_EQ(report.latency->mean, 50.5);
  EXPECT_EQ(report.latency->p999, 120);
  ASSERT_TRUE(report.latency_from_send);
  EXPECT_EQ(report.latency_from_send->p99, 80);
  EXPECT_FALSE(report.schedule_lag);
  EXPECT_TRUE(report.is_bottleneck);
  EXPECT_EQ(report.bottleneck_reason, "its CPU was busy");
  EXPECT_EQ(report.bytes, 30U);
}

TEST(RingwayLoadReport, MayCountSuccessesItself) {
  EXPECT_EQ(
      parse_ringway_load(
          R"({"requests": 10, "succeeded": 4, "errors": {"not started in time": 6}, "duration_s": 1, "rate_achieved": 4})")
          .succeeded,
      4U);
}

TEST(RingwayLoadReport, IsRefusedWhenAFigureIsMissing) {
  EXPECT_THROW(parse_ringway_load(""), Failure);
  EXPECT_THROW(parse_ringway_load("connect: refused"), Failure);
  EXPECT_THROW(parse_ringway_load(R"({"requests": 5})"), Failure);
  EXPECT_THROW(parse_ringway_load("{\"requests\": 5"), Failure);
  EXPECT_THROW(parse_ringway_load(R"({"requests": 5, "duration_s": 0, "rate_achieved": 0})"), Failure);
}

std::string h2load_text(const std::string& requests_line, const std::string& times) {
  return "starting benchmark...\nspawning thread #0: 1 total client(s). 100 total requests\nApplication protocol: h2c\n"
         "progress: 100% done\n\nfinished in 1.50s, 66666.67 req/s, 2.50MB/s\n" +
         requests_line +
         "\nstatus codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx\ntraffic: 3.75MB (3932160) total, 390.62KB (400000) headers\n"
         "                     min         max         mean         sd        +/- sd\n" +
         times + "\ntime for connect:       90us       210us       150us        60us   100.00%\n";
}

TEST(H2loadReport, IsRead) {
  const Report report = parse_h2load(h2load_text(
      "requests: 100000 total, 100000 started, 100000 done, 100000 succeeded, 0 failed, 0 errored, 0 timeout",
      "time for request:      131us      2.62ms       1.43ms        18us    97.00%"));
  EXPECT_EQ(report.requests, 100'000U);
  EXPECT_DOUBLE_EQ(report.rate_achieved, 66666.67);
  EXPECT_NEAR(report.duration_s, 1.5, 1e-6);
  EXPECT_EQ(report.error_count(), 0U);
  ASSERT_TRUE(report.latency);
  EXPECT_DOUBLE_EQ(report.latency->mean, 1430);
  EXPECT_EQ(report.latency->max, 2620);
  EXPECT_FALSE(report.latency->p50);
}

TEST(H2loadReport, CountsEveryCallThatDidNotSucceed) {
  const Report report = parse_h2load(
      h2load_text("requests: 100 total, 97 started, 96 done, 90 succeeded, 10 failed, 3 errored, 1 timeout",
                  "time for request:      131us       262us       143us        18us    97.00%"));
  EXPECT_EQ(report.requests, 96U);
  EXPECT_EQ(report.errors.at("errored"), 3U);
  EXPECT_EQ(report.errors.at("timeout"), 1U);
  EXPECT_EQ(report.error_count(), 10U);
  EXPECT_EQ(report.succeeded, 90U);
}

TEST(H2loadReport, IsRefusedWhenALineIsMissing) {
  EXPECT_THROW(parse_h2load(""), Failure);
  EXPECT_THROW(parse_h2load("finished in 1.50s, 66666.67 req/s, 2.50MB/s\n"), Failure);
  EXPECT_THROW(
      parse_h2load(h2load_text("requests: 5 total, 5 started, 5 done, 5 succeeded, 0 failed, 0 errored, 0 timeout",
                               "time for request:      fast")),
      Failure);
}

}  // namespace
}  // namespace ringway::bench
