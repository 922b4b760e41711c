// One request and its answer, for the handler. I/O thread only.
//
//   whole:   co_await exchange.respond(response);
//   stream:  exchange.begin_events();
//            exchange.put_event(data);  co_await exchange.flush();  ...
//            co_await exchange.end_events();
//
// The connection is read all the while, so a client that leaves is noticed at once (when_gone). A client that ends
// only its sending side counts as gone too. What a slow reader has not taken waits in its producer: flush() comes
// back when the bytes are with the kernel, so a stream holds at most what was put since.
#pragma once

#include <coroutine>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "http/http_message.h"

namespace slipstream {

class Connection;

class HttpExchange {
 public:
  HttpExchange(Connection& connection, HttpRequest request);

  const HttpRequest& request() const { return request_; }
  // The body has been read for good: its bytes no longer count as in work.
  void drop_body();

  Task<void> respond(HttpResponse response);

  // Goes with the answer, whole or as events; before it begins. The value has no line break.
  void add_header(HttpHeader header);
  // 200 and text/event-stream.
  void begin_events();
  // "data: <data>", to go out with the next flush(). data has no line break (JSON written on one line).
  void put_event(std::string_view data);
  // Several coroutines may put and flush: one writes for all. Returns at once when the client is gone.
  Task<void> flush();
  Task<void> end_events();

  bool client_gone() const;
  // Called at most once, when the client's leaving is noticed; before this returns if it is already gone.
  void when_gone(std::function<void()> notice);

  bool answered() const { return answered_; }
  // Of the answer that was begun; 0: none was.
  int status() const { return status_; }

 private:
  Connection& connection_;
  HttpRequest request_;
  std::vector<HttpHeader> headers_;  // of the answer, beside its own
  int status_ = 0;
  std::string unsent_;          // framed, not yet given to the socket
  bool writing_ = false;        // a flush() is under way
  bool answered_ = false;       // the answer has ended
  std::vector<std::coroutine_handle<>> waiting_;  // flushes whose bytes another one writes

  struct Flushed;
};

// Answers one request. Returns when the answer has ended, or at once when the client is gone.
using HttpHandler = std::function<Task<void>(HttpExchange&)>;

}  // namespace slipstream
