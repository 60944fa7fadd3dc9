// Children of the benchmark: each in a process group of its own, on the CPUs it was given, its output in files, always
// ended and reaped, also when the benchmark is interrupted or killed. One thread uses all of this.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringway::bench {

// Turns SIGINT, SIGTERM and SIGHUP into Interrupted, thrown by the waits below, and makes this process the reaper of
// orphaned grandchildren (workers of a proxy whose master is gone). Call once, before the first child.
void catch_signals();

// Waits until `fd` (or nothing, with -1) is readable or the time is over. True when it is readable. Throws Interrupted.
bool wait_readable(int fd, uint64_t timeout_ns);

struct Command {
  std::vector<std::string> arguments;  // the first is the program, looked up in PATH
  std::vector<int> cpus;               // empty: wherever the benchmark itself may run
  std::string output_stem;             // standard output goes to STEM.out, standard error to STEM.err
};

std::string command_line(const Command& command);  // as a shell would read it

struct Exit {
  int status = 0;    // as waitpid gives it
  double cpu_s = 0;  // user and system time of the process and the children it waited for
  bool is_success() const;
  std::string text() const;  // "exit code 3", "killed by signal 11"
};

class Child {
 public:
  explicit Child(Command command);  // throws Failure
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // ends the whole group

  pid_t pid() const { return pid_; }
  const Command& command() const { return command_; }

  // Nothing when it still runs after that time.
  std::optional<Exit> wait(uint64_t timeout_ns);
  bool is_running() { return !wait(0); }

  // SIGTERM to the process, and the end of its group after `grace_ns`. Nothing when it had to be killed.
  std::optional<Exit> stop(uint64_t grace_ns);

  std::string output() const;
  std::string errors() const;
  std::string last_words() const;  // the end of what it said on either, on one line: for messages

 private:
  void end_group();

  Command command_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<Exit> exit_;
};

// A directory of its own under $TMPDIR or /tmp, removed with all that is in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The CPUs this process may use, in order.
std::vector<int> allowed_cpus();

// Full path of a program in PATH. Debian keeps servers in sbin directories, which a user's PATH often lacks, so a PATH
// that names none of them is extended by these. Nothing if not installed.
std::optional<std::string> find_program(const std::string& name);

// Standard output and error of a short command, together; empty when it cannot be run.
std::string output_of(const std::vector<std::string>& arguments, const ScratchDirectory& scratch);

std::string read_file(const std::string& path);  // empty when it cannot be read
void write_file(const std::string& path, const std::string& text);

}  // namespace ringway::bench
