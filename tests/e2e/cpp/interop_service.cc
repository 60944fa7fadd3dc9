#include "interop_service.h"

#include <chrono>
#include <thread>
#include <vector>

namespace ringway::e2e {
namespace {

constexpr std::chrono::seconds kWaitLimit{20};

bool has_prefix(const grpc::string_ref& key, std::string_view prefix) {
  return std::string_view(key.data(), key.size()).starts_with(prefix);
}

std::string as_string(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

// The synchronous server tells of a cancellation only when asked, hence the short pauses.
void await_cancellation(const grpc::ServerContext& context) {
  const auto limit = std::chrono::steady_clock::now() + kWaitLimit;
  while (!context.IsCancelled() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

grpc::Status end_status(const Request& request) {
  if (request.end().code() == 0) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(request.end().code()), request.end().message()};
}

void prepare(grpc::ServerContext& context, const Request& request) {
  if (request.compress_response()) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
}

Response response_to(const grpc::ServerContext& context, const Request& request, uint64_t received_bytes,
                     uint32_t received_messages) {
  if (request.sleep_ms() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(request.sleep_ms()));
  Response response;
  response.set_body(request.response_bytes() == 0 ? request.body() : std::string(request.response_bytes(), '\0'));
  const auto deadline = context.deadline();
  const bool unlimited = deadline == std::chrono::system_clock::time_point::max();
  const auto left = deadline - std::chrono::system_clock::now();
  response.set_remaining_ms(unlimited ? -1 : std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
  for (const auto& [key, value] : context.client_metadata()) {
    if (!has_prefix(key, "x-e2e-")) continue;
    MetadataEntry* entry = response.add_metadata();
    entry->set_key(as_string(key));
    entry->set_value(as_string(value));
  }
  response.set_received_bytes(received_bytes);
  response.set_received_messages(received_messages);
  return response;
}

}  // namespace

void InteropService::echo_metadata(grpc::ServerContext& context) const {
  for (const auto& [key, value] : context.client_metadata()) {
    if (has_prefix(key, "x-e2e-initial")) context.AddInitialMetadata(as_string(key), as_string(value));
    if (has_prefix(key, "x-e2e-trailing")) context.AddTrailingMetadata(as_string(key), as_string(value));
  }
  context.AddTrailingMetadata("x-served-by", name_);
}

void InteropService::record_message(const std::string& call_id) {
  if (call_id.empty()) return;
  const std::lock_guard lock(mutex_);
  ReportResponse& record = records_[call_id];
  record.set_started(true);
  record.set_received_messages(record.received_messages() + 1);
}

void InteropService::record_end(const std::string& call_id, bool cancelled) {
  if (call_id.empty()) return;
  const std::lock_guard lock(mutex_);
  records_[call_id].set_cancelled(cancelled);
}

bool InteropService::attend(const Meeting& meeting) {
  std::unique_lock lock(mutex_);
  const uint32_t& arrived = ++meetings_[meeting.name()];
  arrival_.notify_all();
  return arrival_.wait_for(lock, kWaitLimit, [&] { return arrived >= meeting.callers(); });
}

grpc::Status InteropService::Unary(grpc::ServerContext* context, const Request* request, Response* response) {
  echo_metadata(*context);
  prepare(*context, *request);
  record_message(request->call_id());
  if (request->wait_for_cancel()) await_cancellation(*context);
  if (request->has_meeting() && !attend(request->meeting())) {
    return {grpc::StatusCode::INTERNAL, "the meeting was not complete in time"};
  }
  if (request->end().code() != 0) return end_status(*request);
  *response = response_to(*context, *request, request->body().size(), 1);
  record_end(request->call_id(), context->IsCancelled());
  return grpc::Status::OK;
}

grpc::Status InteropService::ServerStream(grpc::ServerContext* context, const Request* request,
                                          grpc::ServerWriter<Response>* writer) {
  echo_metadata(*context);
  prepare(*context, *request);
  record_message(request->call_id());
  for (uint32_t i = 0; i < request->response_count(); ++i) {
    if (!writer->Write(response_to(*context, *request, request->body().size(), 1))) break;
  }
  if (request->wait_after_responses()) await_cancellation(*context);
  record_end(request->call_id(), context->IsCancelled());
  return end_status(*request);
}

grpc::Status InteropService::ClientStream(grpc::ServerContext* context, grpc::ServerReader<Request>* reader,
                                          Response* response) {
  echo_metadata(*context);
  Request request;
  std::string call_id;
  uint64_t received_bytes = 0;
  uint32_t received_messages = 0;
  while (reader->Read(&request)) {
    if (received_messages == 0) {
      call_id = request.call_id();
      prepare(*context, request);
    }
    record_message(call_id);
    received_bytes += request.body().size();
    ++received_messages;
    if (request.answer_after() == received_messages) break;
  }
  // A cancellation looks like a half-close to Read.
  if (request.wait_for_cancel()) await_cancellation(*context);
  record_end(call_id, context->IsCancelled());
  if (request.end().code() != 0) return end_status(request);
  *response = response_to(*context, request, received_bytes, received_messages);
  return grpc::Status::OK;
}

grpc::Status InteropService::BidiStream(grpc::ServerContext* context,
                                        grpc::ServerReaderWriter<Response, Request>* stream) {
  echo_metadata(*context);
  std::vector<Request> kept;
  Request request;
  std::string call_id;
  uint64_t received_bytes = 0;
  uint32_t received_messages = 0;
  while (stream->Read(&request)) {
    if (received_messages == 0) {
      call_id = request.call_id();
      prepare(*context, request);
    }
    record_message(call_id);
    received_bytes += request.body().size();
    ++received_messages;
    if (request.answer_after_half_close()) {
      kept.push_back(request);
    } else {
      stream->Write(response_to(*context, request, received_bytes, received_messages));
    }
  }
  for (const Request& late : kept) stream->Write(response_to(*context, late, received_bytes, received_messages));
  record_end(call_id, context->IsCancelled());
  return end_status(request);
}

grpc::Status InteropService::Report(grpc::ServerContext*, const ReportRequest* request, ReportResponse* response) {
  const std::lock_guard lock(mutex_);
  *response = records_[request->call_id()];
  return grpc::Status::OK;
}

}  // namespace ringway::e2e
