// The libgrpc++ server of the end-to-end tests: both services on one port. It behaves as python/server.py does, in
// arguments, output and answers.
#include <cstdio>
#include <string>

#include <grpcpp/server_builder.h>

#include "interop_service.h"
#include "pcbook_service.h"
#include "tls.h"

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "cpp";
  const std::string port = argc > 2 ? argv[2] : "0";
  ringway::e2e::InteropService interop(name);
  ringway::e2e::AuthService auth(name);
  ringway::e2e::LaptopService laptops(name);

  int bound_port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + port, ringway::e2e::server_credentials(), &bound_port);
  builder.SetMaxReceiveMessageSize(32 << 20);
  builder.SetMaxSendMessageSize(32 << 20);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 64 << 10);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&interop);
  builder.RegisterService(&auth);
  builder.RegisterService(&laptops);
  const auto server = builder.BuildAndStart();
  if (!server || bound_port == 0) {
    std::fprintf(stderr, "cannot listen on 127.0.0.1:%s\n", port.c_str());
    return 1;
  }
  std::printf("listening %d\n", bound_port);
  std::fflush(stdout);
  server->Wait();
  return 0;
}
