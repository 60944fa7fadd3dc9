#include "certificates.h"

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "failure.h"

namespace ringway::bench {

namespace {

constexpr const char* kProtocols = "/proc/sys/net/ipv4/tcp_available_ulp";

}  // namespace

Certificates find_certificates(const std::string& folder, const std::string& script, const ScratchDirectory& scratch) {
  std::string from = folder;
  std::string said;
  if (from.empty()) {
    if (access(script.c_str(), X_OK) != 0)
      throw Failure(
          fmt::format("{} was not found, which makes the certificates; --certs names a folder of them", script));
    from = scratch.path() + "/cert";
    said = output_of({script, "--ec", "--out", from}, scratch);
  }
  const Certificates files{.ca = from + "/ca-cert.pem",
                           .certificate = from + "/server-cert.pem",
                           .private_key = from + "/server-key.pem",
                           .pair = scratch.path() + "/server-pair.pem"};
  for (const std::string& file : {files.ca, files.certificate, files.private_key}) {
    if (access(file.c_str(), R_OK) == 0) continue;
    throw Failure(fmt::format("{} cannot be read, which a run with TLS needs (scripts/make-certs makes it){}{}", file,
                              said.empty() ? "" : ": ", said));
  }
  write_file(files.pair, read_file(files.certificate) + read_file(files.private_key));
  return files;
}

bool lists_tls(const std::string& protocols) {
  std::istringstream words(protocols);
  for (std::string word; words >> word;) {
    if (word == "tls") return true;
  }
  return false;
}

std::optional<std::string> missing_kernel_tls(const ScratchDirectory& scratch) {
  if (lists_tls(read_file(kProtocols))) return std::nullopt;
  if (const auto modprobe = find_program("modprobe")) {
    output_of({*modprobe, "tls"}, scratch);
    if (lists_tls(read_file(kProtocols))) return std::nullopt;
  }
  return fmt::format("this kernel has no TLS (no 'tls' in {}, and modprobe tls did not bring it)", kProtocols);
}

}  // namespace ringway::bench
