#include "backend.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "report.h"
#include "world.h"

namespace ringway::sim {
namespace {

constexpr uint32_t kRefusedStream = 7;
// By DESIGN 3.13 a call is sent once more, no oftener.
constexpr uint32_t kAttemptsMax = 2;

}  // namespace

Backend::Attempt* Backend::find(int32_t stream) {
  const auto found = attempts_.find(stream);
  return found != attempts_.end() ? &found->second : nullptr;
}

void Backend::on_stream_begin(int32_t stream) {
  attempts_[stream];
}

void Backend::on_field(int32_t stream, std::string_view name, std::string_view value) {
  Attempt* const attempt = find(stream);
  if (attempt == nullptr) return;
  if (name == "x-call") {
    uint32_t id = 0;
    std::from_chars(value.data(), value.data() + value.size(), id);
    attempt->call = &world_.call(id);
  } else if (name == "x-metadata") {
    expect(attempt->call == nullptr || value.size() == attempt->call->plan.metadata_bytes,
           "call {}: metadata of {} octets", attempt->call->id, value.size());
  }
}

void Backend::on_headers_end(int32_t stream) {
  Attempt* const attempt = find(stream);
  // Behind the first come the trailers of the request.
  if (attempt == nullptr || std::exchange(attempt->has_begun, true)) return;
  expect(attempt->call != nullptr, "a request without its number");
  Call& call = *attempt->call;
  ++call.attempts;
  trace("call {} is at a backend, attempt {}", call.id, call.attempts);
  expect(call.attempts <= kAttemptsMax, "call {} was sent {} times", call.id, call.attempts);
  if (call.attempts <= call.plan.refusals) {
    attempt->is_refused = true;
    answered_max_ = std::max(answered_max_, stream);
    return reset(stream, kRefusedStream);
  }
  expect(++call.taken == 1, "call {} was sent again although a backend had begun to work on it", call.id);
  if (call.plan.answer == Answer::kEarly || call.plan.answer == Answer::kEarlyNoError) {
    answer_later(stream, call.plan.think_ns);
  }
}

void Backend::on_octets(int32_t stream, std::string_view octets) {
  nghttp2_session_consume(session(), stream, octets.size());
  Attempt* const attempt = find(stream);
  if (attempt == nullptr) return;
  attempt->call->check_octets(octets, attempt->received, false);
  attempt->received += octets.size();
}

void Backend::on_body_end(int32_t stream) {
  Attempt* const attempt = find(stream);
  if (attempt == nullptr || attempt->is_refused) return;
  const Call& call = *attempt->call;
  expect(attempt->received == call.request.size(), "call {}: its request has ended with {} octets of {}", call.id,
         attempt->received, call.request.size());
  attempt->has_request_end = true;
  const Answer how = call.plan.answer;
  if (how == Answer::kEarly || how == Answer::kEarlyNoError || how == Answer::kNone) return;
  answer_later(stream, call.plan.think_ns);
}

void Backend::on_stream_end(int32_t stream, uint32_t) {
  attempts_.erase(stream);
}

void Backend::answer_later(int32_t stream, uint64_t delay_ns) {
  world_.timeline().in(delay_ns, [this, stream] {
    if (!is_alive()) return;
    Attempt* const attempt = find(stream);
    if (attempt != nullptr && !attempt->is_answering && !attempt->is_refused) answer(stream, *attempt);
    flush();
  });
}

void Backend::answer(int32_t stream, Attempt& attempt) {
  const Call& call = *attempt.call;
  const Plan& plan = call.plan;
  attempt.is_answering = true;
  answered_max_ = std::max(answered_max_, stream);
  if (plan.answer == Answer::kReset && plan.reset_at == 0) return reset(stream, plan.reset_code);
  for (uint32_t i = 0; i < plan.informational; ++i) {
    const Fields hint = {{":status", "103"}, {"link", "</style.css>"}};
    const auto pairs = pairs_of(hint);
    nghttp2_submit_headers(session(), NGHTTP2_FLAG_NONE, stream, nullptr, pairs.data(), pairs.size(), nullptr);
  }
  const std::string id = std::to_string(call.id);
  Fields fields = {{":status", "200"}, {"x-backend", id}};
  fields.emplace_back("content-type", plan.is_grpc ? "application/grpc" : "application/octet-stream");
  if (world_.prng().below(4) == 0) fields.emplace_back("server", "sim-" + std::to_string(world_.prng().below(4)));
  const bool is_status_only = plan.answer == Answer::kStatusOnly;
  if (is_status_only) {
    fields.emplace_back("grpc-status", std::to_string(plan.status));
    fields.emplace_back("x-end", id);
  } else if (!plan.is_grpc && world_.prng().below(2) == 0) {
    fields.emplace_back("content-length", std::to_string(plan.response_bytes));
  }
  const auto pairs = pairs_of(fields);
  nghttp2_data_provider provider{};
  provider.read_callback = body_reader();
  nghttp2_submit_response(session(), stream, pairs.data(), pairs.size(), is_status_only ? nullptr : &provider);
  attempt.sendable = call.response.size();
  if (plan.response_chunk != 0) attempt.sendable = std::min<size_t>(attempt.sendable, plan.response_chunk);
  if (plan.answer == Answer::kReset) attempt.sendable = std::min<size_t>(attempt.sendable, plan.reset_at);
  if (attempt.sendable < call.response.size() || plan.answer == Answer::kReset) send_later(stream);
}

void Backend::send_later(int32_t stream) {
  const Attempt* const planned = find(stream);
  world_.timeline().in(planned->call->plan.pause_ns, [this, stream] {
    Attempt* const attempt = is_alive() ? find(stream) : nullptr;
    if (attempt == nullptr) return;
    const Call& call = *attempt->call;
    if (call.plan.answer == Answer::kReset && attempt->sent >= call.plan.reset_at) {
      reset(stream, call.plan.reset_code);
    } else {
      size_t sendable = call.response.size();
      if (call.plan.response_chunk != 0) sendable = std::min(sendable, attempt->sendable + call.plan.response_chunk);
      if (call.plan.answer == Answer::kReset) sendable = std::min<size_t>(sendable, call.plan.reset_at);
      attempt->sendable = sendable;
      nghttp2_session_resume_data(session(), stream);
      if (sendable < call.response.size() || call.plan.answer == Answer::kReset) send_later(stream);
    }
    flush();
  });
}

std::string_view Backend::read_body(int32_t stream, size_t size_max, bool& is_over, Fields& trailers) {
  Attempt& attempt = *find(stream);
  const Call& call = *attempt.call;
  const size_t size = std::min(size_max, attempt.sendable - std::min(attempt.sendable, attempt.sent));
  const std::string_view octets = std::string_view(call.response).substr(attempt.sent, size);
  attempt.sent += size;
  if (call.plan.answer == Answer::kReset) return octets;  // its end is a reset
  is_over = attempt.sent == call.response.size();
  if (is_over && call.plan.is_grpc) {
    trailers = {{"grpc-status", std::to_string(call.plan.status)}, {"x-end", std::to_string(call.id)}};
  }
  return octets;
}

// Only now: a reset overtakes trailers that nghttp2 has not sent yet.
void Backend::on_end_sent(int32_t stream) {
  const Attempt* const attempt = find(stream);
  if (attempt == nullptr || attempt->has_request_end || attempt->call->plan.answer != Answer::kEarlyNoError) return;
  world_.timeline().in(1'000, [this, stream] {
    if (!is_alive() || find(stream) == nullptr) return;
    reset(stream, 0);
    flush();
  });
}

void Backend::reset(int32_t stream, uint32_t code) {
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, stream, code);
}

void Backend::go_away(bool disowns) {
  if (!can_write()) return;
  int32_t last = nghttp2_session_get_last_proc_stream_id(session());
  if (disowns) {
    // Above the last one that is being answered nothing was begun: given back, it may be sent elsewhere.
    last = answered_max_;
    for (const auto& [stream, attempt] : attempts_) {
      if (stream > last && attempt.call != nullptr && attempt.call->taken != 0) --attempt.call->taken;
    }
    std::erase_if(attempts_, [last](const auto& entry) { return entry.first > last; });
  }
  nghttp2_submit_goaway(session(), NGHTTP2_FLAG_NONE, last, 0, nullptr, 0);
  flush();
}

}  // namespace ringway::sim
