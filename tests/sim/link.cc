#include "link.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel.h"
#include "report.h"

namespace ringway::sim {

void Link::plan(Segment::Kind kind, std::string_view bytes) {
  Timeline& timeline = kernel->timeline();
  uint64_t arrives_ns = timeline.now_ns() + options.latency_ns;
  if (options.jitter_ns != 0) arrives_ns += kernel->prng().next() % options.jitter_ns;
  if (!travelling.empty()) arrives_ns = std::max(arrives_ns, travelling.back().arrives_ns);
  travelling.push_back({kind, arrives_ns, std::string(bytes)});
  timeline.at(arrives_ns, [kernel_of = kernel, link_id = id] {
    if (Link* link = kernel_of->find(link_id)) kernel_of->on_arrival(*link);
  });
}

void Link::write(std::string_view bytes) {
  expect(!has_finished, "the simulation writes behind its end");
  if (is_gone() || bytes.empty()) return;
  inbound_size += bytes.size();
  plan(Segment::Kind::kBytes, bytes);
}

void Link::finish() {
  if (is_gone() || std::exchange(has_finished, true)) return;
  plan(Segment::Kind::kEnd, {});
}

void Link::reset(bool is_lossy) {
  if (has_far_reset) return;
  has_far_reset = true;
  if (is_vanished) return;
  if (is_lossy) {
    // Any part of what travels is lost with it.
    size_t kept = travelling.empty() ? 0 : kernel->prng().below(static_cast<uint32_t>(travelling.size()));
    while (travelling.size() > kept) {
      inbound_size -= travelling.back().bytes.size();
      travelling.pop_back();
    }
    if (!travelling.empty() && travelling.back().bytes.size() > 1) {
      std::string& last = travelling.back().bytes;
      const uint32_t left = 1 + kernel->prng().below(static_cast<uint32_t>(last.size()));
      inbound_size -= last.size() - left;
      last.resize(left);
    }
  }
  outbound.clear();
  plan(Segment::Kind::kReset, {});
}

void Link::vanish() {
  is_vanished = true;
  outbound.clear();
  travelling.clear();
  inbound_size = inbound.size();
  kernel->on_room(*this);
}

std::string Link::read(size_t size_max) {
  const size_t size = std::min(size_max, outbound.size());
  std::string taken = outbound.substr(0, size);
  outbound.erase(0, size);
  if (size != 0) kernel->on_room(*this);
  return taken;
}

}  // namespace ringway::sim
