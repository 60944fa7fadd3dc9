#include "json.h"

#include <fmt/format.h>

#include <cmath>

#include "base/assert.h"

namespace ringway::bench {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char character : text) {
    switch (character) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(character) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(character)));
        } else {
          out += character;
        }
    }
  }
  return out + '"';
}

void JsonWriter::start(std::string_view key) {
  if (!has_values_.empty()) {
    text_ += has_values_.back() ? ",\n" : "\n";
    has_values_.back() = true;
    text_.append(2 * has_values_.size(), ' ');
  }
  if (!key.empty()) text_ += json_string(key) + ": ";
}

void JsonWriter::raw(std::string_view key, std::string_view json) {
  start(key);
  text_ += json;
}

void JsonWriter::begin_object(std::string_view key) {
  raw(key, "{");
  has_values_.push_back(false);
}

void JsonWriter::begin_list(std::string_view key) {
  raw(key, "[");
  has_values_.push_back(false);
}

void JsonWriter::end_object() {
  ASSERT(!has_values_.empty());
  const bool has_values = has_values_.back();
  has_values_.pop_back();
  if (has_values) text_ += "\n" + std::string(2 * has_values_.size(), ' ');
  text_ += '}';
}

void JsonWriter::end_list() {
  ASSERT(!has_values_.empty());
  const bool has_values = has_values_.back();
  has_values_.pop_back();
  if (has_values) text_ += "\n" + std::string(2 * has_values_.size(), ' ');
  text_ += ']';
}

void JsonWriter::value(std::string_view key, std::string_view text) {
  raw(key, json_string(text));
}

void JsonWriter::value(std::string_view key, double number) {
  raw(key, std::isfinite(number) ? fmt::format("{:.9g}", number) : "null");
}

void JsonWriter::value(std::string_view key, bool is_true) {
  raw(key, is_true ? "true" : "false");
}

void JsonWriter::value(std::string_view key, const std::optional<double>& number) {
  if (number) {
    value(key, *number);
  } else {
    raw(key, "null");
  }
}

std::string JsonWriter::text() const {
  ASSERT(has_values_.empty());
  return text_ + "\n";
}

}  // namespace ringway::bench
