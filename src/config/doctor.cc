#include "config/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace ringway::config {
namespace {

std::string_view verdict_text(io::Verdict verdict) {
  switch (verdict) {
    case io::Verdict::kGood: return "ok";
    case io::Verdict::kInformation: return "info";
    case io::Verdict::kAdvice: return "advice";
    case io::Verdict::kMissing: break;
  }
  return "MISSING";
}

// Shorter than their names in TLS, so that the table stays narrow; and the module that each needs.
struct CipherRow {
  std::string_view name;
  std::string_view module;
};
constexpr CipherRow kCipherRows[tls::kCipherCount] = {
    {"AES-128", "gcm"}, {"AES-256", "gcm"}, {"ChaCha20", "chacha20poly1305"}};

void append(std::string& text, std::string_view separator, std::string_view more) {
  if (!text.empty()) text += separator;
  text += more;
}

io::Finding kernel_tls_finding(std::string_view subject, const std::array<bool, tls::kCipherCount>& can) {
  io::Finding finding{subject, io::Verdict::kInformation, "", ""};
  for (size_t i = 0; i < can.size(); ++i) {
    if (can[i]) {
      append(finding.value, ", ", kCipherRows[i].name);
    } else {
      append(finding.advice, "; ", fmt::format("without {}: modprobe {}", kCipherRows[i].name, kCipherRows[i].module));
    }
  }
  return finding;
}

}  // namespace

std::vector<io::Finding> kernel_tls_findings(const tls::KernelSupport& support) {
  std::vector<io::Finding> findings = {kernel_tls_finding("kernel TLS, sending", support.send_ciphers),
                                       kernel_tls_finding("kernel TLS, receiving", support.receive_ciphers)};
  for (io::Finding& finding : findings) {
    if (!finding.value.empty()) continue;
    finding.value = "no";
    finding.advice = support.cause.empty() ? "this kernel cannot" : support.cause;
  }
  io::Finding& sending = findings[0];
  io::Finding& receiving = findings[1];
  if (support.can_send && !support.is_sound) {
    append(sending.advice, "; ", "--ktls auto leaves it off: Linux 6.12.44 mends faults of it");
  }
  if (support.can_receive && !support.can_rekey) {
    append(receiving.advice, "; ", "a peer that changes its keys is closed (before Linux 6.14)");
  }
  return findings;
}

std::string doctor_table(const io::Probe& probe) {
  size_t subject_width = 0;
  size_t value_width = 0;
  for (const io::Finding& finding : probe.findings) {
    subject_width = std::max(subject_width, finding.subject.size());
    value_width = std::max(value_width, finding.value.size());
  }
  std::string table;
  for (const io::Finding& finding : probe.findings) {
    std::string line = fmt::format("{:<7}  {:<{}}  {:<{}}  {}", verdict_text(finding.verdict), finding.subject,
                                   subject_width, finding.value, value_width, finding.advice);
    line.erase(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
  fmt::format_to(std::back_inserter(table), "\nringway {} here.\n", probe.can_run ? "can run" : "cannot run");
  return table;
}

}  // namespace ringway::config
