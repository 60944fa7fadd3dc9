#include "command_line.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>

#include "base/units.h"

namespace ringway::tools {
namespace {

struct Unit {
  std::string_view suffix;
  uint64_t ns;
};
// Longer suffixes first: "ms" also ends in "s".
constexpr Unit kUnits[] = {{"ns", 1},
                           {"us", base::kMicrosecond_ns},
                           {"ms", base::kMillisecond_ns},
                           {"s", base::kSecond_ns},
                           {"m", 60 * base::kSecond_ns},
                           {"h", 3600 * base::kSecond_ns}};

// CLI11 takes the message of a ValidationError apart: the option's name stands before the text.
[[noreturn]] void refuse(const std::string& flag, const std::string& sentence) {
  throw CLI::ValidationError(flag, sentence);
}

// The first option that the program does not know. CLI11 would complain about missing options before it mentions it.
std::string_view unknown_option(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") break;
    const std::string name(argument.substr(0, argument.find('=')));
    if (name.starts_with("--") && app.get_option_no_throw(name) == nullptr) return argument;
  }
  return {};
}

std::string option_names(const CLI::App& app) {
  std::string names;
  for (const CLI::Option* option : app.get_options())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", option->get_name());
  return names;
}

}  // namespace

std::optional<uint64_t> parse_duration_ns(std::string_view text) noexcept {
  uint64_t unit_ns = base::kSecond_ns;
  for (const Unit& unit : kUnits) {
    if (text.ends_with(unit.suffix)) {
      unit_ns = unit.ns;
      text.remove_suffix(unit.suffix.size());
      break;
    }
  }
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  const double total_ns = amount * static_cast<double>(unit_ns);
  // A year is more than any run and far from overflow.
  if (!std::isfinite(total_ns) || total_ns < 0 || total_ns > 3.2e16) return std::nullopt;
  return static_cast<uint64_t>(std::llround(total_ns));
}

CLI::Option* add_address(CLI::App& app, const std::string& flag, io::Address& value, const std::string& description) {
  return app
      .add_option_function<std::string>(
          flag,
          [flag, &value](const std::string& text) {
            auto address = io::Address::parse(text);
            if (!address) refuse(flag, address.error());
            value = *address;
          },
          description)
      ->type_name("ADDR");
}

CLI::Option* add_number(CLI::App& app, const std::string& flag, uint64_t& value, uint64_t smallest, uint64_t largest,
                        const std::string& description) {
  return app
      .add_option_function<std::string>(
          flag,
          [=, &value](const std::string& text) {
            uint64_t number = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
            if (error != std::errc{} || end != text.data() + text.size() || number < smallest || number > largest) {
              refuse(flag, fmt::format("'{}' is not a whole number from {} to {}", text, smallest, largest));
            }
            value = number;
          },
          description)
      ->type_name("N");
}

CLI::Option* add_duration(CLI::App& app, const std::string& flag, uint64_t& value_ns, const std::string& description) {
  return app
      .add_option_function<std::string>(
          flag,
          [flag, &value_ns](const std::string& text) {
            const auto parsed = parse_duration_ns(text);
            if (!parsed) refuse(flag, fmt::format("'{}' is not a duration such as 250us, 300ms, 10s or 2m", text));
            value_ns = *parsed;
          },
          description)
      ->type_name("DURATION");
}

std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", app.get_name() + " " RINGWAY_VERSION);
  app.get_formatter()->column_width(34);
  if (const std::string_view unknown = unknown_option(app, argc, argv); !unknown.empty()) {
    std::fputs(
        fmt::format("{}: '{}' is not an option; allowed are {}\n", app.get_name(), unknown, option_names(app)).c_str(),
        stderr);
    return kExitBadFlags;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::fputs(fmt::format("{}: {} (see --help)\n", app.get_name(), error.what()).c_str(), stderr);
    return kExitBadFlags;
  }
  return std::nullopt;
}

io::Fd stop_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return io::Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace ringway::tools
