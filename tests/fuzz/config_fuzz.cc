// The configuration: any text is either refused with a reason or gives a snapshot, and what --print-config makes of a
// snapshot reads back as the same one, from which it makes the same text.
//
// The input is the file.
#include <string>

#include "config/draft.h"
#include "config/file.h"
#include "config/print.h"
#include "config/report.h"
#include "input.h"

namespace ringway::config {
namespace {

const Host kEightCpus{{0, 1, 2, 3, 4, 5, 6, 7}};

struct Reading {
  Snapshot snapshot;
  std::string complaints;
};

Reading read(const std::string& text) {
  Report report("fuzz.yaml");
  Draft draft = initial_draft();
  draft.listeners_place = {"listeners", 1, 1};
  read_file(text, draft, report);
  Reading reading;
  reading.snapshot = resolve(std::move(draft), kEightCpus, report);
  reading.complaints = report.text();
  require(report.is_clean() == reading.complaints.empty(), "a configuration is refused without a reason");
  return reading;
}

void check_round_trip(const Snapshot& snapshot) {
  const std::string printed = to_yaml(snapshot);
  const Reading again = read(printed);
  if (!again.complaints.empty()) std::fprintf(stderr, "%s\n%s\n", printed.c_str(), again.complaints.c_str());
  require(again.complaints.empty(), "what is printed is refused");
  if (!(again.snapshot == snapshot)) std::fprintf(stderr, "%s\n%s\n", printed.c_str(), to_yaml(again.snapshot).c_str());
  require(again.snapshot == snapshot, "what is printed means something else");
  require(to_yaml(again.snapshot) == printed, "what is printed is printed differently");
}

void check_file(const std::string& text) {
  const Reading reading = read(text);
  if (reading.complaints.empty()) check_round_trip(reading.snapshot);
}

}  // namespace
}  // namespace ringway::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringway::config::check_file({reinterpret_cast<const char*>(data), size});
  return 0;
}
