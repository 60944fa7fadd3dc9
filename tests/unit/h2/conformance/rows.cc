#include "rows.h"

#include <algorithm>

namespace ringway::h2::conformance {
namespace {

std::string text_of(const Expected& expected) {
  switch (expected.outcome) {
    case Outcome::kAccepted: return "accepted";
    case Outcome::kIgnored: return "ignored";
    case Outcome::kStreamError: return "stream error " + std::string(name_of(expected.code));
    case Outcome::kConnectionError: return "connection error " + std::string(name_of(expected.code));
  }
  return {};
}

std::vector<Row> make_rows() {
  std::vector<Row> rows;
  for (const Role role : {Role::kServer, Role::kClient}) {
    add_opening_and_format(rows, role);
    add_stream_states(rows, role);
    add_message_frames(rows, role);
    add_connection_frames(rows, role);
    add_message_sequences(rows, role);
    add_fields(rows, role);
    add_pseudo_fields(rows, role);
    add_hpack(rows, role);
  }
  return rows;
}

// One line for both roles where they have the same case.
struct Line {
  std::string title;
  std::string outcomes[2];  // by role
};

struct Part {
  std::string section;
  std::vector<Line> lines;
};

std::vector<Part> parts() {
  std::vector<Part> parts;
  for (const Row& row : all_rows()) {
    auto part = std::ranges::find(parts, row.section, &Part::section);
    if (part == parts.end()) part = parts.insert(parts.end(), {row.section, {}});
    auto line = std::ranges::find(part->lines, row.title, &Line::title);
    if (line == part->lines.end()) line = part->lines.insert(part->lines.end(), {row.title, {}});
    line->outcomes[static_cast<size_t>(row.role)] = text_of(row.expected);
  }
  return parts;
}

constexpr std::string_view kHead = R"(# Conformance

What the tests hold ringway's HTTP/2 to, section by section of RFC 9113 and RFC 7541. This page is the output of
`h2_conformance_test --page`; a test compares the two. Each line is fed to a connection in memory, whole and one octet
at a time, as server (towards clients) and as client (towards endpoints). No score of any tool is claimed here.

Where the RFC leaves a choice:

- A stream error may be treated as a connection error (5.4.1). That is done where the peer's framing is in doubt: frames
  above the size limit, a missing pad length, PRIORITY of a wrong length on an idle stream, which must not be reset.
- Frames on closed streams (5.1): WINDOW_UPDATE, RST_STREAM and PRIORITY are ignored. DATA and HEADERS are discarded for
  as long as they may have been sent before our RST_STREAM was seen; where the peer sends them behind its own END_STREAM
  or RST_STREAM they are a connection error STREAM_CLOSED.
- Priorities are ignored (5.3.2). That a stream depends on itself was an error in RFC 7540's scheme, which RFC 9113 has
  dropped: it is none here. A wrong length and stream 0 still are (6.3).
- `:scheme` is http or https, in whichever way the connection came: behind something that ends TLS, clients say https on
  what is cleartext here, and nothing depends on it.
- `:path` is printable ASCII without a fragment. `OPTIONS *` is forwarded where a route takes every path, else it is
  answered with 404. CONNECT (8.5) is answered with 501: a valid request, for a method that is not implemented.
- `te` is allowed in requests alone (8.2.2), with the value trailers.
- We never lower SETTINGS_HEADER_TABLE_SIZE, so that no table size update is ever owed to us (RFC 7541 section 4.2).
)";

}  // namespace

const std::vector<Row>& all_rows() {
  static const std::vector<Row> kRows = make_rows();
  return kRows;
}

std::string page() {
  const auto count = [](Role role) {
    return std::to_string(std::ranges::count_if(all_rows(), [role](const Row& row) { return row.role == role; }));
  };
  std::string text(kHead);
  text += "\n" + count(Role::kServer) + " cases in the server role, " + count(Role::kClient) + " in the client role.\n";
  for (const Part& part : parts()) {
    text += "\n## RFC " + part.section + "\n\n| case | as server | as client |\n|---|---|---|\n";
    for (const Line& line : part.lines) {
      text += "| " + line.title + " | " + line.outcomes[0] + " | " + line.outcomes[1] + " |\n";
    }
  }
  return text;
}

}  // namespace ringway::h2::conformance
