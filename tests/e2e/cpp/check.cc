#include "check.h"

#include <chrono>
#include <thread>

#include <grpcpp/create_channel.h>
#include <unistd.h>

#include "tls.h"

namespace ringway::e2e {

std::shared_ptr<grpc::Channel> open_channel(const std::string& target, grpc::ChannelArguments arguments) {
  arguments.SetMaxReceiveMessageSize(32 << 20);
  arguments.SetMaxSendMessageSize(32 << 20);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 64 << 10);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, channel_credentials(), arguments);
}

Case::Case(std::string target_address)
    : target(std::move(target_address)), channel(open_channel(target, {})), stub(Interop::NewStub(channel)) {}

void Case::await_report(const std::string& call_id, const std::function<bool(const ReportResponse&)>& condition,
                        const std::string& what) const {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < limit) {
    grpc::ClientContext context;
    limit_call(context);
    ReportRequest request;
    request.set_call_id(call_id);
    ReportResponse report;
    check_ok(stub->Report(&context, request, &report));
    if (condition(report)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw CaseFailure("within 10 s the server did not report that " + what);
}

std::string new_call_id() {
  static uint64_t count = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return "cpp-" + std::to_string(getpid()) + "-" + std::to_string(now) + "-" + std::to_string(++count);
}

void limit_call(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
}

void check(bool holds, const std::string& what) {
  if (!holds) throw CaseFailure("it does not hold that " + what);
}

void check_ok(const grpc::Status& status) {
  if (status.ok()) return;
  throw CaseFailure("status " + std::to_string(status.error_code()) + ": " + status.error_message());
}

void check_status(const grpc::Status& status, grpc::StatusCode code) {
  check_equal(static_cast<int>(status.error_code()), static_cast<int>(code),
              "status code (message '" + status.error_message() + "')");
}

void check_status(const grpc::Status& status, grpc::StatusCode code, const std::string& message) {
  check_status(status, code);
  check_equal(status.error_message(), message, "status message");
}

}  // namespace ringway::e2e
