#include "http/http_exchange.h"

#include <fmt/format.h>

#include <coroutine>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "http/connection.h"

namespace slipstream {

// Waits until the flush() that is under way has written what was put so far.
struct HttpExchange::Flushed {
  HttpExchange& exchange;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { exchange.waiting_.push_back(waiting); }
  void await_resume() const {}
};

HttpExchange::HttpExchange(Connection& connection, HttpRequest request)
    : connection_(connection), request_(std::move(request)) {}

void HttpExchange::drop_body() {
  std::string().swap(request_.body);
  connection_.drop_body_bytes();
}

void HttpExchange::add_header(HttpHeader header) { headers_.push_back(std::move(header)); }

Task<void> HttpExchange::respond(HttpResponse response) {
  CHECK(!answered_, "one answer for a request");
  status_ = response.status;
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  std::string bytes = write_response(response, connection_.keeps_alive(), unix_time_s());
  // The answer to HEAD tells the body's length and has none.
  if (request_.method == "HEAD") bytes.resize(bytes.size() - response.body.size());
  const bool sent = co_await connection_.write_all(bytes);
  answered_ = sent;
}

void HttpExchange::begin_events() {
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers.push_back({"Cache-Control", "no-cache"});
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  status_ = response.status;
  unsent_ += write_stream_head(response, connection_.chunked(), connection_.keeps_alive(), unix_time_s());
}

void HttpExchange::put_event(std::string_view data) {
  constexpr size_t kFrame = 8;  // "data: " and the empty line
  if (connection_.chunked()) fmt::format_to(std::back_inserter(unsent_), "{:x}\r\n", data.size() + kFrame);
  unsent_ += "data: ";
  unsent_ += data;
  unsent_ += "\n\n";
  if (connection_.chunked()) unsent_ += "\r\n";
}

Task<void> HttpExchange::flush() {
  if (writing_) {
    co_await Flushed{*this};
    co_return;
  }
  writing_ = true;
  while (!unsent_.empty() && !connection_.gone()) {
    std::string bytes;
    bytes.swap(unsent_);
    co_await connection_.write_all(bytes);
  }
  writing_ = false;
  const std::vector<std::coroutine_handle<>> waiting = std::exchange(waiting_, {});
  for (const std::coroutine_handle<> flushed : waiting) flushed.resume();
}

Task<void> HttpExchange::end_events() {
  if (connection_.chunked()) unsent_ += "0\r\n\r\n";
  co_await flush();
  answered_ = !connection_.gone() && connection_.chunked();
}

bool HttpExchange::client_gone() const { return connection_.gone(); }
void HttpExchange::when_gone(std::function<void()> notice) { connection_.when_gone(std::move(notice)); }

}  // namespace slipstream
