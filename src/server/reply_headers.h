// What every answer carries beside itself, refusals and streams too: the request's id, its trace, and which pages of
// other origins a browser may show it to. What a client sent goes back only where it cannot break a header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/http_message.h"

namespace slipstream {

class ReplyHeaders {
 public:
  // allowed_origins: "https://chat.example.org", as browsers send them, or "*" for all. None: browsers show our answers
  // to no page but our own.
  explicit ReplyHeaders(std::vector<std::string> allowed_origins) : allowed_origins_(std::move(allowed_origins)) {}

  // To a request with these headers; own_id is its id if it brings none that is 1 to 128 printable ASCII characters.
  std::vector<HttpHeader> of(const std::vector<HttpHeader>& request, std::string own_id) const;

  // Besides, to a browser's question (OPTIONS) whether its page may send this method here.
  std::vector<HttpHeader> preflight(const std::vector<HttpHeader>& request, std::string_view methods) const;

 private:
  bool allows(std::string_view origin) const;

  const std::vector<std::string> allowed_origins_;
};

}  // namespace slipstream
