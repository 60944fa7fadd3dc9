// Ways for the tests to read a configuration on a machine with eight CPUs, whatever machine runs them.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/draft.h"
#include "config/file.h"
#include "config/load.h"
#include "config/report.h"

namespace ringway::config {

inline const Host kEightCpus{{0, 1, 2, 3, 4, 5, 6, 7}};

struct Reading {
  Snapshot snapshot;
  std::string report;  // empty: valid
};

inline Reading read_text(const std::string& text, const Host& host = kEightCpus,
                         const std::string& directory = "/conf") {
  Report report("t.yaml");
  Draft draft = initial_draft();
  draft.listeners_place = {"listeners", 1, 1};
  draft.directory = directory;
  read_file(text, draft, report);
  Reading reading;
  reading.snapshot = resolve(std::move(draft), host, report);
  reading.report = report.text();
  return reading;
}

// The least that is valid, for tests of the rest; one key a line, so that what stands before it keeps its line.
inline constexpr std::string_view kRouting =
    "listeners: [{address: '127.0.0.1:0', routes: [{cluster: a}]}]\n"
    "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\n";

inline Reading read_with_routing(std::string_view text, const Host& host = kEightCpus) {
  return read_text(fmt::format("{}\n{}", text, kRouting), host);
}

inline Invocation load_words(const std::vector<std::string>& words, const Host& host = kEightCpus) {
  std::vector<const char*> argv = {"ringway"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  argv.push_back(nullptr);
  return load(static_cast<int>(argv.size()) - 1, argv.data(), host);
}

// A file that lives as long as this.
class WrittenFile {
 public:
  explicit WrittenFile(std::string_view text) {
    const char* folder = std::getenv("TMPDIR");
    path_ = fmt::format("{}/ringway-config-XXXXXX", folder != nullptr ? folder : "/tmp");
    const int fd = mkstemp(path_.data());
    std::FILE* file = fdopen(fd, "w");
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
  WrittenFile(const WrittenFile&) = delete;
  WrittenFile& operator=(const WrittenFile&) = delete;
  ~WrittenFile() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace ringway::config
