// What every case of the client needs: the channel, the stub, and questions that end the case when answered wrong.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/channel_arguments.h>

#include "interop.grpc.pb.h"

namespace ringway::e2e {

struct CaseFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Case {
  explicit Case(std::string target_address);

  std::string target;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Interop::Stub> stub;

  // Polls Report until `condition` holds; fails with `what` after ten seconds.
  void await_report(const std::string& call_id, const std::function<bool(const ReportResponse&)>& condition,
                    const std::string& what) const;
};

struct NamedCase {
  const char* name;
  void (*run)(const Case&);
};

std::vector<NamedCase> unary_cases();
std::vector<NamedCase> streaming_cases();
std::vector<NamedCase> metadata_cases();
std::vector<NamedCase> course_cases();

// A channel of its own connection, with the limits that the cases need. `arguments` are added to.
std::shared_ptr<grpc::Channel> open_channel(const std::string& target, grpc::ChannelArguments arguments);

std::string new_call_id();

// Every call has a deadline, so that a broken proxy fails a case instead of stopping all of them.
void limit_call(grpc::ClientContext& context);

void check(bool holds, const std::string& what);
void check_ok(const grpc::Status& status);
void check_status(const grpc::Status& status, grpc::StatusCode code);
void check_status(const grpc::Status& status, grpc::StatusCode code, const std::string& message);

template <typename Value, std::convertible_to<Value> Expected>
void check_equal(const Value& value, const Expected& expected, const std::string& what) {
  if (value == static_cast<Value>(expected)) return;
  std::ostringstream text;
  text << what << ": got " << value << ", expected " << expected;
  throw CaseFailure(text.str().substr(0, 600));
}

}  // namespace ringway::e2e
