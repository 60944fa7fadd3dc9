// The libgrpc++ client of the end-to-end tests: runs every case against the address given as its one argument. It
// prints a line per case, "ok NAME" or "not ok NAME: why", and ends with code 0 once all have run.
#include <algorithm>
#include <cstdio>

#include "check.h"

int main(int argc, char** argv) {
  using namespace ringway::e2e;
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
    return 2;
  }
  const Case test_case(argv[1]);
  for (const auto& cases : {unary_cases(), streaming_cases(), metadata_cases(), course_cases()}) {
    for (const NamedCase& named : cases) {
      try {
        named.run(test_case);
        std::printf("ok %s\n", named.name);
      } catch (const CaseFailure& failure) {
        std::string why = failure.what();
        std::replace(why.begin(), why.end(), '\n', ' ');
        std::printf("not ok %s: %s\n", named.name, why.c_str());
      }
      std::fflush(stdout);
    }
  }
  return 0;
}
