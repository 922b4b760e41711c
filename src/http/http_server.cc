#include "http/http_server.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/this_thread.h"
#include "http/connection.h"
#include "http/event_loop.h"

namespace slipstream {
namespace {

constexpr uint32_t kSweepMs = 100;           // how exact the time limits are
constexpr uint32_t kNoDescriptorMs = 50;     // before accept() is tried again when the system has no descriptor left
constexpr uint32_t kRefusedInWords = 256;    // connections beyond the limit that are still told so; others just end
constexpr uint64_t kOwnDescriptors = 64;     // for files and the event loop

// No more connections than this process may have descriptors for: one too many is then told so, instead of waiting
// for nothing.
void bound_by_descriptors(HttpLimits& limits) {
  const uint64_t descriptors = raise_descriptor_limit();
  const uint64_t spare = std::min(kOwnDescriptors + kRefusedInWords, descriptors / 2);
  if (limits.connections <= descriptors - spare) return;
  LOG_WARNING("this process may open only {} files, so {} connections are served at once, not {}; raise the limit with "
              "ulimit -n (systemd: LimitNOFILE)",
              descriptors, descriptors - spare, limits.connections);
  limits.connections = static_cast<uint32_t>(descriptors - spare);
}

}  // namespace

struct HttpServer::State {
  State(HttpServerOptions options, Listener bound, std::unique_ptr<EventLoop> event_loop, Clock clock)
      : port(bound.port()),
        loop(std::move(event_loop)),
        listener(std::move(bound)),
        hub(options.limits, std::move(options.handler), std::move(options.write_refusal), std::move(options.admit_body),
            clock) {
    hub.answer_ended = [this] {
      if (hub.num_in_work != 0) return;
      quiet = true;
      drain_timer.cancel();
    };
  }

  // Constant.
  const uint16_t port;

  // Owned by the I/O thread.
  std::unique_ptr<EventLoop> loop;
  Listener listener;
  StopSignals signals{*loop};
  Timer accept_pause{*loop};
  Timer sweep_timer{*loop};
  Timer drain_timer{*loop};
  ConnectionHub hub;
  uint32_t stops_asked = 0;
  uint32_t stops_taken = 0;   // by next_stop()
  Wakeup stop_asked;
  bool quiet = false;         // no request was in work at some moment since drained() began to wait

  std::thread thread;

  // ---- coroutines of the I/O thread ----

  Task<void> accept_connections() {
    while (!hub.stopping) {
      std::optional<Socket> accepted = co_await listener.accept();
      if (!accepted) {
        if (!listener.is_open()) break;
        if (!hub.make_room()) co_await accept_pause.wait_ms(kNoDescriptorMs);
        continue;
      }
      const size_t most_open = size_t{hub.limits.connections} + kRefusedInWords;
      if (hub.num_serving >= hub.limits.connections || hub.num_open() >= most_open) hub.make_room();
      if (hub.num_open() < most_open) {
        start_detached(serve(std::move(*accepted)));
      }
    }
  }

  Task<void> serve(Socket socket) {
    Connection connection(hub, std::move(socket));
    co_await connection.run();
  }

  Task<void> enforce_time_limits() {
    while (!hub.stopping) {
      if (hub.connections.empty()) {
        co_await hub.connection_began;  // an idle server sleeps
        continue;
      }
      co_await sweep_timer.wait_ms(kSweepMs);
      const uint64_t now_ns = hub.clock.now_ns();
      for_each_connection([now_ns](Connection& connection) { connection.look_at_clock(now_ns); });
    }
  }

  Task<void> take_signals() {
    while (!hub.stopping) {
      const int number = co_await signals.next();
      if (number != 0) ask_to_stop();
    }
  }

  Task<void> ask_to_stop_from_outside() {
    co_await OnThreadOf{loop->resume_queue()};
    ask_to_stop();
  }

  Task<void> stop_from_outside() {
    co_await OnThreadOf{loop->resume_queue()};
    stop();
  }

  Task<void> end_when_empty() {
    while (!hub.connections.empty()) co_await hub.connection_ended;
    loop->stop();
  }

  // ---- plain functions of the I/O thread ----

  // What visit() does may end connections, also others than the one visited.
  template <class Visit>
  void for_each_connection(const Visit& visit) {
    const std::vector<Connection*> all(hub.connections.begin(), hub.connections.end());
    for (Connection* const connection : all) {
      if (hub.connections.contains(connection)) visit(*connection);
    }
  }

  void ask_to_stop() {
    ++stops_asked;
    drain_timer.cancel();
    stop_asked.notify();
  }

  void stop() {
    if (hub.stopping) return;
    hub.stopping = true;
    listener.close();
    accept_pause.cancel();
    sweep_timer.cancel();
    hub.connection_began.notify();
    drain_timer.cancel();
    signals.cancel();
    stop_asked.notify();
    for_each_connection([](Connection& connection) { connection.cut(); });
    start_detached(end_when_empty());
  }
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, Clock clock) {
  CHECK(options.handler && options.write_refusal, "an HTTP server needs a handler and words of refusal");
  bound_by_descriptors(options.limits);
  auto loop = std::make_unique<EventLoop>();
  const uint32_t send_buffer_bytes = options.limits.send_buffer_bytes;
  ASSIGN_OR_RETURN(Listener listener, Listener::listen(*loop, options.host, options.port, send_buffer_bytes));
  auto state = std::make_unique<State>(std::move(options), std::move(listener), std::move(loop), clock);
  State* const io = state.get();
  start_detached(io->accept_connections());
  start_detached(io->enforce_time_limits());
  io->thread = std::thread([io] {
    name_this_thread("io");
    io->loop->run();
  });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::~HttpServer() { end(); }

void HttpServer::end() {
  if (state_->thread.joinable()) {
    start_detached(state_->stop_from_outside());
    join();
  }
  state_->loop->resume_queue().run();  // what was posted after the loop's end finds nothing left to do, and is gone
}

void HttpServer::join() {
  if (state_->thread.joinable()) state_->thread.join();
}

uint16_t HttpServer::port() const { return state_->port; }
ResumeQueue& HttpServer::resume_queue() { return state_->loop->resume_queue(); }
void HttpServer::watch_signals() {
  state_->signals.watch();
  start_detached(state_->take_signals());
}
void HttpServer::ask_to_stop() { start_detached(state_->ask_to_stop_from_outside()); }
void HttpServer::stop() { state_->stop(); }
uint32_t HttpServer::num_connections() const { return static_cast<uint32_t>(state_->hub.connections.size()); }
uint64_t HttpServer::body_bytes_in_work() const { return state_->hub.body_bytes_in_work; }

Task<void> HttpServer::next_stop() {
  State& state = *state_;
  while (state.stops_taken == state.stops_asked && !state.hub.stopping) co_await state.stop_asked;
  ++state.stops_taken;
}

void HttpServer::drain() {
  state_->hub.draining = true;
  state_->for_each_connection([](Connection& connection) { connection.leave_if_idle(); });
}

Task<bool> HttpServer::drained(uint32_t timeout_ms) {
  State& state = *state_;
  if (state.hub.num_in_work == 0) co_return true;
  state.quiet = false;
  co_await state.drain_timer.wait_ms(timeout_ms);  // ended early by the last answer, or by a further ask_to_stop()
  co_return state.quiet;
}

}  // namespace slipstream
