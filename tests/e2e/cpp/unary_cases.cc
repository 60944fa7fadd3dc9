// Unary calls: sizes, statuses, deadlines, cancellation, concurrency, compression, keepalive.
#include <chrono>
#include <future>
#include <thread>

#include "check.h"

namespace ringway::e2e {
namespace {

constexpr size_t kMegabytes10 = 10'000'000;
const std::string kUtf8Message = "Schlüssel №%41 – 50 % ✓ 鍵";

Response call_unary(const Case& test_case, const Request& request) {
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  check_ok(test_case.stub->Unary(&context, request, &response));
  return response;
}

void empty_unary(const Case& test_case) {
  const Response response = call_unary(test_case, {});
  check_equal(response.received_bytes(), 0u, "bytes that the server received");
  check_equal(response.body(), "", "body");
}

void unary(const Case& test_case) {
  Request request;
  for (int i = 0; i < 1024; ++i) request.mutable_body()->push_back(static_cast<char>(i % 256));
  check(call_unary(test_case, request).body() == request.body(), "the body comes back");
  request.set_response_bytes(100'000);
  check_equal(call_unary(test_case, request).body().size(), 100'000u, "size of the body asked for");
}

void large_unary(const Case& test_case) {
  Request request;
  request.mutable_body()->reserve(kMegabytes10);
  for (size_t i = 0; i < kMegabytes10; ++i) request.mutable_body()->push_back(static_cast<char>(i % 251));
  const Response response = call_unary(test_case, request);
  check_equal(response.received_bytes(), kMegabytes10, "bytes that the server received");
  check(response.body() == request.body(), "10 MB come back unchanged");
}

void status_codes(const Case& test_case) {
  for (int code = 0; code <= 16; ++code) {
    Request request;
    request.mutable_end()->set_code(code);
    request.mutable_end()->set_message(kUtf8Message + std::to_string(code));
    grpc::ClientContext context;
    limit_call(context);
    Response response;
    const grpc::Status status = test_case.stub->Unary(&context, request, &response);
    if (code == 0) {
      check_ok(status);
    } else {
      check_status(status, static_cast<grpc::StatusCode>(code), request.end().message());
    }
  }
}

void trailers_only(const Case& test_case) {
  Request request;
  request.mutable_end()->set_code(5);
  request.mutable_end()->set_message("not here");
  const std::string detail("\x00\x01\xfe\xff", 4);
  grpc::ClientContext context;
  limit_call(context);
  context.AddMetadata("x-e2e-trailing-reason", "gone");
  context.AddMetadata("x-e2e-trailing-detail-bin", detail);
  Response response;
  check_status(test_case.stub->Unary(&context, request, &response), grpc::StatusCode::NOT_FOUND, "not here");
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto reason = trailing.find("x-e2e-trailing-reason");
  check(reason != trailing.end() && reason->second == "gone", "the trailing metadata arrives");
  const auto binary = trailing.find("x-e2e-trailing-detail-bin");
  check(binary != trailing.end() && binary->second == detail, "the trailing binary metadata arrives");
}

void deadline_seen_by_server(const Case& test_case) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  Response response;
  check_ok(test_case.stub->Unary(&context, {}, &response));
  // Stacks send a time-out of few digits, which some of them round up.
  check(response.remaining_ms() > 10'000 && response.remaining_ms() <= 20'500,
        "about 20 s remain at the server, which says " + std::to_string(response.remaining_ms()) + " ms");
  grpc::ClientContext unlimited;
  check_ok(test_case.stub->Unary(&unlimited, {}, &response));
  check_equal(response.remaining_ms(), -1, "time remaining without a deadline");
}

void deadline_exceeded(const Case& test_case) {
  Request request;
  request.set_call_id(new_call_id());
  request.set_wait_for_cancel(true);
  const auto begin = std::chrono::steady_clock::now();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  Response response;
  check_status(test_case.stub->Unary(&context, request, &response), grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  check(elapsed > std::chrono::milliseconds(250) && elapsed < std::chrono::seconds(5),
        "a call with a deadline of 300 ms ends at about that time");
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.cancelled(); },
      "the call past its deadline was cancelled");
}

void cancel_before_response(const Case& test_case) {
  Request request;
  request.set_call_id(new_call_id());
  request.set_wait_for_cancel(true);
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  auto status = std::async(std::launch::async, [&] { return test_case.stub->Unary(&context, request, &response); });
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.started(); }, "the call had started");
  context.TryCancel();
  check_status(status.get(), grpc::StatusCode::CANCELLED);
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.cancelled(); }, "the call was cancelled");
}

void unimplemented_method(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  check_status(test_case.stub->NeverImplemented(&context, {}, &response), grpc::StatusCode::UNIMPLEMENTED);
}

void unimplemented_service(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  const auto stub = Unregistered::NewStub(test_case.channel);
  check_status(stub->Unary(&context, {}, &response), grpc::StatusCode::UNIMPLEMENTED);
}

void concurrent_100(const Case& test_case) {
  struct Call {
    grpc::ClientContext context;
    Request request;
    Response response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  };
  grpc::CompletionQueue queue;
  std::vector<Call> calls(100);
  const std::string meeting = new_call_id();
  for (size_t i = 0; i < calls.size(); ++i) {
    Call& call = calls[i];
    limit_call(call.context);
    call.request.set_body(std::to_string(i));
    call.request.mutable_meeting()->set_name(meeting);
    call.request.mutable_meeting()->set_callers(100);
    call.reader = test_case.stub->AsyncUnary(&call.context, call.request, &queue);
    call.reader->Finish(&call.response, &call.status, &call);
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    void* tag = nullptr;
    bool ok = false;
    check(queue.Next(&tag, &ok), "the completion queue goes on");
  }
  for (const Call& call : calls) {
    check_ok(call.status);
    check_equal(call.response.body(), call.request.body(), "body of one of 100 calls");
  }
}

void compressed_request(const Case& test_case) {
  Request request;
  for (int i = 0; i < 50'000; ++i) request.mutable_body()->append("compressible ");
  request.set_response_bytes(1);
  grpc::ClientContext context;
  limit_call(context);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  Response response;
  check_ok(test_case.stub->Unary(&context, request, &response));
  check_equal(response.received_bytes(), request.body().size(), "bytes that the server unpacked");
}

void compressed_response(const Case& test_case) {
  Request request;
  request.set_response_bytes(1'000'000);
  request.set_compress_response(true);
  check(call_unary(test_case, request).body() == std::string(1'000'000, '\0'), "1 MB of zeros comes back");
}

// A call without data outlasts several pings, none of which may end the connection.
void keepalive_pings(const Case& test_case) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 150);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt("grpc.http2.min_time_between_pings_ms", 150);
  arguments.SetInt("grpc.http2.min_sent_ping_interval_without_data_ms", 150);
  const auto stub = Interop::NewStub(open_channel(test_case.target, arguments));
  Request request;
  request.set_body("still here");
  request.set_sleep_ms(1000);
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  check_ok(stub->Unary(&context, request, &response));
  check_equal(response.body(), "still here", "body after several pings");
}

}  // namespace

std::vector<NamedCase> unary_cases() {
  return {{"empty_unary", empty_unary},
          {"unary", unary},
          {"large_unary", large_unary},
          {"status_codes", status_codes},
          {"trailers_only", trailers_only},
          {"deadline_seen_by_server", deadline_seen_by_server},
          {"deadline_exceeded", deadline_exceeded},
          {"cancel_before_response", cancel_before_response},
          {"unimplemented_method", unimplemented_method},
          {"unimplemented_service", unimplemented_service},
          {"concurrent_100", concurrent_100},
          {"compressed_request", compressed_request},
          {"compressed_response", compressed_response},
          {"keepalive_pings", keepalive_pings}};
}

}  // namespace ringway::e2e
