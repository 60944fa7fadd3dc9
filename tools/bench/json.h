// Writes JSON: values in the order they are given, two spaces a level.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::bench {

class JsonWriter {
 public:
  // Inside an object every value has a key, inside a list none ("").
  void begin_object(std::string_view key = "");
  void end_object();
  void begin_list(std::string_view key = "");
  void end_list();

  void value(std::string_view key, std::string_view text);
  void value(std::string_view key, const char* text) { value(key, std::string_view(text)); }
  void value(std::string_view key, double number);  // what is not finite becomes null
  void value(std::string_view key, bool is_true);
  template <std::integral Integer>
    requires(!std::same_as<Integer, bool>)
  void value(std::string_view key, Integer number) {
    raw(key, std::to_string(number));
  }
  void value(std::string_view key, const std::optional<double>& number);  // nothing becomes null

  // The document, with a line end. All that was begun must be ended.
  std::string text() const;

 private:
  void raw(std::string_view key, std::string_view json);
  void start(std::string_view key);

  std::string text_;
  std::vector<bool> has_values_;  // per open level
};

std::string json_string(std::string_view text);  // with quotes

}  // namespace ringway::bench
