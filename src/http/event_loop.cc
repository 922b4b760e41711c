#include "http/event_loop.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <utility>

namespace slipstream {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

struct EventLoop::Impl {
  asio::io_context context{1};  // 1: one thread, so no lock is taken inside
  ResumeQueue resume_queue;
  asio::posix::stream_descriptor posted{context, resume_queue.fd()};
  bool stopped = false;

  ~Impl() { posted.release(); }  // the descriptor is the queue's

  void watch_resume_queue() {
    posted.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
      if (error) return;
      resume_queue.run();
      if (!stopped) watch_resume_queue();
    });
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) { impl_->watch_resume_queue(); }
EventLoop::~EventLoop() = default;
void EventLoop::run() { impl_->context.run(); }
void EventLoop::stop() {
  impl_->stopped = true;
  error_code ignored;
  impl_->posted.cancel(ignored);
}
ResumeQueue& EventLoop::resume_queue() { return impl_->resume_queue; }

// ---- Socket ----

struct Socket::Impl {
  explicit Impl(tcp::socket connected) : socket(std::move(connected)) {}
  tcp::socket socket;
};

Socket::Socket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Socket::~Socket() = default;
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;

void Socket::Read::await_suspend(std::coroutine_handle<> reader) {
  socket.impl_->socket.async_read_some(asio::buffer(into.data(), into.size()),
                                       [this, reader](const error_code& error, size_t bytes) {
                                         result = {error && error != asio::error::eof, bytes};
                                         reader.resume();
                                       });
}

void Socket::Write::await_suspend(std::coroutine_handle<> writer) {
  socket.impl_->socket.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                                        [this, writer](const error_code& error, size_t written) {
                                          result = {static_cast<bool>(error), written};
                                          writer.resume();
                                        });
}

void Socket::shut_down_sending() {
  error_code ignored;  // already broken: then there is nothing to end
  impl_->socket.shutdown(tcp::socket::shutdown_send, ignored);
}

void Socket::close() {
  error_code ignored;
  impl_->socket.close(ignored);
}

// ---- Connector ----

struct Connector::Impl {
  asio::io_context& context;
  const tcp::resolver::results_type addresses;
  const std::string name;  // "localhost port 8000"
};

Connector::Connector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connector::~Connector() = default;
Connector::Connector(Connector&&) noexcept = default;
Connector& Connector::operator=(Connector&&) noexcept = default;

Result<Connector> Connector::find(EventLoop& loop, const std::string& host, uint16_t port) {
  error_code error;
  tcp::resolver resolver(loop.impl().context);
  const auto found = resolver.resolve(host, std::to_string(port), error);
  if (error || found.empty()) return outside("'{}' is no host that can be found: {}", host, error.message());
  return Connector(std::unique_ptr<Impl>(
      new Impl{loop.impl().context, found, fmt::format("{} port {}", host, port)}));
}

void Connector::Connect::await_suspend(std::coroutine_handle<> waiting) {
  socket.emplace(std::make_unique<Socket::Impl>(tcp::socket(connector.impl_->context)));
  tcp::socket& connecting = socket->impl_->socket;
  asio::async_connect(connecting, connector.impl_->addresses,
                      [this, &connecting, waiting](const error_code& error, const tcp::endpoint&) {
                        error_code ignored;
                        connecting.set_option(tcp::no_delay(true), ignored);  // a request goes out when it is written
                        if (error)
                          fault = fmt::format("cannot connect to {}: {}", connector.impl_->name, error.message());
                        waiting.resume();
                      });
}

Result<Socket> Connector::Connect::await_resume() {
  if (!fault.empty()) return outside("{}", fault);
  return std::move(*socket);
}

// ---- Listener ----

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;  // what systems begin with
  if (limit.rlim_cur == limit.rlim_max) return limit.rlim_cur;
  const rlimit raised{limit.rlim_max, limit.rlim_max};
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? limit.rlim_max : limit.rlim_cur;
}

struct Listener::Impl {
  explicit Impl(asio::io_context& context) : acceptor(context) {}
  tcp::acceptor acceptor;
};

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() = default;
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;

Result<Listener> Listener::listen(EventLoop& loop, const std::string& host, uint16_t port, uint32_t send_buffer_bytes) {
  error_code error;
  tcp::resolver resolver(loop.impl().context);
  const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    Error refusal = outside("'{}' is not an address of this machine: {}", host, error.message());
    refusal.param = "host";
    return refusal;
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  auto impl = std::make_unique<Impl>(loop.impl().context);
  impl->acceptor.open(endpoint.protocol(), error);
  if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  error_code ignored;  // accepted sockets inherit the size; where it cannot be had the kernel's own is bounded too
  impl->acceptor.set_option(asio::socket_base::send_buffer_size(static_cast<int>(send_buffer_bytes)), ignored);
  if (!error) impl->acceptor.bind(endpoint, error);
  if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    Error refusal = outside("cannot listen on {} port {}: {}", host, port, error.message());
    refusal.param = "port";
    return refusal;
  }
  return Listener(std::move(impl));
}

uint16_t Listener::port() const {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

void Listener::Accept::await_suspend(std::coroutine_handle<> acceptor) {
  listener.impl_->acceptor.async_accept([this, acceptor](const error_code& error, tcp::socket accepted) {
    if (!error) {
      error_code ignored;
      accepted.set_option(tcp::no_delay(true), ignored);  // an event goes out when it is written
      socket.emplace(std::make_unique<Socket::Impl>(std::move(accepted)));
    }
    acceptor.resume();
  });
}

bool Listener::is_open() const { return impl_->acceptor.is_open(); }

void Listener::close() {
  error_code ignored;
  impl_->acceptor.close(ignored);
}

// ---- Timer ----

struct Timer::Impl {
  explicit Impl(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
};

Timer::Timer(EventLoop& loop) : impl_(std::make_unique<Impl>(loop.impl().context)) {}
Timer::~Timer() = default;

void Timer::Wait::await_suspend(std::coroutine_handle<> sleeper) {
  timer.impl_->timer.expires_after(std::chrono::milliseconds(milliseconds));
  timer.impl_->timer.async_wait([this, sleeper](const error_code& error) {
    rang = !error;
    sleeper.resume();
  });
}

void Timer::cancel() { impl_->timer.cancel(); }

// ---- StopSignals ----

struct StopSignals::Impl {
  explicit Impl(asio::io_context& context) : signals(context) {}
  asio::signal_set signals;
};

StopSignals::StopSignals(EventLoop& loop) : impl_(std::make_unique<Impl>(loop.impl().context)) {}
StopSignals::~StopSignals() = default;

void StopSignals::watch() {
  error_code ignored;  // both are signals that can be caught
  impl_->signals.add(SIGTERM, ignored);
  impl_->signals.add(SIGINT, ignored);
}

void StopSignals::Next::await_suspend(std::coroutine_handle<> waiting) {
  signals.impl_->signals.async_wait([this, waiting](const error_code& error, int signal) {
    number = error ? 0 : signal;
    waiting.resume();
  });
}

void StopSignals::cancel() {
  error_code ignored;
  impl_->signals.cancel(ignored);
}

}  // namespace slipstream
