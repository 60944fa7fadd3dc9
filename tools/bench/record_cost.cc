#include "record_cost.h"

#include <algorithm>
#include <ctime>
#include <vector>

#include "failure.h"
#include "tls/records.h"

namespace ringway::bench {

namespace {

constexpr uint64_t kMeasured_ns = 10'000'000;
constexpr int kBetweenLooks = 100;

uint64_t thread_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
}

}  // namespace

double seal_and_open_ns_per_byte(uint32_t record_bytes) {
  tls::TrafficKeys keys;
  keys.key.fill(7);
  tls::RecordCipher sealer;
  tls::RecordCipher opener;
  sealer.start(keys);
  opener.start(keys);
  const std::vector<uint8_t> plain(record_bytes, uint8_t{1});
  std::vector<uint8_t> record(plain.size() + sealer.overhead());
  uint64_t count = 0;
  const uint64_t start_ns = thread_cpu_ns();
  uint64_t used_ns = 0;
  while (used_ns < kMeasured_ns) {
    for (int i = 0; i < kBetweenLooks; ++i, ++count) {
      const size_t size = sealer.seal(tls::ContentType::kData, plain, record.data());
      tls::ContentType type;
      std::span<uint8_t> opened;
      tls::Alert alert;
      if (!opener.open(std::span(record).first(size), type, opened, alert))
        throw Failure("a record that was sealed here did not open");
    }
    used_ns = thread_cpu_ns() - start_ns;
  }
  return static_cast<double>(used_ns) / static_cast<double>(count) / record_bytes;
}

uint32_t bytes_of_record(double bytes_per_call, uint32_t streams) {
  const double one_way = bytes_per_call / 2 * streams;
  return static_cast<uint32_t>(std::clamp(one_way, 1.0, static_cast<double>(tls::kPlaintextSizeMax)));
}

}  // namespace ringway::bench
