#include "world.h"

#include <algorithm>
#include <cerrno>

#include "report.h"

namespace ringway::sim {
namespace {

constexpr uint64_t kTick_ns = 50 * base::kMillisecond_ns;
constexpr size_t kAccessLogBytes = 1 << 20;

}  // namespace

World::World(uint64_t seed, uint32_t exchanges)
    : profile_(seed), prng_(~seed), kernel_(timeline_, profile_.kernel, seed ^ 0x5eed), exchanges_(exchanges) {
  hosts_.resize(profile_.snapshot.clusters[0].endpoints.size());
  kernel_.plan_connect = [this](const Link& link) { return plan_connect(link); };
  kernel_.on_established = [this](Link& link) {
    link.options = draw_link_options();
    backends_.push_back(std::make_unique<Backend>(*this));
    backends_.back()->attach(link);
  };
  kernel_.on_enter = [this] { validate_turn(); };
  make_shard();
}

World::~World() {
  kernel_.begin_exit();
}

void World::make_shard() {
  listener_ = kernel_.listen();
  stopped_event_ = kernel_.make_event();
  placement_ = std::make_unique<shard::Placement>(1);
  mailbox_ = std::move(*shard::Mailbox::create(2));
  bell_ = std::move(*io::Doorbell::create());
  log_ = std::make_unique<proxy::LogPort>(*bell_, profile_.snapshot.log_level, kAccessLogBytes);
  shard::Shard::Options options;
  options.snapshot = &profile_.snapshot;
  options.listeners = {listener_};
  options.mailboxes = {mailbox_.get()};
  options.placement = placement_.get();
  options.log = log_.get();
  options.seed = prng_.next();
  options.stopped_count = &stopped_count_;
  options.stopped_event = stopped_event_;
  shard_ = std::move(*shard::Shard::create(std::move(options)));
}

RunResult World::run() {
  const uint64_t started_ns = timeline_.now_ns();
  launch_later();
  trouble_later();
  tick();
  shard_->run();
  check_end();
  result_.exchanges = calls_.size();
  result_.digest = kernel_.digest();
  result_.virtual_ns = timeline_.now_ns() - started_ns;
  return result_;
}

void World::validate_turn() {
  // Enters within a turn find the shard at work.
  const uint64_t turn = shard_->counters().turns;
  if (turn == validated_turn_) return;
  validated_turn_ = turn;
  shard_->validate();
  count_access_lines();
}

LinkOptions World::draw_link_options() {
  LinkOptions options;
  options.send_buffer = prng_.below(3) == 0 ? 256 * base::kKiB : profile_.send_buffer_min + prng_.below(20'000);
  options.latency_ns = profile_.latency_ns;
  options.jitter_ns = profile_.jitter_ns;
  return options;
}

void World::launch_later() {
  timeline_.in(1 + prng_.next() % (2 * profile_.call_gap_ns), [this] {
    launch();
    if (calls_.size() < exchanges_ && drained_ns_ == 0) launch_later();
  });
}

void World::launch() {
  if (open_calls_ >= profile_.open_calls_max) return;
  Client* const client = pick_client();
  if (client == nullptr) return;
  const auto id = static_cast<uint32_t>(calls_.size());
  Call& call = *calls_.emplace_back(std::make_unique<Call>(id, draw_plan(profile_, prng_)));
  ++open_calls_;
  client->begin(call);
}

Client* World::pick_client() {
  std::vector<Client*> alive;
  for (const auto& client : clients_) {
    if (client->takes_calls()) alive.push_back(client.get());
  }
  if (alive.size() < profile_.clients && (alive.empty() || prng_.below(4) == 0)) return connect_client();
  return alive[prng_.below(static_cast<uint32_t>(alive.size()))];
}

Client* World::connect_client() {
  auto client = std::make_unique<Client>(*this);
  const io::Address address = *io::Address::parse("10.1.0." + std::to_string(1 + prng_.below(250)) + ":40000");
  Link* const link = kernel_.connect_to_shard(listener_, *client, address, draw_link_options());
  if (link == nullptr) return nullptr;
  // Those that are gone are needed no more, except by events that name them.
  client->attach(*link);
  return clients_.emplace_back(std::move(client)).get();
}

World::Host& World::host_of(const io::Address& address) {
  const auto& endpoints = profile_.snapshot.clusters[0].endpoints;
  const auto found = std::ranges::find_if(endpoints, [&](const auto& each) { return each.address == address; });
  return hosts_[static_cast<size_t>(found - endpoints.begin())];
}

Kernel::ConnectPlan World::plan_connect(const Link& link) {
  const Host& host = host_of(link.peer);
  if (host.is_silent) return {};
  const uint64_t delay_ns = profile_.latency_ns + prng_.next() % (profile_.jitter_ns + 1);
  if (!host.is_up) return {prng_.below(4) == 0 ? EHOSTUNREACH : ECONNREFUSED, delay_ns};
  return {0, delay_ns};
}

void World::on_call_end(const Call& call) {
  --open_calls_;
  ++result_.outcomes[static_cast<size_t>(call.outcome)];
}

// The run's own clock: what it is at, and what comes next.
void World::tick() {
  if (healed_ns_ == 0 && calls_.size() >= exchanges_) heal();
  if (drained_ns_ == 0 && profile_.drains_under_load && calls_.size() > exchanges_ / 2) post_drain();
  if (healed_ns_ != 0 && drained_ns_ == 0) {
    if (open_calls_ != 0) {
      report_hanging();
    } else if (closed_ns_ != 0) {
      check_rest();
    } else if (is_quiet()) {
      close_clients();
    }
  }
  timeline_.in(kTick_ns, [this] { tick(); });
}

}  // namespace ringway::sim
