// RFC 9113 sections 8.2, 8.3 and 8.5: the fields of requests, responses and trailers.
#include <algorithm>

#include "rows.h"

namespace ringway::h2::conformance {
namespace {

PlainList request_with(PlainList more, const PlainField& path = {":path", "/a.B/C"}) {
  PlainList fields{{":method", "POST"}, {":scheme", "http"}, path, {":authority", "a.example"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

PlainList request_without(std::string_view name, PlainList more = {}) {
  PlainList fields = request_with(std::move(more));
  std::erase_if(fields, [name](const PlainField& field) { return field.name == name; });
  return fields;
}

PlainList request_but(std::string_view name, std::string_view value, PlainList more = {}) {
  PlainList fields = request_with(std::move(more));
  for (PlainField& field : fields) {
    if (field.name == name) field.value = value;
  }
  return fields;
}

PlainList response_with(PlainList more, std::string_view status = "200") {
  more.insert(more.begin(), {":status", std::string(status)});
  return more;
}

// The same field in a message's header and, said so in the title, in its trailers.
class Fields {
 public:
  Fields(std::vector<Row>& rows, std::string section, Role role) : add_(rows, std::move(section), role), role_(role) {}

  void operator()(const std::string& title, const PlainList& more, bool is_good) {
    role_ == Role::kServer ? add_.message(title, MessageKind::kRequest, request_with(more), is_good)
                           : add_.message(title, MessageKind::kResponse, response_with(more), is_good);
  }
  void in_trailers(const std::string& title, const PlainList& fields, bool is_good) {
    add_.message(title + ", in trailers", MessageKind::kTrailers, fields, is_good);
  }
  void everywhere(const std::string& title, const PlainList& fields, bool is_good) {
    (*this)(title, fields, is_good);
    in_trailers(title, fields, is_good);
  }

 private:
  Section add_;
  Role role_;
};

void add_validity(std::vector<Row>& rows, Role role) {
  Fields add(rows, "9113 8.2.1", role);
  add("all octets of a token", {{"x-good_name.1!#$%&'*+-^`|~", "v"}}, true);
  add.everywhere("an upper-case name", {{"X-Upper", "v"}}, false);
  add("an upper-case letter at the end of a name", {{"x-uppeR", "v"}}, false);
  add("a known name in upper case", {{"Content-Type", "application/grpc"}}, false);
  add.everywhere("an empty name", {{"", "v"}}, false);
  struct Octet {
    const char* name;
    char octet;
  };
  const Octet octets[] = {{"NUL", '\0'},    {"LF", '\n'},     {"CR", '\r'},       {"TAB", '\t'},    {"a space", ' '},
                          {"a colon", ':'}, {"DEL", '\x7f'},  {"0x80", '\x80'},   {"0xff", '\xff'}, {"a quote", '"'},
                          {"a comma", ','}, {"a slash", '/'}, {"a bracket", '['}, {"an at", '@'}};
  for (const auto& [name, octet] : octets) {
    add(std::string("a name with ") + name, {{std::string("x") + octet + "y", "v"}}, false);
  }
  add("a name that ends with a colon", {{"x:", "v"}}, false);
  for (const auto& [name, octet] : octets) {
    const bool is_bad = octet == '\0' || octet == '\n' || octet == '\r';
    add(std::string("a value with ") + name, {{"x", std::string("a") + octet + "b"}}, !is_bad);
  }
  add.in_trailers("content-length, which means nothing there", {{"content-length", "x"}}, true);
  add.in_trailers("a value with LF", {{"x", "a\nb"}}, false);
  add.in_trailers("a value with NUL", {{"x", std::string("a\0b", 3)}}, false);
  for (const std::string& value : {std::string("\n"), std::string("\r"), std::string(1, '\0')}) {
    add("a value of one octet " + std::to_string(value[0]), {{"x", value}}, false);
  }
  add("a long value with LF", {{"x", std::string(40, 'a') + "\n" + std::string(40, 'b')}}, false);
  add("an empty value", {{"x", ""}}, true);
  add("a value that begins with a space", {{"x", " a"}}, false);
  add("a value that ends with a space", {{"x", "a "}}, false);
  add("a value that begins with TAB", {{"x", "\ta"}}, false);
  add("a value that ends with TAB", {{"x", "a\t"}}, false);
  add("a value of a space", {{"x", " "}}, false);
  add("a value with a space inside", {{"x", "a b\tc"}}, true);
}

void add_connection_specific(std::vector<Row>& rows, Role role) {
  Fields add(rows, "9113 8.2.2", role);
  const PlainList bad = {{"connection", "close"},
                         {"connection", "keep-alive, x"},
                         {"keep-alive", "timeout=5"},
                         {"proxy-connection", "close"},
                         {"transfer-encoding", "chunked"},
                         {"transfer-encoding", "identity"},
                         {"upgrade", "h2c"},
                         {"http2-settings", "AAMAAABkAAQ"}};
  for (const PlainField& field : bad) add.everywhere(field.name + ": " + field.value, {field}, false);
  const bool is_request = role == Role::kServer;
  add("te: trailers", {{"te", "trailers"}}, is_request);
  add.in_trailers("te: trailers", {{"te", "trailers"}}, false);
  for (const char* value : {"gzip", "trailers, gzip", "trailers;q=1", ""}) {
    add(std::string("te: ") + value, {{"te", value}}, false);
  }
  Fields cookies(rows, "9113 8.2.3", role);
  cookies("cookies in several fields", {{"cookie", "a=1"}, {"cookie", "b=2"}}, true);
}

void add_pseudo(std::vector<Row>& rows, Role role) {
  Fields add(rows, "9113 8.3", role);
  Section whole(rows, "9113 8.3", role);
  add("a pseudo-field nobody knows", {{":flavour", "sweet"}}, false);
  add("a pseudo-field behind a field", {{"x", "y"}, {role == Role::kServer ? ":path" : ":status", "/"}}, false);
  add("a pseudo-field of the other kind of message", {{role == Role::kServer ? ":status" : ":path", "200"}}, false);
  for (const char* name : {":method", ":scheme", ":path", ":authority", ":status", ":protocol", ":flavour"}) {
    add.in_trailers(name, {{"grpc-status", "0"}, {name, "1"}}, false);
    add.in_trailers(std::string(name) + " first", {{name, "1"}, {"grpc-status", "0"}}, false);
  }
  if (role == Role::kServer) {
    whole.message("a pseudo-field nobody knows, first", MessageKind::kRequest,
                  {{":flavour", "sweet"}, {":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, false);
    whole.message(":path behind a field", MessageKind::kRequest,
                  {{":method", "POST"}, {":scheme", "http"}, {"x", "y"}, {":path", "/"}}, false);
    whole.message(":status before the rest", MessageKind::kRequest,
                  {{":status", "200"}, {":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, false);
    whole.message("in any order", MessageKind::kRequest,
                  {{":authority", "a"}, {":path", "/"}, {":scheme", "http"}, {":method", "GET"}}, true);
    whole.message("an upper-case pseudo-field", MessageKind::kRequest,
                  {{":Method", "GET"}, {":scheme", "http"}, {":path", "/"}}, false);
  } else {
    whole.message(":status behind a field", MessageKind::kResponse, {{"x", "y"}, {":status", "200"}}, false);
    whole.message("the pseudo-fields of a request", MessageKind::kResponse, request_with({}), false);
  }
}

void add_paths(Section& add) {
  const auto path = [&](const std::string& title, std::string_view value, bool is_good) {
    add.message(":path " + title, MessageKind::kRequest, request_but(":path", value), is_good);
  };
  path("of the root", "/", true);
  path("with a query", "/a?b=c&d=%20", true);
  path("with every printable octet but a hash", "/!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", true);
  path("that is empty", "", false);
  path("that is relative", "a/b", false);
  path("that is a query alone", "?a=b", false);
  path("in absolute form", "http://a.example/b", false);
  path("with a fragment", "/a#b", false);
  path("with a space", "/a b", false);
  path("with TAB", "/a\tb", false);
  path("with a control octet", "/a\x01", false);
  path("with DEL", "/a\x7f", false);
  path("with an octet above ASCII", "/\xc3\xa4", false);
  path("of an asterisk", "*", false);
  const auto options = [&](const std::string& title, std::string_view value, bool is_good) {
    PlainList fields = request_but(":path", value);
    fields[0].value = "OPTIONS";
    add.message("OPTIONS " + title, MessageKind::kRequest, fields, is_good);
  };
  options("with an asterisk", "*", true);
  options("with a path", "/a", true);
  options("with an asterisk and more", "*a", false);
  options("with an empty path", "", false);
}

void add_requests(std::vector<Row>& rows) {
  Section add(rows, "9113 8.3.1", Role::kServer);
  const auto request = [&](const std::string& title, const PlainList& fields, bool is_good) {
    add.message(title, MessageKind::kRequest, fields, is_good);
  };
  for (const char* name : {":method", ":scheme", ":path"})
    request(std::string("without ") + name, request_without(name), false);
  request("without :authority", request_without(":authority"), true);
  request("with host alone", request_without(":authority", {{"host", "a.example"}}), true);
  for (const char* name : {":method", ":scheme", ":path", ":authority"}) {
    PlainList fields = request_with({});
    const PlainField again = *std::ranges::find(fields, name, &PlainField::name);
    fields.insert(fields.begin(), again);
    request(std::string(name) + " twice", fields, false);
  }
  for (const char* method : {"GET", "HEAD", "DELETE", "PATCH", "x-own", "M-SEARCH"}) {
    request(std::string(":method ") + method, request_but(":method", method), true);
  }
  request(":method that is empty", request_but(":method", ""), false);
  request(":method with a space", request_but(":method", "GE T"), false);
  request(":method with a slash", request_but(":method", "GET/"), false);
  request(":method with a control octet", request_but(":method", "GET\x01"), false);
  request(":method with an octet above ASCII", request_but(":method", "P\xc3\x96ST"), false);
  for (const char* scheme : {"http", "https"})
    request(std::string(":scheme ") + scheme, request_but(":scheme", scheme), true);
  for (const char* scheme : {"", "ftp", "HTTP", "http:", "grpc"}) {
    request(std::string(":scheme '") + scheme + "'", request_but(":scheme", scheme), false);
  }
  add_paths(add);
  request(":authority with a port", request_but(":authority", "a.example:8080"), true);
  request(":authority of an address", request_but(":authority", "[2001:db8::1]:443"), true);
  request(":authority with userinfo", request_but(":authority", "user@a.example"), false);
  request(":authority with empty userinfo", request_but(":authority", "@a.example"), false);
  request(":authority that is empty", request_but(":authority", ""), false);
  request(":authority that is a port alone", request_but(":authority", ":8080"), false);
  request(":authority that is empty, and host", request_but(":authority", "", {{"host", "a.example"}}), false);
  request(":authority of a socket's path, escaped", request_but(":authority", "%2Frun%2Fa.sock"), true);
  constexpr std::pair<const char*, const char*> kNoAuthorities[] = {
      {"a path", "a.example/b"},
      {"a query", "a.example?b"},
      {"a fragment", "a.example#b"},
      {"a space", "a example"},
      {"a backslash", "a.example\\"},
      {"quotes", "\"a.example\""},
      {"a bracket", "a<b"},
      {"a tab", "a\tb"},
      {"octet 0x01", "a\x01"},
      {"octet 0x7f", "a\x7f"},
      {"octets 0xff 0xfe", "\xff\xfe"},
      {"a brace", "a{b"},
      {"a bar", "a|b"},
      {"a circumflex", "a^b"},
      {"a grave accent", "a`b"},
  };
  for (const auto& [what, host] : kNoAuthorities) {
    request(std::string(":authority with ") + what, request_but(":authority", host), false);
    request(std::string("host with ") + what, request_without(":authority", {{"host", host}}), false);
  }
  request(":authority with all that one may have", request_but(":authority", "A.z-0_9~%41!$&'()*+,;=:1"), true);
  request("host equal to :authority", request_with({{"host", "a.example"}}), true);
  request("host in other letters than :authority", request_with({{"host", "A.Example"}}), true);
  request("host with the scheme's port", request_with({{"host", "a.example:80"}}), true);
  request("host with another port", request_with({{"host", "a.example:443"}}), false);
  request("host unlike :authority", request_with({{"host", "b.example"}}), false);
  request("host that is empty", request_with({{"host", ""}}), false);
  request("host that :authority begins with", request_with({{"host", "a.exam"}}), false);
  request("two hosts, the last as :authority", request_with({{"host", "b.example"}, {"host", "a.example"}}), false);
  request("two equal hosts", request_with({{"host", "a.example"}, {"host", "a.example"}}), false);
}

void add_connect(std::vector<Row>& rows) {
  Section add(rows, "9113 8.5", Role::kServer);
  const auto connect = [&](const std::string& title, PlainList more, bool is_good) {
    more.insert(more.begin(), {":method", "CONNECT"});
    add.message(title, MessageKind::kRequest, more, is_good);
  };
  connect("CONNECT as it should be", {{":authority", "a.example:443"}}, true);
  connect("CONNECT with host too", {{":authority", "a.example:443"}, {"host", "a.example:443"}}, true);
  connect("CONNECT without :authority", {}, false);
  connect("CONNECT without a port", {{":authority", "a.example"}}, false);
  connect("CONNECT with an empty port", {{":authority", "a.example:"}}, false);
  connect("CONNECT without a host", {{":authority", ":443"}}, false);
  connect("CONNECT with a port of letters", {{":authority", "a.example:https"}}, false);
  connect("CONNECT with :scheme", {{":scheme", "https"}, {":authority", "a.example:443"}}, false);
  connect("CONNECT with :path", {{":path", "/"}, {":authority", "a.example:443"}}, false);
  connect("CONNECT with :scheme and :path", {{":scheme", "https"}, {":path", "/"}, {":authority", "a.example:443"}},
          false);
  connect("CONNECT with :protocol (RFC 8441, not enabled)",
          {{":protocol", "websocket"}, {":scheme", "https"}, {":path", "/"}, {":authority", "a.example:443"}}, false);
}

void add_responses(std::vector<Row>& rows) {
  Section add(rows, "9113 8.3.2", Role::kClient);
  const auto response = [&](const std::string& title, const PlainList& fields, bool is_good) {
    add.message(title, MessageKind::kResponse, fields, is_good);
  };
  response("just :status", {{":status", "200"}}, true);
  response("a gRPC response", response_with({{"content-type", "application/grpc"}, {"grpc-status", "0"}}), true);
  response("without :status", {{"content-type", "a"}}, false);
  response(":status twice", {{":status", "200"}, {":status", "200"}}, false);
  for (const char* status : {"200", "404", "599", "999"})
    response(std::string(":status ") + status, response_with({}, status), true);
  for (const char* status : {"", "20", "2000", "099", "000", "2oo", " 200", "-20", "+20", "0x1"}) {
    response(std::string(":status '") + status + "'", response_with({}, status), false);
  }
}

}  // namespace

void add_fields(std::vector<Row>& rows, Role role) {
  add_validity(rows, role);
  add_connection_specific(rows, role);
}

void add_pseudo_fields(std::vector<Row>& rows, Role role) {
  add_pseudo(rows, role);
  if (role == Role::kClient) return add_responses(rows);
  add_requests(rows);
  add_connect(rows);
}

}  // namespace ringway::h2::conformance
