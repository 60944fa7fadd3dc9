#include "config/doctor.h"

#include <fmt/format.h>

#include <algorithm>
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

}  // namespace

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
