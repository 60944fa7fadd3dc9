// The three streaming kinds: order, size, half-close, early answers, statuses, deadlines and cancellation.
#include <chrono>

#include "check.h"

namespace ringway::e2e {
namespace {

constexpr size_t kMegabytes10 = 10'000'000;

void server_stream(const Case& test_case) {
  Request request;
  request.set_body("again");
  for (const uint32_t count : {50u, 0u}) {
    request.set_response_count(count);
    grpc::ClientContext context;
    limit_call(context);
    const auto reader = test_case.stub->ServerStream(&context, request);
    Response response;
    uint32_t received = 0;
    for (; reader->Read(&response); ++received) check_equal(response.body(), "again", "body");
    check_ok(reader->Finish());
    check_equal(received, count, "responses");
  }
}

void client_stream(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  const auto writer = test_case.stub->ClientStream(&context, &response);
  size_t sum = 0;
  for (const size_t size : {0u, 1u, 8u, 27'182u, 1828u, 45'904u}) {
    Request request;
    request.mutable_body()->resize(size);
    check(writer->Write(request), "the stream takes the message");
    sum += size;
  }
  writer->WritesDone();
  check_ok(writer->Finish());
  check_equal(response.received_messages(), 6u, "messages that the server received");
  check_equal(response.received_bytes(), sum, "bytes that the server received");
}

// Each response is awaited before the next request, so a proxy that gathers messages would hang here.
void bidi_stream(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  const auto stream = test_case.stub->BidiStream(&context);
  Response response;
  for (const size_t size : {31'415u, 9u, 2653u, 58'979u, 0u, 1u}) {
    Request request;
    request.set_body(std::string(size, static_cast<char>(size % 251)));
    check(stream->Write(request), "the stream takes the message");
    check(stream->Read(&response), "a response comes before the next request");
    check(response.body() == request.body(), "the response of " + std::to_string(size) + " bytes equals the request");
  }
  stream->WritesDone();
  check(!stream->Read(&response), "no response follows the last one");
  check_ok(stream->Finish());
}

void empty_stream(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  const auto stream = test_case.stub->BidiStream(&context);
  stream->WritesDone();
  Response response;
  check(!stream->Read(&response), "an empty stream has no response");
  check_ok(stream->Finish());
}

void large_stream_messages(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  const auto stream = test_case.stub->BidiStream(&context);
  for (const char letter : {'a', 'b'}) {
    Request request;
    request.set_body(std::string(kMegabytes10, letter));
    check(stream->Write(request), "the stream takes 10 MB");
    Response response;
    check(stream->Read(&response), "a response comes");
    check(response.body() == request.body(), "10 MB come back unchanged");
  }
  stream->WritesDone();
  check_ok(stream->Finish());
}

void half_close(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  const auto stream = test_case.stub->BidiStream(&context);
  for (int i = 0; i < 20; ++i) {
    Request request;
    request.set_body(std::to_string(i));
    request.set_answer_after_half_close(true);
    check(stream->Write(request), "the stream takes the message");
  }
  stream->WritesDone();
  Response response;
  int received = 0;
  for (; stream->Read(&response); ++received) check_equal(response.body(), std::to_string(received), "body");
  check_ok(stream->Finish());
  check_equal(received, 20, "responses after the client's half-close");
}

// The server answers after two messages while the client goes on writing.
void early_response(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  const auto writer = test_case.stub->ClientStream(&context, &response);
  Request request;
  request.set_body(std::string(10'000, 'x'));
  request.set_answer_after(2);
  int written = 0;
  while (writer->Write(request)) check(++written < 100'000, "the early answer ends the upload");
  check_ok(writer->Finish());
  check_equal(response.received_messages(), 2u, "messages that the server had read");
}

void status_after_stream(const Case& test_case) {
  Request request;
  request.set_response_count(3);
  request.set_body("x");
  request.mutable_end()->set_code(10);
  request.mutable_end()->set_message("späte Absage");
  grpc::ClientContext context;
  limit_call(context);
  context.AddMetadata("x-e2e-trailing-bin", "late");
  const auto reader = test_case.stub->ServerStream(&context, request);
  Response response;
  int received = 0;
  while (reader->Read(&response)) ++received;
  check_status(reader->Finish(), grpc::StatusCode::ABORTED, "späte Absage");
  check_equal(received, 3, "responses before the status");
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto late = trailing.find("x-e2e-trailing-bin");
  check(late != trailing.end() && late->second == "late", "the trailing metadata arrives");
}

Request stream_that_waits() {
  Request request;
  request.set_call_id(new_call_id());
  request.set_body("x");
  request.set_response_count(3);
  request.set_wait_after_responses(true);
  return request;
}

void deadline_exceeded_on_stream(const Case& test_case) {
  const Request request = stream_that_waits();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  const auto reader = test_case.stub->ServerStream(&context, request);
  Response response;
  int received = 0;
  while (reader->Read(&response)) ++received;
  check_status(reader->Finish(), grpc::StatusCode::DEADLINE_EXCEEDED);
  check_equal(received, 3, "responses before the deadline");
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.cancelled(); },
      "the stream past its deadline was cancelled");
}

void cancel_during_stream(const Case& test_case) {
  const Request request = stream_that_waits();
  grpc::ClientContext context;
  limit_call(context);
  const auto reader = test_case.stub->ServerStream(&context, request);
  Response response;
  for (int i = 0; i < 3; ++i) check(reader->Read(&response), "a response comes");
  context.TryCancel();
  check(!reader->Read(&response), "no response comes after the cancellation");
  check_status(reader->Finish(), grpc::StatusCode::CANCELLED);
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.cancelled(); }, "the stream was cancelled");
}

void cancel_during_upload(const Case& test_case) {
  Request request;
  request.set_call_id(new_call_id());
  request.set_wait_for_cancel(true);
  grpc::ClientContext context;
  limit_call(context);
  Response response;
  const auto writer = test_case.stub->ClientStream(&context, &response);
  check(writer->Write(request) && writer->Write(request), "the stream takes two messages");
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.received_messages() == 2; },
      "both messages had arrived");
  context.TryCancel();
  check_status(writer->Finish(), grpc::StatusCode::CANCELLED);
  test_case.await_report(
      request.call_id(), [](const ReportResponse& report) { return report.cancelled(); }, "the upload was cancelled");
}

}  // namespace

std::vector<NamedCase> streaming_cases() {
  return {{"server_stream", server_stream},
          {"client_stream", client_stream},
          {"bidi_stream", bidi_stream},
          {"empty_stream", empty_stream},
          {"large_stream_messages", large_stream_messages},
          {"half_close", half_close},
          {"early_response", early_response},
          {"status_after_stream", status_after_stream},
          {"deadline_exceeded_on_stream", deadline_exceeded_on_stream},
          {"cancel_during_stream", cancel_during_stream},
          {"cancel_during_upload", cancel_during_upload}};
}

}  // namespace ringway::e2e
