// The course's calls: login, then one method of each kind on laptops.
#include <set>

#include "check.h"
#include "pcbook.grpc.pb.h"

namespace ringway::e2e {
namespace {

using techschool_pcbook::CreateLaptopRequest;
using techschool_pcbook::CreateLaptopResponse;
using techschool_pcbook::LaptopService;

void course_login(const Case& test_case) {
  const auto stub = techschool_pcbook::AuthService::NewStub(test_case.channel);
  techschool_pcbook::LoginRequest request;
  request.set_username("admin1");
  request.set_password("secret");
  techschool_pcbook::LoginResponse response;
  grpc::ClientContext context;
  limit_call(context);
  check_ok(stub->Login(&context, request, &response));
  check_equal(response.access_token(), "token-of-admin1", "access token");
  request.set_password("wrong");
  grpc::ClientContext refused;
  limit_call(refused);
  check_status(stub->Login(&refused, request, &response), grpc::StatusCode::NOT_FOUND, "incorrect username/password");
}

grpc::Status create(LaptopService::Stub& stub, const std::string& brand, uint32_t index) {
  CreateLaptopRequest request;
  request.mutable_laptop()->set_id(brand + std::to_string(index));
  request.mutable_laptop()->set_brand(brand);
  request.mutable_laptop()->set_cpu_cores(2 + index);
  request.mutable_laptop()->set_price_usd(1000 + 500 * index);
  CreateLaptopResponse response;
  grpc::ClientContext context;
  limit_call(context);
  return stub.CreateLaptop(&context, request, &response);
}

void search(LaptopService::Stub& stub, const std::string& brand) {
  techschool_pcbook::SearchLaptopRequest request;
  request.mutable_filter()->set_max_price_usd(2000);
  request.mutable_filter()->set_min_cpu_cores(3);
  grpc::ClientContext context;
  limit_call(context);
  const auto reader = stub.SearchLaptop(&context, request);
  std::set<std::string> found;
  techschool_pcbook::SearchLaptopResponse response;
  while (reader->Read(&response)) {
    if (response.laptop().brand() == brand) found.insert(response.laptop().id());
  }
  check_ok(reader->Finish());
  check(found == std::set<std::string>{brand + "1", brand + "2"}, "the search finds two of four laptops");
}

void upload(LaptopService::Stub& stub, const std::string& laptop_id) {
  techschool_pcbook::UploadImageResponse response;
  grpc::ClientContext context;
  limit_call(context);
  const auto writer = stub.UploadImage(&context, &response);
  techschool_pcbook::UploadImageRequest request;
  request.mutable_info()->set_laptop_id(laptop_id);
  request.mutable_info()->set_image_type(".jpg");
  check(writer->Write(request), "the stream takes the image's description");
  request.set_chunk_data(std::string(1024, 'x'));
  for (int i = 0; i < 100; ++i) check(writer->Write(request), "the stream takes a chunk");
  writer->WritesDone();
  check_ok(writer->Finish());
  check_equal(response.id(), laptop_id + ".jpg", "id of the image");
  check_equal(response.size(), 102'400u, "size of the image");
}

void rate(LaptopService::Stub& stub, const std::string& laptop_id) {
  grpc::ClientContext context;
  limit_call(context);
  const auto stream = stub.RateLaptop(&context);
  const double scores[] = {8, 7.5, 10};
  const double averages[] = {8, 7.75, 8.5};
  for (uint32_t i = 0; i < 3; ++i) {
    techschool_pcbook::RateLaptopRequest request;
    request.set_laptop_id(laptop_id);
    request.set_score(scores[i]);
    check(stream->Write(request), "the stream takes a score");
    techschool_pcbook::RateLaptopResponse response;
    check(stream->Read(&response), "a rating comes");
    check_equal(response.rated_count(), i + 1, "number of scores");
    check_equal(response.average_score(), averages[i], "average score");
  }
  stream->WritesDone();
  check_ok(stream->Finish());
}

void course_laptops(const Case& test_case) {
  const auto stub = LaptopService::NewStub(test_case.channel);
  const std::string brand = new_call_id() + "-";
  for (uint32_t i = 0; i < 4; ++i) check_ok(create(*stub, brand, i));
  check_status(create(*stub, brand, 0), grpc::StatusCode::ALREADY_EXISTS);
  search(*stub, brand);
  upload(*stub, brand + "0");
  rate(*stub, brand + "0");
}

}  // namespace

std::vector<NamedCase> course_cases() {
  return {{"course_login", course_login}, {"course_laptops", course_laptops}};
}

}  // namespace ringway::e2e
