// The interop service on libgrpc++'s synchronous server: what a call does is said by its request (interop.proto), and
// only Report's records and the meetings live from call to call, behind one lock.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

#include "interop.grpc.pb.h"

namespace ringway::e2e {

class InteropService final : public Interop::Service {
 public:
  explicit InteropService(std::string name) : name_(std::move(name)) {}

  grpc::Status Unary(grpc::ServerContext* context, const Request* request, Response* response) override;
  grpc::Status ServerStream(grpc::ServerContext* context, const Request* request,
                            grpc::ServerWriter<Response>* writer) override;
  grpc::Status ClientStream(grpc::ServerContext* context, grpc::ServerReader<Request>* reader,
                            Response* response) override;
  grpc::Status BidiStream(grpc::ServerContext* context, grpc::ServerReaderWriter<Response, Request>* stream) override;
  grpc::Status Report(grpc::ServerContext* context, const ReportRequest* request, ReportResponse* response) override;

 private:
  void echo_metadata(grpc::ServerContext& context) const;
  void record_message(const std::string& call_id);
  void record_end(const std::string& call_id, bool cancelled);
  bool attend(const Meeting& meeting);

  std::string name_;
  std::mutex mutex_;
  std::condition_variable arrival_;
  std::map<std::string, ReportResponse> records_;
  std::map<std::string, uint32_t> meetings_;
};

}  // namespace ringway::e2e
