// What the tools' command lines share: options whose errors name the value and what is allowed, exit codes (0 done,
// 1 run-time failure, 2 bad flags), and the two signals that end a tool.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "io/address.h"
#include "io/socket.h"

namespace ringway::tools {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitBadFlags = 2;

// Options that are read as text and converted by us, so that an error says "--threads: 'x' is not a whole number from
// 1 to 64" whatever is wrong with it.
CLI::Option* add_address(CLI::App& app, const std::string& flag, io::Address& value, const std::string& description);
CLI::Option* add_number(CLI::App& app, const std::string& flag, uint64_t& value, uint64_t smallest, uint64_t largest,
                        const std::string& description);
// A number with unit: 250us, 300ms, 10s, 2m; a bare number is seconds. Fractions are allowed ("1.5s").
CLI::Option* add_duration(CLI::App& app, const std::string& flag, uint64_t& value_ns, const std::string& description);

std::optional<uint64_t> parse_duration_ns(std::string_view text) noexcept;

// Parses; an exit code where the program is done already (--help, --version: 0; bad flags: 2, with a message on
// standard error). Adds --version and keeps one column width for all tools.
std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv);

// Blocks SIGTERM and SIGINT in this thread and those it starts, ignores SIGPIPE, and answers a descriptor that becomes
// readable when one of the two arrives. It is never read, so that every thread that polls it is told.
io::Fd stop_signal();

// Raises the soft limit of open files to the hard one: thousands of connections are this program's purpose.
void raise_descriptor_limit() noexcept;

}  // namespace ringway::tools
