#include "pcbook_service.h"

#include <vector>

namespace ringway::e2e {

using techschool_pcbook::CreateLaptopRequest;
using techschool_pcbook::CreateLaptopResponse;
using techschool_pcbook::Laptop;
using techschool_pcbook::LoginRequest;
using techschool_pcbook::LoginResponse;
using techschool_pcbook::RateLaptopRequest;
using techschool_pcbook::RateLaptopResponse;
using techschool_pcbook::SearchLaptopRequest;
using techschool_pcbook::SearchLaptopResponse;
using techschool_pcbook::UploadImageRequest;
using techschool_pcbook::UploadImageResponse;

grpc::Status AuthService::Login(grpc::ServerContext* context, const LoginRequest* request, LoginResponse* response) {
  context->AddTrailingMetadata("x-served-by", name_);
  if (request->password() != "secret") return {grpc::StatusCode::NOT_FOUND, "incorrect username/password"};
  response->set_access_token("token-of-" + request->username());
  return grpc::Status::OK;
}

grpc::Status LaptopService::CreateLaptop(grpc::ServerContext* context, const CreateLaptopRequest* request,
                                         CreateLaptopResponse* response) {
  context->AddTrailingMetadata("x-served-by", name_);
  const Laptop& laptop = request->laptop();
  const std::lock_guard lock(mutex_);
  if (!laptops_.emplace(laptop.id(), laptop).second) {
    return {grpc::StatusCode::ALREADY_EXISTS, "laptop " + laptop.id() + " already exists"};
  }
  response->set_id(laptop.id());
  return grpc::Status::OK;
}

grpc::Status LaptopService::SearchLaptop(grpc::ServerContext* context, const SearchLaptopRequest* request,
                                         grpc::ServerWriter<SearchLaptopResponse>* writer) {
  context->AddTrailingMetadata("x-served-by", name_);
  std::vector<Laptop> found;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, laptop] : laptops_) {
      if (laptop.price_usd() > request->filter().max_price_usd()) continue;
      if (laptop.cpu_cores() < request->filter().min_cpu_cores()) continue;
      found.push_back(laptop);
    }
  }
  for (const Laptop& laptop : found) {
    SearchLaptopResponse response;
    *response.mutable_laptop() = laptop;
    writer->Write(response);
  }
  return grpc::Status::OK;
}

grpc::Status LaptopService::UploadImage(grpc::ServerContext* context, grpc::ServerReader<UploadImageRequest>* reader,
                                        UploadImageResponse* response) {
  context->AddTrailingMetadata("x-served-by", name_);
  UploadImageRequest request;
  if (!reader->Read(&request) || !request.has_info()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the first message must describe the image"};
  }
  response->set_id(request.info().laptop_id() + request.info().image_type());
  uint32_t size = 0;
  while (reader->Read(&request)) size += static_cast<uint32_t>(request.chunk_data().size());
  response->set_size(size);
  return grpc::Status::OK;
}

grpc::Status LaptopService::RateLaptop(grpc::ServerContext* context,
                                       grpc::ServerReaderWriter<RateLaptopResponse, RateLaptopRequest>* stream) {
  context->AddTrailingMetadata("x-served-by", name_);
  std::map<std::string, std::pair<uint32_t, double>> scores;
  RateLaptopRequest request;
  while (stream->Read(&request)) {
    auto& [count, sum] = scores[request.laptop_id()];
    ++count;
    sum += request.score();
    RateLaptopResponse response;
    response.set_laptop_id(request.laptop_id());
    response.set_rated_count(count);
    response.set_average_score(sum / count);
    stream->Write(response);
  }
  return grpc::Status::OK;
}

}  // namespace ringway::e2e
