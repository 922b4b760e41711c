#include "http/request_parser.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/check.h"
#include "http/growing_body.h"

namespace slipstream {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;

HttpRefusal refusal_of(const error_code& code, const HttpLimits& limits) {
  using beast_http::error;
  if (code == error::body_limit) {
    return {413, fmt::format("The request body is too large: at most {} bytes are taken.", limits.body_bytes)};
  }
  if (code == error::header_limit) {
    return {431, fmt::format("The request's header is too large: at most {} bytes are taken.", limits.header_bytes)};
  }
  if (code == error::bad_content_length || code == error::multiple_content_length) {
    return {400, "The request's Content-Length is wrong."};
  }
  if (code == error::bad_transfer_encoding) {
    return {400, "The request's Transfer-Encoding is wrong, or stands beside a Content-Length."};
  }
  if (code == error::bad_chunk || code == error::bad_chunk_extension) {
    return {400, "The request's chunked body is malformed."};
  }
  return {400, "The request is not well-formed HTTP/1.1."};
}

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

// "/path?query", or the absolute form "http://host/path?query" (RFC 9112, 3.2.2).
void split_target(std::string_view target, HttpRequest& request) {
  if (const size_t scheme = target.find("://"); scheme != std::string_view::npos && target.front() != '/') {
    const size_t authority_end = std::min(target.find_first_of("/?", scheme + 3), target.size());
    target.remove_prefix(authority_end);
  }
  const size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  request.path = percent_decoded(path.empty() ? "/" : path);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
}

}  // namespace

struct RequestParser::Impl {
  beast_http::request_parser<GrowingBody> parser;
};

RequestParser::RequestParser(const HttpLimits& limits) : limits_(limits), impl_(std::make_unique<Impl>()) {
  impl_->parser.header_limit(limits.header_bytes);
  impl_->parser.body_limit(limits.body_bytes);
}

RequestParser::~RequestParser() = default;

std::optional<size_t> RequestParser::header_end(std::string_view received) {
  const size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  return end + 4;
}

std::optional<HttpRefusal> RequestParser::take_header(std::string_view header) {
  auto& parser = impl_->parser;
  parser.eager(false);
  error_code error;
  parser.put(boost::asio::buffer(header.data(), header.size()), error);
  for (const auto& field : parser.get()) {  // also of a request that is refused for one of them
    request_.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  if (error) return refusal_of(error, limits_);
  if (!parser.is_header_done()) return refusal_of(beast_http::error::partial_message, limits_);
  parser.eager(true);

  const auto& message = parser.get();
  // Beast takes "gzip, chunked" or "gzip" for a body of another length than we would: only plain chunked is taken.
  const auto encodings = message.equal_range(beast_http::field::transfer_encoding);
  if (encodings.first != encodings.second) {
    const std::string_view coding(encodings.first->value().data(), encodings.first->value().size());
    const bool has_length = message.find(beast_http::field::content_length) != message.end();
    if (!equal_ignoring_case(coding, "chunked") || !parser.chunked() || has_length || message.version() < 11) {
      return refusal_of(beast_http::error::bad_transfer_encoding, limits_);
    }
  }
  const auto coded = message[beast_http::field::content_encoding];
  if (!coded.empty() && !equal_ignoring_case({coded.data(), coded.size()}, "identity")) {
    return HttpRefusal{415, "A Content-Encoding is not supported; send the request body as it is."};
  }
  request_.method = std::string(message.method_string());
  split_target({message.target().data(), message.target().size()}, request_);
  request_.keep_alive = parser.keep_alive();
  request_.http11 = message.version() >= 11;
  return std::nullopt;
}

bool RequestParser::done() const { return impl_->parser.is_done(); }

bool RequestParser::expects_continue() const {
  return request_.http11 && equal_ignoring_case(request_.header("Expect"), "100-continue");
}

size_t RequestParser::take_body(std::string_view received, std::optional<HttpRefusal>& refusal) {
  auto& parser = impl_->parser;
  CHECK(parser.is_header_done() && !parser.is_done(), "no body is awaited");
  if (took_nothing_ && parser.chunked() && received.size() < kLeastChunkedRest) return 0;
  std::string& body = parser.get().body();
  body.swap(request_.body);
  error_code error;
  const size_t taken = parser.put(boost::asio::buffer(received.data(), received.size()), error);
  body.swap(request_.body);
  took_nothing_ = taken == 0;
  if (error && error != beast_http::error::need_more) refusal = refusal_of(error, limits_);
  return taken;
}

}  // namespace slipstream
