// A connection in the client role against hostile bytes, in any pieces, with commands of its owner in between.
#include "connection_driver.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringway::h2::ConnectionDriver(ringway::h2::Role::kClient, {data, size}).run();
  return 0;
}
