// Frames against nghttp2: the same frames, one after the other, to one of our connections and to one of its sessions,
// in either role. After each frame both have objected to it (with GOAWAY or RST_STREAM), and the run ends, or both have
// taken the same message or DATA from it. Whether an objection ends a stream or the connection is not compared:
// nghttp2 often ends the connection where RFC 9113 asks for the stream alone. A GOAWAY that both take ends the run too:
// nghttp2 reads nothing behind it when no stream is open.
//
// The input: one octet of configuration, then frames (wire_peer.h); the server answers a call in between.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "h2/connection.h"
#include "nghttp2_oracle.h"
#include "wire_peer.h"

namespace ringway::h2 {
namespace {

// What both ends are looking at when they differ.
struct Case {
  FrameHeader header;
  std::span<const uint8_t> payload;
  const HeaderPairs& pairs;  // of the last header block, as nghttp2 read it
  bool is_stream_gone;       // it was open once, and our end has closed it, or the peer has ended it
  bool has_begun;            // the headers of its message are there
  bool we_object;
  std::string_view we_took;  // nghttp2 does not show the field for which it ends a block
};

struct Difference {
  const char* why;
  bool (*holds)(const Case&);
};

bool is_block(const Case& c) {
  return c.header.type == FrameType::kHeaders || c.header.type == FrameType::kContinuation;
}

bool has_field(const Case& c, std::string_view name) {
  return is_block(c) && std::ranges::any_of(c.pairs, [&](const auto& pair) { return pair.first == name; });
}

template <typename Test>
bool has_value(const Case& c, std::string_view name, Test test) {
  const auto fits = [&](const auto& pair) { return pair.first == name && test(std::string_view(pair.second)); };
  return is_block(c) && std::ranges::any_of(c.pairs, fits);
}

bool has_other_control_octet(const HeaderPairs& pairs) {
  const auto is_control = [](char c) { return (static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7f; };
  return std::ranges::any_of(pairs, [&](const auto& pair) { return std::ranges::any_of(pair.second, is_control); });
}

bool has_setting(const Case& c, SettingId id) {
  if (c.header.type != FrameType::kSettings) return false;
  for (size_t i = 0; i + 6 <= c.payload.size(); i += 6) {
    if (load_16(c.payload.data() + i) == static_cast<uint16_t>(id)) return true;
  }
  return false;
}

bool has_repeated_setting(const Case& c) {
  if (c.header.type != FrameType::kSettings) return false;
  std::vector<uint16_t> ids;
  for (size_t i = 0; i + 6 <= c.payload.size(); i += 6) ids.push_back(load_16(c.payload.data() + i));
  std::ranges::sort(ids);
  return std::ranges::adjacent_find(ids) != ids.end();
}

constexpr SettingId kEnableConnectProtocol{8};

// Where the two may differ, and why ours is right.
constexpr std::array kDifferences = {
    Difference{"GOAWAY with a larger last stream than before, or one that only the other side opens: section 6.8 binds "
               "the sender, and a receiver that takes the smallest loses nothing",
               [](const Case& c) { return c.header.type == FrameType::kGoaway && !c.we_object; }},
    Difference{
        "an acknowledgement of SETTINGS that nobody awaits: no section calls it an error",
        [](const Case& c) { return c.header.type == FrameType::kSettings && c.header.has(kFlagAck) && !c.we_object; }},
    Difference{"SETTINGS_ENABLE_CONNECT_PROTOCOL: an extension that ringway does not have, and unknown settings are "
               "ignored (section 6.5.2)",
               [](const Case& c) { return has_setting(c, kEnableConnectProtocol) && !c.we_object; }},
    Difference{"SETTINGS_NO_RFC7540_PRIORITIES that changes: RFC 9218 section 2.1 lets the receiver choose",
               [](const Case& c) { return has_setting(c, SettingId::kNoRfc7540Priorities) && !c.we_object; }},
    Difference{
        "a setting that is there twice: values are processed in their order (section 6.5.3), nghttp2 looks at the "
        "last alone",
        [](const Case& c) { return has_repeated_setting(c) && c.we_object; }},
    Difference{
        "a frame on a stream that is closed: section 5.1 allows ending the connection for it, nghttp2 ignores most",
        [](const Case& c) { return c.is_stream_gone; }},
    Difference{"a status below 100: RFC 9110 section 15 knows none, nghttp2 counts digits",
               [](const Case& c) {
                 return has_value(c, ":status", [](auto v) { return v.starts_with('0'); }) && c.we_object;
               }},
    Difference{"te in a response: section 8.2.2 allows it in requests",
               [](const Case& c) { return has_field(c, "te") && !has_field(c, ":method") && c.we_object; }},
    Difference{"te: trailers is compared exactly, by nghttp2 in either case",
               [](const Case& c) { return has_value(c, "te", [](auto v) { return v != "trailers"; }) && c.we_object; }},
    Difference{"content-length or host in trailers mean nothing and are passed on (RFC 9110 section 6.5.1)",
               [](const Case& c) {
                 const bool has_either = c.we_took.find("  content-length: ") != c.we_took.npos ||
                                         c.we_took.find("  host: ") != c.we_took.npos;
                 return is_block(c) && c.has_begun && has_either;
               }},
    Difference{"a request without :authority and host: section 8.3.1 asks for neither",
               [](const Case& c) {
                 return has_field(c, ":method") && !has_field(c, ":authority") && !has_field(c, "host") && !c.we_object;
               }},
    Difference{"a control octet in a value: section 8.2.1 forbids NUL, CR and LF",
               [](const Case& c) { return is_block(c) && has_other_control_octet(c.pairs) && !c.we_object; }},
    Difference{"host beside another :authority: section 8.3.1 calls it malformed",
               [](const Case& c) { return has_field(c, ":authority") && has_field(c, "host") && c.we_object; }},
    Difference{"a response that begins with DATA: section 8.1 asks for HEADERS first",
               [](const Case& c) { return c.header.type == FrameType::kData && !c.has_begun && c.we_object; }},
    Difference{
        "PRIORITY on stream 0 or of a wrong length: section 6.3 calls it an error; nghttp2 does not look at it once "
        "SETTINGS have said that priorities are not used",
        [](const Case& c) { return c.header.type == FrameType::kPriority && c.we_object; }},
    Difference{"a path with a fragment: section 8.3.1 sends path and query",
               [](const Case& c) {
                 return has_value(c, ":path", [](auto v) { return v.find('#') != v.npos; }) && c.we_object;
               }},
    Difference{"CONNECT asks for a tunnel, which a gRPC proxy is not",
               [](const Case& c) { return has_value(c, ":method", [](auto v) { return v == "CONNECT"; }); }},
    Difference{"a scheme other than http and https: what a proxy of gRPC forwards has one of these",
               [](const Case& c) {
                 return has_value(c, ":scheme", [](auto v) { return v != "http" && v != "https"; }) && c.we_object;
               }},
    Difference{"an :authority with user information or without a host: section 8.3.1 forbids the one, RFC 9110 section "
               "4.2 the other",
               [](const Case& c) { return has_field(c, ":authority") && c.we_object; }},
    Difference{"a path with octets beyond printable ASCII: RFC 3986 section 2 has none",
               [](const Case& c) {
                 const auto is_odd = [](char octet) { return octet <= 0x20 || octet >= 0x7f; };
                 return has_value(c, ":path", [&](auto v) { return std::ranges::any_of(v, is_odd); }) && c.we_object;
               }},
    Difference{"te in trailers: section 8.2.2 allows it in requests",
               [](const Case& c) { return is_block(c) && has_field(c, "te") && c.we_object; }},
};

// Our end: a connection whose owner takes everything at once.
class OurEnd {
 public:
  // nghttp2 knows none of ours on how often a peer may do what.
  static Limits limits_of(uint32_t window) {
    constexpr Rate kAlways{1'000'000'000, 100'000'000};
    return {.header_list = {65'536, 100, 65'536},
            .streams = 100,
            .stream_window = window,
            .connection_window = kWindowDefault,
            .first_stream_id = 1,
            .continuations = 1'000'000,
            .replies = 1'000'000'000,
            .reply_bytes = 1'000'000'000,
            .settings_entries = 1'000'000,
            .priorities = 1'000'000,
            .resets = kAlways,
            .early_resets = kAlways,
            .settings = kAlways,
            .pings = kAlways,
            .empty_frames = kAlways,
            .small_data = kAlways,
            .glitches = kAlways};
  }

  OurEnd(Role role, uint32_t window)
      : memory_(1, 40, 40'000), connection_(role, limits_of(window), memory_, 3), sent_(role == Role::kClient) {
    connection_.start();
    drain();
  }

  Opinion receive(std::span<const uint8_t> bytes) {
    Opinion opinion;
    const uint32_t resets_before = sent_.reset_count();
    connection_.receive(bytes);
    for (const Event& event : memory_.events) take(event, opinion);
    connection_.validate();
    drain();
    opinion.objects = sent_.has_failed() || sent_.reset_count() != resets_before;
    return opinion;
  }

  // True when there was such a stream to answer on.
  bool respond(uint32_t stream_id) {
    Stream* const stream = connection_.streams().find(stream_id);
    if (stream == nullptr || stream->is_reset || stream->has_sent_headers) return false;
    connection_.begin_headers(*stream);
    connection_.add_field(make_field(KnownName::kStatus, "200"));
    connection_.end_headers(*stream, true);
    if (stream->has_received_end) connection_.close_stream(*stream);
    drain();
    return true;
  }

  void request(bool ends) {
    Stream* const stream = connection_.open_stream(nullptr);
    require(stream != nullptr, "a stream cannot be opened");
    connection_.begin_headers(*stream);
    connection_.add_field(make_field(KnownName::kMethod, "POST"));
    connection_.end_headers(*stream, ends);
    drain();
  }

  // Of a stream that the client opened, or passed over when it opened a later one.
  bool is_gone(uint32_t stream_id) {
    const uint32_t last_id = connection_.role() == Role::kServer ? connection_.last_peer_stream_id() : 7;
    if ((stream_id & 1) == 0 || stream_id > last_id) return false;
    const Stream* const stream = connection_.streams().find(stream_id);
    return stream == nullptr || stream->has_received_end;
  }

  bool has_begun(uint32_t stream_id) {
    const Stream* const stream = connection_.streams().find(stream_id);
    return stream != nullptr && stream->has_received_headers;
  }

  // A limit was reached: what is valid beyond it is not compared.
  bool has_reached_limit() const {
    return is_too_large_ || (connection_.has_failed() && connection_.failure_code() == ErrorCode::kEnhanceYourCalm);
  }
  std::string_view reason() const { return connection_.failure_reason(); }

 private:
  void take(const Event& event, Opinion& opinion) {
    Stream* const stream = memory_.streams.find(event.stream);
    switch (event.kind) {
      case EventKind::kRequest:
      case EventKind::kInformational:
      case EventKind::kResponse:
      case EventKind::kTrailers: {
        HeaderPairs pairs;
        for (const Field& field : memory_.fields_of(event)) pairs.emplace_back(field.name(), field.value());
        put_message(opinion.taken, stream->id, pairs, event.end_stream);
        break;
      }
      case EventKind::kData:
        put_data(opinion.taken, stream->id, event.data_size, event.end_stream);
        connection_.return_credit(*stream, event.data_size);
        break;
      case EventKind::kListTooLarge: is_too_large_ = true; break;
      default: break;
    }
    if (stream != nullptr && (stream->is_reset || (stream->has_received_end && stream->has_sent_end))) {
      connection_.close_stream(*stream);
    }
  }

  void drain() {
    sent_.read(connection_.output().bytes());
    connection_.output().release(memory_.blocks);
  }

  Memory memory_;
  Connection connection_;
  SentFrames sent_;
  bool is_too_large_ = false;
};

class FramesDriver {
 public:
  FramesDriver(uint8_t choice, std::span<const uint8_t> input)
      : input_(input),
        role_(choice & 1 ? Role::kClient : Role::kServer),
        ours_(role_, window_of(choice)),
        theirs_(role_, window_of(choice)) {
    std::string opening = role_ == Role::kServer ? std::string(kPreface) : std::string();
    if ((choice & 4) == 0) put_frame(opening, FrameType::kSettings, 0, 0, {});
    if ((choice & 8) == 0) put_frame(opening, FrameType::kSettings, kFlagAck, 0, {});
    if ((choice & 12) == 4) opening.resize(role_ == Role::kServer ? kPreface.size() : 0);
    const ExactCopy bytes(opening);
    ours_.receive(bytes.octets());
    theirs_.receive(bytes.octets());
    for (const bool ends : {true, true, false, false}) {
      if (role_ == Role::kServer) break;
      ours_.request(ends);
      theirs_.request(ends);
    }
  }

  void run() {
    while (!input_.empty() && step()) continue;
  }

 private:
  static uint32_t window_of(uint8_t choice) { return choice & 2 ? 1000 : kWindowDefault; }

  // False: the run is over.
  bool step() {
    if (role_ == Role::kServer && input_.front() == 0xff) {
      take_octet(input_);
      const uint32_t stream_id = take_stream_id(input_);
      if (ours_.respond(stream_id)) theirs_.respond(stream_id);
      return true;
    }
    std::string frame;
    take_frame(input_, frame);
    const ExactCopy bytes(frame);
    check_header(bytes.octets().first<kFrameHeaderSize>());
    const FrameHeader header = parse_frame_header(bytes.octets().data());
    const bool is_stream_gone = ours_.is_gone(header.stream_id);
    const bool has_begun = ours_.has_begun(header.stream_id);
    const Opinion our_opinion = ours_.receive(bytes.octets());
    Opinion their_opinion = theirs_.receive(bytes.octets());
    their_opinion.objects |= std::exchange(objects_to_block_, false);
    if (leaves_block_open(header) && !our_opinion.objects) {
      // nghttp2 judges a header block field by field, ours when it is complete.
      objects_to_block_ = their_opinion.objects;
      return true;
    }
    if (ours_.has_reached_limit() || (our_opinion.objects && their_opinion.objects)) return false;
    if (our_opinion.objects == their_opinion.objects && our_opinion.taken == their_opinion.taken) {
      return header.type != FrameType::kGoaway;
    }
    const Case c{header,           bytes.octets().subspan(kFrameHeaderSize),
                 theirs_.pairs(),  is_stream_gone,
                 has_begun,        our_opinion.objects,
                 our_opinion.taken};
    if (std::ranges::any_of(kDifferences, [&](const Difference& known) { return known.holds(c); })) return false;
    std::fprintf(stderr, "frame type %u flags %#x stream %u length %u, role %s\nours: %s %.*s\n%stheirs: %s\n%s",
                 static_cast<unsigned>(c.header.type), c.header.flags, c.header.stream_id, c.header.length,
                 role_ == Role::kServer ? "server" : "client", our_opinion.objects ? "objects" : "takes",
                 static_cast<int>(ours_.reason().size()), ours_.reason().data(), our_opinion.taken.c_str(),
                 their_opinion.objects ? "objects" : "takes", their_opinion.taken.c_str());
    for (const auto& [name, value] : c.pairs) std::fprintf(stderr, "  [%s: %s]\n", name.c_str(), value.c_str());
    require(false, "the two ends differ");
    return false;
  }

  static bool leaves_block_open(FrameHeader header) {
    return (header.type == FrameType::kHeaders || header.type == FrameType::kContinuation) &&
           !header.has(kFlagEndHeaders);
  }

  // Nine octets are what RFC 9113 section 4.1 says, and come back but for the reserved bit.
  static void check_header(std::span<const uint8_t, kFrameHeaderSize> octets) {
    const FrameHeader header = parse_frame_header(octets.data());
    const uint32_t length = uint32_t{octets[0]} << 16 | uint32_t{octets[1]} << 8 | octets[2];
    require(header.length == length, "the length is read differently");
    require(static_cast<uint8_t>(header.type) == octets[3] && header.flags == octets[4], "type or flags differ");
    uint32_t id = 0;
    for (const uint8_t octet : octets.subspan<5>()) id = id << 8 | octet;
    require(header.stream_id == (id & 0x7fff'ffff), "the stream is read differently");
    std::array<uint8_t, kFrameHeaderSize> written;
    write_frame_header(written.data(), header.length, header.type, header.flags, header.stream_id);
    written[5] |= octets[5] & 0x80;
    require(std::ranges::equal(written, octets), "a frame header does not come back");
  }

  std::span<const uint8_t> input_;
  Role role_;
  OurEnd ours_;
  Nghttp2Oracle theirs_;
  bool objects_to_block_ = false;  // theirs, to the part of it that has come
};

}  // namespace
}  // namespace ringway::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const uint8_t> input(data, size);
  const uint8_t choice = ringway::take_octet(input);
  ringway::h2::FramesDriver(choice, input).run();
  return 0;
}
