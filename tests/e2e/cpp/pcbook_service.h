// The course's two services on libgrpc++'s synchronous server. Laptops live as long as the process, behind one lock.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "pcbook.grpc.pb.h"

namespace ringway::e2e {

class AuthService final : public techschool_pcbook::AuthService::Service {
 public:
  explicit AuthService(std::string name) : name_(std::move(name)) {}

  grpc::Status Login(grpc::ServerContext* context, const techschool_pcbook::LoginRequest* request,
                     techschool_pcbook::LoginResponse* response) override;

 private:
  std::string name_;
};

class LaptopService final : public techschool_pcbook::LaptopService::Service {
 public:
  explicit LaptopService(std::string name) : name_(std::move(name)) {}

  grpc::Status CreateLaptop(grpc::ServerContext* context, const techschool_pcbook::CreateLaptopRequest* request,
                            techschool_pcbook::CreateLaptopResponse* response) override;
  grpc::Status SearchLaptop(grpc::ServerContext* context, const techschool_pcbook::SearchLaptopRequest* request,
                            grpc::ServerWriter<techschool_pcbook::SearchLaptopResponse>* writer) override;
  grpc::Status UploadImage(grpc::ServerContext* context,
                           grpc::ServerReader<techschool_pcbook::UploadImageRequest>* reader,
                           techschool_pcbook::UploadImageResponse* response) override;
  grpc::Status RateLaptop(grpc::ServerContext* context,
                          grpc::ServerReaderWriter<techschool_pcbook::RateLaptopResponse,
                                                   techschool_pcbook::RateLaptopRequest>* stream) override;

 private:
  std::string name_;
  std::mutex mutex_;
  std::map<std::string, techschool_pcbook::Laptop> laptops_;
};

}  // namespace ringway::e2e
