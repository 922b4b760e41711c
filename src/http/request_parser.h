// Bytes -> one HttpRequest, by Boost.Beast's parser, with what Beast leaves open decided here. Knows no sockets.
//
// The header is given whole (header_end() says where it ends), the body piece by piece as it comes, so that a refusal
// is known before the body is read, and however TCP cut the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/http_limits.h"
#include "http/http_message.h"

namespace slipstream {

// Why a request is not taken: the connection is answered and closed, because where the next one begins is not known.
struct HttpRefusal {
  int status = 400;
  std::string message;
  std::vector<HttpHeader> headers = {};  // the request's, if they were read
};

// Looks at a request whose header has come and whose body has not: a refusal spares us the body.
using BodyGate = std::function<std::optional<HttpRefusal>(const HttpRequest&)>;

// A refusal in the server's own words.
using RefusalWriter = std::function<HttpResponse(const HttpRefusal&)>;

class RequestParser {
 public:
  explicit RequestParser(const HttpLimits& limits);
  ~RequestParser();

  // Bytes up to and with the empty line that ends the header; nullopt while it has not come.
  static std::optional<size_t> header_end(std::string_view received);

  // All of the header. Content-Length beyond the limit, or beside Transfer-Encoding, and a Content-Encoding are refused
  // here.
  std::optional<HttpRefusal> take_header(std::string_view header);
  // After the header: true when the whole body is here.
  bool done() const;
  bool expects_continue() const;  // "Expect: 100-continue": the client waits for our word before it sends the body

  // Takes what it can of the body; returns how many bytes (0: it needs to see more at once).
  size_t take_body(std::string_view received, std::optional<HttpRefusal>& refusal);

  // The request so far; its body grows.
  HttpRequest& request() { return request_; }

 private:
  struct Impl;
  HttpRequest request_;
  HttpLimits limits_;
  bool took_nothing_ = false;  // the last take_body()
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream
