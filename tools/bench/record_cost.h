// What records cost by themselves: the same octets sealed and opened with BoringSSL, in memory, in this process.
#pragma once

#include <cstdint>

namespace ringway::bench {

// CPU nanoseconds for one octet that is sealed once and opened once, AES-128-GCM, in records of `record_bytes`
// plaintext. Takes about ten milliseconds.
double seal_and_open_ns_per_byte(uint32_t record_bytes);

// Octets that a record of one connection holds where `streams` calls are in flight and each moves `bytes_per_call` both
// ways together: they travel together, up to the largest record.
uint32_t bytes_of_record(double bytes_per_call, uint32_t streams);

}  // namespace ringway::bench
