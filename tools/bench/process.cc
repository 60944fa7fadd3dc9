#include "process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/units.h"
#include "failure.h"

namespace ringway::bench {

namespace {

constexpr std::array kCaughtSignals{SIGINT, SIGTERM, SIGHUP};

int signal_fd = -1;
sigset_t inherited_mask;

[[noreturn]] void fail(const std::string& what) {
  throw Failure(fmt::format("{}: {}", what, std::strerror(errno)));
}

// Runs between fork and exec: only async-signal-safe calls, and the exit code 127 that shells use.
[[noreturn]] void become(char* const* arguments, const std::vector<int>& cpus, int output, int errors, pid_t parent) {
  setpgid(0, 0);
  // SIGTERM and not SIGKILL, so that a proxy with worker processes ends these too when the benchmark is killed.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);
  if (!cpus.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &set);
    sched_setaffinity(0, sizeof set, &set);
  }
  if (signal_fd >= 0) sigprocmask(SIG_SETMASK, &inherited_mask, nullptr);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  execvp(arguments[0], arguments);
  _exit(127);
}

int create_file(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) fail(path);
  return fd;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

void catch_signals() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : kCaughtSignals) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, &inherited_mask);
  signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) fail("signalfd");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

bool wait_readable(int fd, uint64_t timeout_ns) {
  std::array<pollfd, 2> polled{
      {{.fd = signal_fd, .events = POLLIN, .revents = 0}, {.fd = fd, .events = POLLIN, .revents = 0}}};
  const timespec timeout{.tv_sec = static_cast<time_t>(timeout_ns / base::kSecond_ns),
                         .tv_nsec = static_cast<long>(timeout_ns % base::kSecond_ns)};
  if (ppoll(polled.data(), polled.size(), &timeout, nullptr) < 0) {
    if (errno == EINTR) return false;  // stopped and continued: the caller looks again
    fail("ppoll");
  }
  if (polled[0].revents != 0) {
    signalfd_siginfo info{};
    if (read(signal_fd, &info, sizeof info) == sizeof info) throw Interrupted{static_cast<int>(info.ssi_signo)};
  }
  return polled[1].revents != 0;
}

std::string command_line(const Command& command) {
  std::string line;
  for (const std::string& argument : command.arguments) {
    if (!line.empty()) line += ' ';
    const bool is_plain =
        !argument.empty() && argument.find_first_of(" \t\n'\"\\$;&|<>()*?#~`!{}[]") == std::string::npos;
    line += is_plain ? argument : fmt::format("'{}'", argument);
  }
  return line;
}

bool Exit::is_success() const {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string Exit::text() const {
  if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) == 127) return "it could not be started";
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

Child::Child(Command command) : command_(std::move(command)) {
  std::vector<char*> arguments;
  for (std::string& argument : command_.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int output = create_file(command_.output_stem + ".out");
  const int errors = create_file(command_.output_stem + ".err");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(arguments.data(), command_.cpus, output, errors, parent);
  close(output);
  close(errors);
  if (pid_ < 0) fail("fork");
  setpgid(pid_, pid_);  // in both processes: whichever comes first
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) {
    const int cause = errno;
    end_group();
    errno = cause;
    fail("pidfd_open");
  }
}

Child::Child(Child&& other) noexcept
    : command_(std::move(other.command_)),
      pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      exit_(other.exit_) {}

Child::~Child() {
  if (pid_ > 0) end_group();
  if (pidfd_ >= 0) close(pidfd_);
}

std::optional<Exit> Child::wait(uint64_t timeout_ns) {
  if (exit_ || !wait_readable(pidfd_, timeout_ns)) return exit_;
  Exit exit;
  rusage usage{};
  if (wait4(pid_, &exit.status, 0, &usage) != pid_) fail("wait4");
  exit.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  exit_ = exit;
  return exit_;
}

std::optional<Exit> Child::stop(uint64_t grace_ns) {
  if (!exit_) kill(pid_, SIGTERM);
  const std::optional<Exit> exit = wait(grace_ns);
  end_group();
  return exit;
}

void Child::end_group() {
  // What is left of the group, be it the leader or workers that outlived it; as their reaper we also collect them.
  kill(-pid_, SIGKILL);
  int status = 0;
  rusage usage{};
  while (true) {
    const pid_t ended = wait4(-pid_, &status, 0, &usage);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) break;
    if (ended == pid_) exit_ = Exit{status, seconds(usage.ru_utime) + seconds(usage.ru_stime)};
  }
}

std::string Child::output() const {
  return read_file(command_.output_stem + ".out");
}
std::string Child::errors() const {
  return read_file(command_.output_stem + ".err");
}

std::string Child::last_words() const {
  constexpr size_t kLength_max = 120;
  std::string text = errors() + output();
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  if (text.size() > kLength_max) text.erase(0, text.size() - kLength_max);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? "it said nothing" : text;
}

ScratchDirectory::ScratchDirectory() {
  const char* parent = std::getenv("TMPDIR");
  path_ = fmt::format("{}/ringway-bench-XXXXXX", parent != nullptr && *parent != '\0' ? parent : "/tmp");
  if (mkdtemp(path_.data()) == nullptr) fail(path_);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) fail("sched_getaffinity");
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::optional<std::string> find_program(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string path = variable != nullptr ? variable : "";
  if (path.find("sbin") == std::string::npos) path += ":/usr/local/sbin:/usr/sbin:/sbin";
  std::istringstream directories(path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::string candidate = directory + "/" + name;
    if (!directory.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

std::string output_of(const std::vector<std::string>& arguments, const ScratchDirectory& scratch) {
  Child child({.arguments = arguments, .cpus = {}, .output_stem = scratch.path() + "/query"});
  const std::optional<Exit> exit = child.wait(10 * base::kSecond_ns);
  return exit && exit->is_success() ? child.output() + child.errors() : "";
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) fail(path);
}

}  // namespace ringway::bench
