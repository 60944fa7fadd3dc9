// Metadata: text and binary, repeated, empty and large, in requests, initial responses and trailers.
#include <map>

#include "check.h"

namespace ringway::e2e {
namespace {

using Values = std::vector<std::string>;

// All values of one key, as the peer gave them. Text values of one key may be joined on the way, as HTTP allows, so
// they are compared joined.
Values comparable(std::string_view key, const Values& values) {
  if (key.ends_with("-bin") || values.empty()) return values;
  std::string joined = values.front();
  for (size_t i = 1; i < values.size(); ++i) joined += ", " + values[i];
  return {joined};
}

Values values_of(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata, const std::string& key) {
  Values values;
  const auto [begin, end] = metadata.equal_range(key);
  for (auto entry = begin; entry != end; ++entry) values.emplace_back(entry->second.data(), entry->second.size());
  return comparable(key, values);
}

Values values_of(const Response& response, const std::string& key) {
  Values values;
  for (const MetadataEntry& entry : response.metadata()) {
    if (entry.key() == key) values.push_back(entry.value());
  }
  return comparable(key, values);
}

// The values travel in the request, back in the initial metadata, and back in the trailing metadata.
void check_round_trip(const Case& test_case, const std::vector<std::string>& key_suffixes, const Values& values) {
  grpc::ClientContext context;
  limit_call(context);
  for (const std::string& suffix : key_suffixes) {
    for (const std::string& value : values) {
      context.AddMetadata("x-e2e-initial" + suffix, value);
      context.AddMetadata("x-e2e-trailing" + suffix, value);
    }
  }
  Response response;
  check_ok(test_case.stub->Unary(&context, {}, &response));
  for (const std::string& suffix : key_suffixes) {
    const Values expected = comparable(suffix, values);
    check(values_of(response, "x-e2e-initial" + suffix) == expected, "the request metadata arrives" + suffix);
    check(values_of(context.GetServerInitialMetadata(), "x-e2e-initial" + suffix) == expected,
          "the initial metadata arrives " + suffix);
    check(values_of(context.GetServerTrailingMetadata(), "x-e2e-trailing" + suffix) == expected,
          "the trailing metadata arrives " + suffix);
  }
}

void metadata_text(const Case& test_case) {
  check_round_trip(test_case, {""}, {"plain text, with a comma"});
}

void metadata_binary(const Case& test_case) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes.push_back(static_cast<char>(i));
  check_round_trip(test_case, {"-bin"}, {all_bytes});
}

void metadata_repeated(const Case& test_case) {
  check_round_trip(test_case, {"-many-bin"}, {std::string("\0first", 6), "\xffsecond", "third"});
  check_round_trip(test_case, {"-many"}, {"first", "second"});
}

void metadata_empty(const Case& test_case) {
  check_round_trip(test_case, {"-none"}, {""});
  check_round_trip(test_case, {"-none-bin"}, {""});
}

void metadata_4k(const Case& test_case) {
  check_round_trip(test_case, {"-big-bin"}, {std::string(3072, '\xa5')});
  check_round_trip(test_case, {"-big"}, {std::string(4096, 'v')});
}

// Some 32 KiB each way: more than one frame's worth, less than every limit on the way.
void metadata_large(const Case& test_case) {
  for (int i = 0; i < 2; ++i) {
    check_round_trip(test_case, {"-0", "-1", "-2", "-3"}, {std::string(4000, static_cast<char>('a' + i))});
  }
}

void metadata_on_streams(const Case& test_case) {
  grpc::ClientContext context;
  limit_call(context);
  context.AddMetadata("x-e2e-initial-bin", "\x01");
  context.AddMetadata("x-e2e-trailing-bin", "\x02");
  context.AddMetadata("x-e2e-trailing-bin", "");
  const auto stream = test_case.stub->BidiStream(&context);
  Response response;
  for (int i = 0; i < 3; ++i) {
    check(stream->Write({}), "the stream takes the message");
    check(stream->Read(&response), "a response comes");
  }
  stream->WritesDone();
  check_ok(stream->Finish());
  check(values_of(context.GetServerInitialMetadata(), "x-e2e-initial-bin") == Values{"\x01"},
        "the initial metadata arrives");
  check(values_of(context.GetServerTrailingMetadata(), "x-e2e-trailing-bin") == Values{"\x02", ""},
        "the trailing metadata arrives");
}

}  // namespace

std::vector<NamedCase> metadata_cases() {
  return {{"metadata_text", metadata_text},
          {"metadata_binary", metadata_binary},
          {"metadata_repeated", metadata_repeated},
          {"metadata_empty", metadata_empty},
          {"metadata_4k", metadata_4k},
          {"metadata_large", metadata_large},
          {"metadata_on_streams", metadata_on_streams}};
}

}  // namespace ringway::e2e
