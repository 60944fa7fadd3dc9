// ringway-load: makes gRPC calls in a closed or an open loop and says how long they took.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "command_line.h"
#include "handshake_worker.h"
#include "options.h"
#include "report.h"
#include "worker.h"

using namespace ringway;

namespace {

// With a server name, what a client would write that had found the target by that name.
std::string authority_of(const load::Options& options) {
  const std::string name = options.tls ? options.tls.credentials->server_name() : "";
  if (options.target.is_unix()) return name.empty() ? "localhost" : name;
  return name.empty() ? options.target.text() : fmt::format("{}:{}", name, options.target.port());
}

load::CallShape make_shape(const load::Options& options) {
  load::CallShape shape;
  shape.method = shape.fields.add(":method", "POST");
  shape.scheme = shape.fields.add(":scheme", options.tls ? "https" : "http");
  for (uint64_t i = 0; i < options.paths; ++i) {
    const uint32_t field =
        shape.fields.add(":path", options.paths == 1 ? options.path : fmt::format("{}{}", options.path, i));
    if (i == 0) shape.first_path = field;
  }
  shape.fixed = {shape.fields.add(":authority", authority_of(options)),
                 shape.fields.add("content-type", "application/grpc"),
                 shape.fields.add("user-agent", "ringway-load/" RINGWAY_VERSION), shape.fields.add("te", "trailers")};
  for (const auto& [name, value] : options.headers) shape.fixed.push_back(shape.fields.add(name, value));
  shape.varies_metadata = options.varies_metadata;
  shape.grpc_timeout = shape.fields.add_varying("grpc-timeout");
  shape.traceparent = shape.fields.add_varying("traceparent");
  shape.authorization = shape.fields.add_varying("authorization");

  const auto size = static_cast<uint32_t>(options.message_bytes);
  shape.message = {0, static_cast<uint8_t>(size >> 24), static_cast<uint8_t>(size >> 16),
                   static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
  for (uint32_t i = 0; i < size; ++i) shape.message.push_back(static_cast<uint8_t>('a' + i % 26));
  shape.message_count = options.stream_messages;
  shape.is_pipelined = options.is_pipelined;
  shape.windows = options.windows;
  return shape;
}

// Connections and requests are dealt out as evenly as they go.
load::Share share_of(const load::Options& options, uint64_t index) {
  const auto part = [&](uint64_t whole) { return whole / options.threads + (index < whole % options.threads ? 1 : 0); };
  return {.index = index,
          .thread_count = options.threads,
          .connections = static_cast<uint32_t>(part(options.connections)),
          .requests = part(options.requests)};
}

// One worker a thread; what they saw is reported.
template <typename Worker>
int run(const load::Options& options, const load::CallShape& shape, const io::Fd& stop) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint64_t i = 0; i < options.threads; ++i) {
    workers.push_back(std::make_unique<Worker>(options, shape, share_of(options, i)));
  }
  // Call starts are timed: the kernel must not round wake-ups to its usual 50 us.
  prctl(PR_SET_TIMERSLACK, 1);
  std::vector<std::thread> threads;
  for (auto& worker : workers) {
    threads.emplace_back([&worker, &stop] {
      if (auto result = worker->run(stop.get()); !result) {
        std::fputs(fmt::format("ringway-load: {}\n", result.error()).c_str(), stderr);
        std::_Exit(tools::kExitFailure);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const auto total = std::make_unique<load::Result>();
  for (const auto& worker : workers) total->merge(worker->result());
  std::fputs((options.wants_json ? load::json_report(options, *total) : load::text_report(options, *total)).c_str(),
             stdout);
  return total->errors.empty() ? tools::kExitDone : tools::kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  auto read = load::read_options(argc, argv);
  if (const int* done = std::get_if<int>(&read)) return *done;
  const load::Options options = std::get<load::Options>(std::move(read));

  const io::Fd stop = tools::stop_signal();
  tools::raise_descriptor_limit();
  if (auto usable = io::can_make_ring(); !usable) {
    std::fputs(fmt::format("ringway-load: {}\n", usable.error()).c_str(), stderr);
    return tools::kExitFailure;
  }
  const load::CallShape shape = make_shape(options);
  return options.is_of_handshakes ? run<load::HandshakeWorker>(options, shape, stop)
                                  : run<load::Worker>(options, shape, stop);
}
