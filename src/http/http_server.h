// HTTP/1.1 on one port and one I/O thread. Every request that is understood goes to the handler; every other one is
// answered by what write_refusal makes of it, and its connection closed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/resume_queue.h"
#include "base/task.h"
#include "http/http_exchange.h"
#include "http/http_limits.h"
#include "http/http_message.h"
#include "http/request_parser.h"

namespace slipstream {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;                   // 0: any free one
  HttpLimits limits;
  HttpHandler handler;                 // I/O thread
  RefusalWriter write_refusal;
  BodyGate admit_body = nullptr;       // I/O thread; null: every body is read
};

class HttpServer {
 public:
  // Binds the port and starts the I/O thread. Error: the address cannot be had.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, Clock clock);
  ~HttpServer();  // end()

  uint16_t port() const;
  // Where streams and text threads resume what waits on the I/O thread.
  ResumeQueue& resume_queue();

  // Any thread.
  void ask_to_stop();
  uint64_t body_bytes_in_work() const;

  // What follows: the I/O thread.
  // SIGTERM and SIGINT count as ask_to_stop() from now on.
  void watch_signals();
  // co_await next_stop(): until somebody asks to stop, once for each time.
  Task<void> next_stop();
  // No connection is kept beyond the answer in work; idle ones are closed. New requests still reach the handler.
  void drain();
  // Until no request is in work (true), the time is over, or somebody asks again to stop (false).
  Task<bool> drained(uint32_t timeout_ms);
  // Cuts every connection; the I/O thread ends when the last one has.
  void stop();
  uint32_t num_connections() const;

  // Any thread but the I/O thread. join() waits until the I/O thread has ended; end() makes it so, cutting what is in
  // work.
  void join();
  void end();

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// co_await OnThreadOf{queue}: goes on on the thread that owns the queue.
struct OnThreadOf {
  ResumeQueue& queue;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) const { queue.post(coroutine); }
  void await_resume() const {}
};

}  // namespace slipstream
