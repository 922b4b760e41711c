// A request as it came, and an answer to be sent, in plain values. Nothing about models.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipstream {

struct HttpHeader {
  std::string name;
  std::string value;
};

// The first header of that name, in any case of letters; empty when there is none.
std::string_view find_header(const std::vector<HttpHeader>& headers, std::string_view name);

struct HttpRequest {
  std::string method;                // as sent: "POST"
  std::string path;                  // percent-decoded, without the query
  std::string query;                 // as sent, without '?'
  std::vector<HttpHeader> headers;   // as sent, in order
  std::string body;
  bool keep_alive = true;            // the client wants the connection kept
  bool http11 = true;

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<HttpHeader> headers;   // beyond Content-Type, Content-Length, Connection, Date
  std::string body;
};

// "Not Found" of 404.
std::string_view reason_phrase(int status);
// A whole answer as bytes.
std::string write_response(const HttpResponse& response, bool keep_alive, int64_t unix_time);
// The head of an answer whose body comes piece by piece: in chunks, or (HTTP/1.0) until the connection ends.
std::string write_stream_head(const HttpResponse& response, bool chunked, bool keep_alive, int64_t unix_time);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace slipstream
