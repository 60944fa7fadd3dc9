// Header routing: the route of a gRPC request among 1, 10, 100 and 1,000 rules of one kind.
//
//   literal        fields that no table of a connection holds: the rules are walked; the request is the last rule's
//   interned       records, as in steady state: one request again and again, the last rule's
//   interned_each  records, the requests of all rules in turn; from 1,000 rules on more than the table remembers
#include "routing/route_table.h"

#include <benchmark/benchmark.h>

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "grpc_blocks.h"

namespace ringway::routing {
namespace {

using config::PathMatch;
using config::RouteConfig;

// A rule, and how the request that it takes differs from the typical one.
struct Rule {
  RouteConfig route;
  bench::Fields differing;
};

std::string service(uint32_t number) {
  return "/shop.v1.Orders" + std::to_string(number) + "/";
}

Rule exact_path(uint32_t number) {
  const std::string path = "/v1/orders/" + std::to_string(number) + "/place";
  return {{.path_match = PathMatch::kExact, .path = path}, {{":path", path}}};
}

Rule prefix(uint32_t number) {
  const std::string path = "/v1/orders/" + std::to_string(number) + "/";
  return {{.path_match = PathMatch::kPrefix, .path = path}, {{":path", path + "place"}}};
}

// The configuration makes an exact path of a service and a method; ten methods share a service here.
Rule service_method(uint32_t number) {
  const std::string path = service(number / 10) + "Place" + std::to_string(number % 10);
  return {{.path_match = PathMatch::kExact, .path = path}, {{":path", path}}};
}

Rule authority(uint32_t number) {
  const std::string host = "orders" + std::to_string(number) + ".shop.internal";
  return {{.authority = host}, {{":authority", host + ":50051"}}};
}

// A service under every tenant: each rule admits the path, and the header alone decides.
Rule header(uint32_t number) {
  const std::string tenant = "tenant-" + std::to_string(number);
  return {{.path_match = PathMatch::kPrefix, .path = "/shop.v1.Orders/", .headers = {{"x-tenant", tenant}}},
          {{"x-tenant", tenant}}};
}

// The fields of a request as the proxy hands them over, and the places of those that it names.
struct Request {
  std::vector<h2::Field> fields;
  size_t path = 0;
  size_t authority = 0;
};

class Routing {
 public:
  Routing(uint32_t count, Rule (*rule)(uint32_t), bool is_interned) : routes_(routes_of(count, rule)), table_(routes_) {
    for (uint32_t number = 0; number < count; ++number) add_request(rule(number).differing, is_interned);
  }

  uint32_t match(uint32_t number) noexcept {
    const Request& request = requests_[number];
    return table_.match(request.fields[request.path], &request.fields[request.authority], request.fields);
  }

 private:
  static std::vector<RouteConfig> routes_of(uint32_t count, Rule (*rule)(uint32_t)) {
    std::vector<RouteConfig> routes;
    for (uint32_t number = 0; number < count; ++number) routes.push_back(rule(number).route);
    return routes;
  }

  void add_request(const bench::Fields& differing, bool is_interned) {
    bench::Fields& texts = texts_.emplace_back(bench::request_fields());
    for (const auto& [name, value] : differing) replace_or_add(texts, name, value);
    Request& request = requests_.emplace_back();
    for (const auto& [name, value] : texts) {
      if (name == ":path") request.path = request.fields.size();
      if (name == ":authority") request.authority = request.fields.size();
      request.fields.push_back(h2::make_field(name, h2::KnownName::kNone, value));
      // Members end in reverse order: the interner outlives these references, which nobody gives back.
      if (is_interned) request.fields.back().record = interner_.intern(name, h2::KnownName::kNone, value, 0);
    }
  }

  static void replace_or_add(bench::Fields& fields, const std::string& name, const std::string& value) {
    for (auto& field : fields) {
      if (field.first != name) continue;
      field.second = value;
      return;
    }
    fields.emplace_back(name, value);
  }

  h2::FieldInterner interner_{1, 1 << 20};
  std::deque<bench::Fields> texts_;
  std::vector<RouteConfig> routes_;
  RouteTable table_;
  std::vector<Request> requests_;
};

void match_last(benchmark::State& state, Rule (*rule)(uint32_t), bool is_interned) {
  const auto count = static_cast<uint32_t>(state.range(0));
  Routing routing(count, rule, is_interned);
  if (routing.match(count - 1) != count - 1) state.SkipWithError("the wrong route");
  for (auto _ : state) benchmark::DoNotOptimize(routing.match(count - 1));
  state.SetItemsProcessed(state.iterations());
}

void literal(benchmark::State& state, Rule (*rule)(uint32_t)) {
  match_last(state, rule, false);
}

void interned(benchmark::State& state, Rule (*rule)(uint32_t)) {
  match_last(state, rule, true);
}

void interned_each(benchmark::State& state, Rule (*rule)(uint32_t)) {
  const auto count = static_cast<uint32_t>(state.range(0));
  Routing routing(count, rule, true);
  for (uint32_t number = 0; number < count; ++number) {
    if (routing.match(number) != number) state.SkipWithError("the wrong route");
  }
  uint32_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(routing.match(next));
    next = next + 1 == count ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

#define RINGWAY_EACH_RULE(benchmark_function)                                                 \
  BENCHMARK_CAPTURE(benchmark_function, exact_path, exact_path)->Apply(route_counts);         \
  BENCHMARK_CAPTURE(benchmark_function, prefix, prefix)->Apply(route_counts);                 \
  BENCHMARK_CAPTURE(benchmark_function, service_method, service_method)->Apply(route_counts); \
  BENCHMARK_CAPTURE(benchmark_function, authority, authority)->Apply(route_counts);           \
  BENCHMARK_CAPTURE(benchmark_function, header, header)->Apply(route_counts)

void route_counts(benchmark::internal::Benchmark* family) {
  family->RangeMultiplier(10)->Range(1, 1000);
}
RINGWAY_EACH_RULE(literal);
RINGWAY_EACH_RULE(interned);
RINGWAY_EACH_RULE(interned_each);

}  // namespace
}  // namespace ringway::routing
