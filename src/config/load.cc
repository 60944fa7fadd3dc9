#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <expected>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/doctor.h"
#include "config/file.h"
#include "config/flags.h"
#include "config/limits.h"
#include "config/print.h"
#include "config/report.h"
#include "config/values.h"
#include "io/probe.h"

namespace ringway::config {
namespace {

constexpr int kBadConfiguration = 2;
constexpr int kCannotRun = 1;
// Room for thousands of routes; a larger file is not a configuration.
constexpr size_t kFileSizeMax = 16 * base::kMiB;

std::expected<std::string, std::string> file_text(const std::string& path) {
  const auto unreadable = [&](int code) {
    return std::unexpected(fmt::format("{} cannot be read: {}", quote(path), std::generic_category().message(code)));
  };
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return unreadable(errno);
  std::string text;
  char chunk[16 * base::kKiB];
  errno = 0;
  for (size_t size; (size = std::fread(chunk, 1, sizeof chunk, file)) > 0;) {
    text.append(chunk, size);
    if (text.size() > kFileSizeMax) break;
  }
  const int code = std::ferror(file) != 0 ? errno : 0;
  std::fclose(file);
  if (code != 0) return unreadable(code);
  if (text.size() > kFileSizeMax) {
    return std::unexpected(fmt::format("{} is too large, allowed: up to {}", quote(path), format_bytes(kFileSizeMax)));
  }
  return text;
}

Invocation refused(const Report& report) {
  Invocation invocation;
  invocation.exit_code = kBadConfiguration;
  invocation.error = report.text();
  return invocation;
}

Invocation printed(std::string text, int exit_code = 0) {
  Invocation invocation;
  invocation.exit_code = exit_code;
  invocation.output = std::move(text);
  return invocation;
}

// Where the file lies; the working directory where that cannot be told.
std::string directory_of(const std::string& file) {
  std::error_code error;
  return std::filesystem::absolute(file, error).parent_path().string();
}

Invocation configured(const Flags& flags, const Host& host) {
  Report report(flags.file.value_or(""));
  Draft draft = initial_draft();
  if (flags.file) {
    const auto text = file_text(*flags.file);
    if (!text) {
      report.add({"--config"}, text.error());
      return refused(report);
    }
    draft.listeners_place = {"listeners", 1, 1};
    draft.directory = directory_of(*flags.file);
    read_file(*text, draft, report);
  }
  apply_flags(flags, draft, report);
  check_tls_files(draft, report);
  Snapshot snapshot = resolve(std::move(draft), host, report);
  if (!report.is_clean()) return refused(report);

  Invocation invocation;
  if (flags.task == Task::kRun) {
    invocation.action = Invocation::Action::kRun;
  } else {
    invocation.output = to_yaml(snapshot);
  }
  invocation.snapshot = std::move(snapshot);
  return invocation;
}

}  // namespace

Invocation load(int argc, const char* const* argv) {
  return load(argc, argv, Host{io::allowed_cpus()});
}

Invocation load(int argc, const char* const* argv, const Host& host) {
  Report report;
  const Flags flags = parse_flags(argc, argv, report);
  if (!report.is_clean()) return refused(report);
  switch (flags.task) {
    case Task::kHelp: return printed(flags.help);
    case Task::kVersion: return printed("ringway " RINGWAY_VERSION "\n");
    case Task::kPrintLimits: return printed(limits_page());
    case Task::kDoctor: {
      io::Probe probe = io::probe();
      // Asking loads the modules, if need be.
      for (io::Finding& finding : kernel_tls_findings(tls::find_kernel_support())) {
        probe.findings.push_back(std::move(finding));
      }
      return printed(doctor_table(probe), probe.can_run ? 0 : kCannotRun);
    }
    case Task::kRun:
    case Task::kCheck:
    case Task::kPrintConfig: break;
  }
  return configured(flags, host);
}

}  // namespace ringway::config
