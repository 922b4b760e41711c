// One thread that waits for sockets, timers, signals and the ResumeQueue, and resumes the coroutines that wait for
// them. The only door to Boost.Asio: its headers are in event_loop.cc alone.
//
// Everything here belongs to the loop's thread, except ResumeQueue::post(). Each operation has at most one waiting
// coroutine; close() or cancel() ends the waits with IoResult::failed, through the loop, so nobody is resumed from
// inside the call.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/resume_queue.h"
#include "base/result.h"

namespace slipstream {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until stop() was called and nothing is waited for any more. The calling thread is the loop's from now on.
  void run();
  // The ResumeQueue is not looked at any more.
  void stop();

  // Coroutines that other threads want resumed here.
  ResumeQueue& resume_queue();

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct IoResult {
  bool failed = false;  // the connection is broken, closed, or the wait was cancelled
  size_t bytes = 0;     // read: 0 = the other side has ended
};

// A connected socket.
class Socket {
 public:
  struct Impl;
  explicit Socket(std::unique_ptr<Impl> impl);
  ~Socket();  // nothing may be waiting
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;

  struct Read {
    Socket& socket;
    std::span<char> into;
    IoResult result{};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> reader);
    IoResult await_resume() const { return result; }
  };
  struct Write {
    Socket& socket;
    std::string_view bytes;
    IoResult result{};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> writer);
    IoResult await_resume() const { return result; }
  };
  // Some bytes, at least one, or the end. A read and a write may wait at the same time.
  Read read_some(std::span<char> into) { return Read{*this, into}; }
  Write write_some(std::string_view bytes) { return Write{*this, bytes}; }

  void shut_down_sending();  // the other side reads to the end of what was written
  void close();

 private:
  friend class Connector;
  std::unique_ptr<Impl> impl_;
};

// An address to connect to, looked up once.
class Connector {
 public:
  // Waits for the system's answer. Error: there is no such host.
  static Result<Connector> find(EventLoop& loop, const std::string& host, uint16_t port);
  ~Connector();
  Connector(Connector&&) noexcept;
  Connector& operator=(Connector&&) noexcept;

  struct Connect {
    const Connector& connector;
    std::optional<Socket> socket{};
    std::string fault{};  // empty: connected
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    Result<Socket> await_resume();
  };
  // Error: nobody listens there.
  Connect connect() const { return Connect{*this}; }

 private:
  struct Impl;
  explicit Connector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A socket is a descriptor: lets this process have as many as the system allows it. Returns how many.
uint64_t raise_descriptor_limit();

class Listener {
 public:
  // port 0: any free one. send_buffer_bytes: what the kernel holds for a slow reader of a connection. Error: the name
  // is no address here, or the port is taken.
  static Result<Listener> listen(EventLoop& loop, const std::string& host, uint16_t port, uint32_t send_buffer_bytes);
  ~Listener();
  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;

  uint16_t port() const;

  struct Accept {
    Listener& listener;
    std::optional<Socket> socket{};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> acceptor);
    std::optional<Socket> await_resume() { return std::move(socket); }
  };
  // Absent: the listener was closed, or no descriptor was free (is_open() tells which).
  Accept accept() { return Accept{*this}; }
  bool is_open() const;
  void close();

 private:
  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Timer {
 public:
  explicit Timer(EventLoop& loop);
  ~Timer();

  struct Wait {
    Timer& timer;
    uint32_t milliseconds;
    bool rang = false;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> sleeper);
    bool await_resume() const { return rang; }
  };
  // false: cancelled.
  Wait wait_ms(uint32_t milliseconds) { return Wait{*this, milliseconds}; }
  void cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// SIGTERM and SIGINT, from watch() on; before it they do what they do by default.
class StopSignals {
 public:
  explicit StopSignals(EventLoop& loop);
  ~StopSignals();
  void watch();

  struct Next {
    StopSignals& signals;
    int number = 0;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    int await_resume() const { return number; }
  };
  // 0: cancelled.
  Next next() { return Next{*this}; }
  void cancel();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream
