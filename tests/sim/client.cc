#include "client.h"

#include <algorithm>
#include <charconv>

#include "report.h"
#include "world.h"

namespace ringway::sim {
namespace {

constexpr uint32_t kRefusedStream = 7;
constexpr uint32_t kCancelCode = 8;
constexpr uint32_t kInternalError = 2;
constexpr int32_t kResourceExhausted = 8;
constexpr int32_t kUnavailable = 14;
// Between a deadline and its news: the way there and back, a turn, a tick of the timers and their grain.
constexpr uint64_t kLateness_ns = 100 * base::kMillisecond_ns;
// What a header list holds beside the metadata, at most.
constexpr uint32_t kOtherFields = 1'000;
// What x-metadata has beside its value (RFC 9113 section 6.5.2).
constexpr uint32_t kMetadataFieldOverhead = 10 + 32;
// grpc-status of what the proxy itself answers.
constexpr int32_t kOfTheProxy[] = {4, 8, 13, 14};

uint32_t number(std::string_view text) {
  uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Client::Client(World& world) : Peer(world, false) {
  if (world.prng().below(8) == 0) hoarding_ns_ = world.prng().below(300'000'000);
}

Fields Client::request_fields(const Call& call) {
  base::Prng& prng = world_.prng();
  const Plan& plan = call.plan;
  Fields fields = {{":method", "POST"},
                   {":scheme", "http"},
                   {":path", "/sim.Service/Method" + std::to_string(prng.below(5))},
                   {":authority", "sim.example"}};
  fields.emplace_back("content-type", plan.is_grpc ? "application/grpc" : "application/octet-stream");
  if (plan.is_grpc) fields.emplace_back("te", "trailers");
  if (plan.deadline_ns != 0) {
    fields.emplace_back("grpc-timeout", std::to_string(plan.deadline_ns / base::kMillisecond_ns) + "m");
  }
  if (!plan.is_grpc && prng.below(2) == 0) fields.emplace_back("content-length", std::to_string(plan.request_bytes));
  fields.emplace_back("x-call", std::to_string(call.id));
  if (prng.below(3) == 0) fields.emplace_back("authorization", "Bearer " + std::to_string(prng.below(10)));
  if (prng.below(3) == 0) fields.emplace_back("x-tenant", "tenant-" + std::to_string(prng.below(30)));
  if (prng.below(10) == 0) fields.emplace_back("x-forwarded-for", "192.0.2." + std::to_string(prng.below(3)));
  if (plan.metadata_bytes != 0) fields.emplace_back("x-metadata", std::string(plan.metadata_bytes, 'm'));
  return fields;
}

void Client::begin(Call& call) {
  const Fields fields = request_fields(call);
  const auto pairs = pairs_of(fields);
  const bool has_body = !call.request.empty() || call.plan.has_request_trailers || world_.prng().below(2) == 0;
  nghttp2_data_provider provider{};
  provider.read_callback = body_reader();
  const int32_t stream =
      nghttp2_submit_request(session(), nullptr, pairs.data(), pairs.size(), has_body ? &provider : nullptr, nullptr);
  expect(stream > 0, "no stream: {}", nghttp2_strerror(stream));
  calls_[stream] = &call;
  trace("call {} begins on stream {}", call.id, stream);
  call.sendable = call.request.size();
  if (call.plan.request_chunk != 0) call.sendable = std::min<size_t>(call.sendable, call.plan.request_chunk);
  if (call.sendable < call.request.size()) send_later(call, stream);
  if (call.plan.cancel_after_ns != 0) {
    world_.timeline().in(call.plan.cancel_after_ns, [this, &call, stream] { cancel(call, stream); });
  }
  flush();
}

bool Client::takes_calls() const {
  return can_write() && nghttp2_session_check_request_allowed(session()) != 0;
}

void Client::send_later(Call& call, int32_t stream) {
  world_.timeline().in(call.plan.pause_ns, [this, &call, stream] {
    if (!is_alive() || call.outcome != Outcome::kOpen) return;
    call.sendable = std::min(call.sendable + call.plan.request_chunk, call.request.size());
    nghttp2_session_resume_data(session(), stream);
    if (call.sendable < call.request.size()) send_later(call, stream);
    flush();
  });
}

void Client::cancel(Call& call, int32_t stream) {
  if (!is_alive() || call.outcome != Outcome::kOpen || call.is_cancelled) return;
  call.is_cancelled = true;
  trace("call {} is cancelled", call.id);
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, stream, kCancelCode);
  flush();
}

Call* Client::call_of(int32_t stream) {
  const auto found = calls_.find(stream);
  return found != calls_.end() ? found->second : nullptr;
}

void Client::on_field(int32_t stream, std::string_view name, std::string_view value) {
  Call* const call = call_of(stream);
  if (call == nullptr) return;
  if (name == ":status") call->http_status = number(value);
  if (name == "grpc-status") call->grpc_status = static_cast<int32_t>(number(value));
  if (name == "x-backend") {
    expect(number(value) == call->id, "call {} has got the answer to call {}", call->id, value);
    call->has_backend_headers = true;
  }
  if (name == "x-end") {
    expect(number(value) == call->id, "call {} has got the end of call {}", call->id, value);
    call->has_backend_end = true;
  }
}

// A request may have waited for a stream before.
void Client::on_headers_sent(int32_t stream) {
  Call* const call = call_of(stream);
  if (call != nullptr && call->started_ns == 0) call->started_ns = world_.timeline().now_ns();
}

void Client::on_headers_end(int32_t) {}

void Client::on_octets(int32_t stream, std::string_view octets) {
  Call* const call = call_of(stream);
  const size_t size = octets.size();
  if (hoarding_ns_ == 0 || world_.is_healed()) {
    nghttp2_session_consume_connection(session(), size);
  } else {
    world_.timeline().in(hoarding_ns_, [this, size] {
      if (!is_alive()) return;
      nghttp2_session_consume_connection(session(), size);
      flush();
    });
  }
  if (call == nullptr) return;
  // A text of the proxy's own is not looked at.
  if (call->has_backend_headers) {
    call->check_octets(octets, call->received, true);
    call->received += size;
  }
  if (call->plan.credit_delay_ns == 0 || world_.is_healed()) {
    nghttp2_session_consume_stream(session(), stream, size);
    return;
  }
  world_.timeline().in(call->plan.credit_delay_ns, [this, stream, size] {
    if (!is_alive()) return;
    nghttp2_session_consume_stream(session(), stream, size);
    flush();
  });
}

void Client::on_body_end(int32_t stream) {
  if (Call* const call = call_of(stream)) call->has_ended = true;
}

std::string_view Client::read_body(int32_t stream, size_t size_max, bool& is_over, Fields& trailers) {
  Call& call = *call_of(stream);
  const size_t size = std::min(size_max, call.sendable - call.sent);
  const std::string_view octets = std::string_view(call.request).substr(call.sent, size);
  call.sent += size;
  is_over = call.sent == call.request.size();
  if (is_over && call.plan.has_request_trailers) trailers = {{"x-request-end", std::to_string(call.id)}};
  return octets;
}

void Client::on_stream_end(int32_t stream, uint32_t code) {
  Call* const found = call_of(stream);
  if (found == nullptr) return;
  Call& call = *found;
  calls_.erase(stream);
  if (call.is_cancelled) return finish(call, Outcome::kCancelled);
  if (call.has_ended) {
    judge_complete(call);
    return finish(call, Outcome::kComplete);
  }
  judge_reset(call, code);
  finish(call, Outcome::kReset);
}

void Client::on_gone() {
  for (const auto& [stream, call] : calls_) {
    // nghttp2 keeps what a GOAWAY has forbidden it to begin.
    const bool was_forbidden = call->started_ns == 0 && world_.is_draining();
    expect(was_forbidden || world_.profile().is_stormy() || world_.is_ending(),
           "call {} was lost with its connection, and nothing went wrong", call->id);
    finish(*call, was_forbidden ? Outcome::kRefused : Outcome::kLost);
  }
  calls_.clear();
}

void Client::finish(Call& call, Outcome outcome) {
  expect(call.outcome == Outcome::kOpen, "call {} ends twice", call.id);
  call.outcome = outcome;
  judge_time(call);
  trace("call {} ends: outcome {}, http {}, grpc {}, {} of {} octets", call.id, static_cast<int>(outcome),
        call.http_status, call.grpc_status, call.received, call.response.size());
  world_.on_call_end(call);
}

// The deadline is kept, but for bytes that the client itself is slow to take. Some never left it.
void Client::judge_time(const Call& call) const {
  const bool is_slow = call.plan.credit_delay_ns != 0 || hoarding_ns_ != 0 || call.started_ns == 0;
  if (world_.profile().weather != Weather::kCalm || call.plan.deadline_ns == 0 || is_slow) return;
  const uint64_t took_ns = world_.timeline().now_ns() - call.started_ns;
  expect(took_ns <= call.plan.deadline_ns + kLateness_ns, "call {} took {} us with a deadline of {} us", call.id,
         took_ns / base::kMicrosecond_ns, call.plan.deadline_ns / base::kMicrosecond_ns);
}

bool Client::may_have_large_list(const Call& call) const {
  const config::Limits& limits = world_.profile().snapshot.limits;
  const uint32_t field_bytes = call.plan.metadata_bytes + kMetadataFieldOverhead;
  return call.plan.metadata_bytes + kOtherFields > limits.header_list_bytes || field_bytes > limits.field_bytes;
}

// Whether the proxy may end it by itself.
bool Client::may_fail(const Call& call) const {
  const bool has_short_deadline = call.plan.deadline_ns != 0 && call.plan.deadline_ns < 100 * base::kSecond_ns;
  return world_.profile().is_stormy() || world_.is_ending() || has_short_deadline || may_have_large_list(call);
}

// Its endpoints refuse it, once more than it is tried again, or it cannot be: once it is, if its request is still
// there.
bool Client::is_refused_for_good(const Call& call) const {
  if (call.taken != 0) return false;
  const uint32_t replay = world_.profile().snapshot.limits.replay_bytes;
  const bool has_further_attempt = call.plan.refusals == 1 && call.request.size() <= replay;
  return world_.has_unseen_refusals() || (call.plan.refusals != 0 && !has_further_attempt);
}

void Client::judge_complete(const Call& call) const {
  expect(call.http_status >= 200, "call {} has ended without a response", call.id);
  if (!call.plan.is_grpc) {
    if (call.has_backend_headers) {
      expect(call.received == call.response.size(), "call {} has ended with {} octets of {}, and looks like success",
             call.id, call.received, call.response.size());
    } else if (!may_have_large_list(call) || call.grpc_status != kResourceExhausted) {
      // Of a list that is too large the proxy has not read what kind of call it is.
      const bool was_refused = is_refused_for_good(call) && call.http_status == 503;
      expect((may_fail(call) || was_refused) && call.http_status >= 400, "call {}: status {} of the proxy", call.id,
             call.http_status);
    }
    return;
  }
  if (call.has_backend_end) {
    const size_t size = call.plan.answer == Answer::kStatusOnly ? 0 : call.response.size();
    expect(call.received == size, "call {} has ended with {} octets of {}, and looks like success", call.id,
           call.received, size);
    expect(call.grpc_status == static_cast<int32_t>(call.plan.status), "call {}: grpc-status {} instead of {}", call.id,
           call.grpc_status, call.plan.status);
    return;
  }
  const bool was_refused = is_refused_for_good(call) && call.grpc_status == kUnavailable;
  expect(may_fail(call) || was_refused, "call {}: the proxy has ended it with grpc-status {}", call.id,
         call.grpc_status);
  expect(std::ranges::find(kOfTheProxy, call.grpc_status) != std::end(kOfTheProxy),
         "call {}: grpc-status {} is none of the proxy's", call.id, call.grpc_status);
  expect(call.is_at_boundary(call.received), "call {} was ended inside a message by trailers", call.id);
}

void Client::judge_reset(const Call& call, uint32_t code) const {
  if (may_fail(call)) return;
  const Plan& plan = call.plan;
  // A refusal behind the beginning of an answer is none.
  const uint32_t planned_code = plan.reset_code == kRefusedStream ? kInternalError : plan.reset_code;
  const bool is_planned = plan.answer == Answer::kReset && code == planned_code;
  // Before it has seen the shard's SETTINGS a client takes the limit to be 100.
  const bool may_be_refused = world_.is_draining() || world_.profile().snapshot.limits.streams < 100;
  if (may_be_refused && code == kRefusedStream && call.attempts == 0) return;
  expect(is_planned, "call {} was reset with code {}, and nothing went wrong", call.id, code);
}

}  // namespace ringway::sim
