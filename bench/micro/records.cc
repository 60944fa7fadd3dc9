// TLS records: what it costs to seal and to open them, with ours (tls/records.h) and with BoringSSL's own SSL_write and
// SSL_read, both in memory. The argument is the plaintext of one record. seal_and_open is one octet's way through both:
// what ringway's own cost of TLS is held against (bench/scenarios/tls.yaml).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tls/library_stream.h"
#include "tls/records.h"

namespace ringway::tls {
namespace {

TrafficKeys keys_of(Cipher cipher) {
  TrafficKeys keys;
  keys.version = Version::kTls13;
  keys.cipher = cipher;
  for (size_t i = 0; i < keys.key.size(); ++i) keys.key[i] = static_cast<uint8_t>(i * 7 + 1);
  for (size_t i = 0; i < keys.iv.size(); ++i) keys.iv[i] = static_cast<uint8_t>(i * 5 + 3);
  return keys;
}

struct Records {
  Records(benchmark::State& state, Cipher cipher) : plain(static_cast<size_t>(state.range(0)), uint8_t{'x'}) {
    sealer.start(keys_of(cipher));
    opener.start(keys_of(cipher));
    record.resize(plain.size() + sealer.overhead());
  }

  RecordCipher sealer;
  RecordCipher opener;
  std::vector<uint8_t> plain;
  std::vector<uint8_t> record;
};

void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void seal(benchmark::State& state, Cipher cipher) {
  Records records(state, cipher);
  for (auto _ : state) {
    benchmark::DoNotOptimize(records.sealer.seal(ContentType::kData, records.plain, records.record.data()));
    benchmark::ClobberMemory();
  }
  count(state);
}

// Opening writes over its record and moves on to the next number: each is sealed anew, and that time is subtracted by
// measuring both (seal_and_open less seal).
void seal_and_open(benchmark::State& state, Cipher cipher) {
  Records records(state, cipher);
  for (auto _ : state) {
    const size_t size = records.sealer.seal(ContentType::kData, records.plain, records.record.data());
    ContentType type;
    std::span<uint8_t> plain;
    Alert alert;
    if (!records.opener.open(std::span(records.record).first(size), type, plain, alert)) {
      state.SkipWithError("a record did not open");
      return;
    }
    benchmark::DoNotOptimize(plain);
  }
  count(state);
}

// The program's own certificate would have to be made: the files of scripts/make-certs are taken, where CERTS says.
std::string file(const char* name) {
  const char* const folder = std::getenv("CERTS");
  return std::string(folder != nullptr ? folder : "configs/cert") + "/" + name;
}

struct Ends {
  std::unique_ptr<LibraryStream> client;
  std::unique_ptr<LibraryStream> server;
  std::string failure;
};

Ends connect(Cipher cipher) {
  Ends ends;
  auto serving = ServerCredentials::create(
      {.certificates = {{file("server-cert.pem"), file("server-key.pem")}}, .ticket_rotation_ns = 3'600'000'000'000});
  auto trusting = ClientCredentials::create({.ca = file("ca-cert.pem"), .server_name = "localhost"});
  if (!serving || !trusting) {
    ends.failure = (!serving ? serving.error() : trusting.error()) + " (CERTS names the folder of scripts/make-certs)";
    return ends;
  }
  // TLS 1.2 alone lets a cipher be chosen; its records differ by the eight octets of a nonce.
  const LibraryRules rules{.version = Version::kTls12, .cipher = cipher};
  ends.client = LibraryStream::connect(*trusting, "", {}, rules);
  ends.server = LibraryStream::accept(*serving, rules);
  ends.client->start();
  uint8_t nothing[1];
  for (int turn = 0; turn < 10 && !(ends.client->is_open() && ends.server->is_open()); ++turn) {
    for (auto [from, to] : {std::pair{&ends.client, &ends.server}, std::pair{&ends.server, &ends.client}}) {
      const std::vector<uint8_t> bytes((*from)->output().begin(), (*from)->output().end());
      (*from)->consume_output(bytes.size());
      (*to)->receive(bytes);
      (*to)->read({nothing, 0});
    }
  }
  if (!ends.client->is_open()) ends.failure = "no handshake: " + ends.client->failure();
  return ends;
}

void library_write_and_read(benchmark::State& state, Cipher cipher) {
  const Ends ends = connect(cipher);
  if (!ends.failure.empty()) {
    state.SkipWithError(ends.failure.c_str());
    return;
  }
  const std::vector<uint8_t> plain(static_cast<size_t>(state.range(0)), uint8_t{'x'});
  std::vector<uint8_t> got(plain.size());
  for (auto _ : state) {
    ends.client->write(plain);
    ends.server->receive(ends.client->output());
    ends.client->consume_output(ends.client->output().size());
    if (ends.server->read(got) != plain.size()) {
      state.SkipWithError("a record did not arrive");
      return;
    }
    benchmark::DoNotOptimize(got.data());
  }
  count(state);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(64)->Arg(1024)->Arg(16 * 1024);
}

BENCHMARK_CAPTURE(seal, aes_128_gcm, Cipher::kAes128Gcm)->Apply(sizes);
BENCHMARK_CAPTURE(seal, aes_256_gcm, Cipher::kAes256Gcm)->Apply(sizes);
BENCHMARK_CAPTURE(seal, chacha20_poly1305, Cipher::kChaCha20Poly1305)->Apply(sizes);
BENCHMARK_CAPTURE(seal_and_open, aes_128_gcm, Cipher::kAes128Gcm)->Apply(sizes);
BENCHMARK_CAPTURE(seal_and_open, aes_256_gcm, Cipher::kAes256Gcm)->Apply(sizes);
BENCHMARK_CAPTURE(seal_and_open, chacha20_poly1305, Cipher::kChaCha20Poly1305)->Apply(sizes);
BENCHMARK_CAPTURE(library_write_and_read, aes_128_gcm, Cipher::kAes128Gcm)->Apply(sizes);
BENCHMARK_CAPTURE(library_write_and_read, aes_256_gcm, Cipher::kAes256Gcm)->Apply(sizes);
BENCHMARK_CAPTURE(library_write_and_read, chacha20_poly1305, Cipher::kChaCha20Poly1305)->Apply(sizes);

}  // namespace
}  // namespace ringway::tls
