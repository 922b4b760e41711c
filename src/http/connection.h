// One client's connection: a read side that always reads, and an answer side that takes requests off what was read
// and answers them one after the other. Inside of http/; all on the I/O thread.
#pragma once

#include <atomic>
#include <coroutine>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/clock.h"
#include "base/task.h"
#include "http/event_loop.h"
#include "http/http_exchange.h"
#include "http/http_limits.h"
#include "http/http_message.h"
#include "http/request_parser.h"

namespace slipstream {

class Connection;

// At most one coroutine waits; notify() resumes it on the spot.
class Wakeup {
 public:
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { waiting_ = waiting; }
  void await_resume() const {}
  void notify() {
    if (waiting_) std::exchange(waiting_, nullptr).resume();
  }

 private:
  std::coroutine_handle<> waiting_;
};

// What the connections of one server share.
struct ConnectionHub {
  ConnectionHub(const HttpLimits& all_limits, HttpHandler answer, RefusalWriter refuse, BodyGate admit, Clock time)
      : limits(all_limits),
        handler(std::move(answer)),
        write_refusal(std::move(refuse)),
        admit_body(std::move(admit)),
        clock(time) {}

  // Constant.
  const HttpLimits limits;
  const HttpHandler handler;
  const RefusalWriter write_refusal;
  const BodyGate admit_body;           // may be null
  const Clock clock;
  std::function<void()> answer_ended;  // num_in_work fell

  // ---- The I/O thread ----

  // Connections whose descriptor is open. (Ended ones are among `connections` until their last read came back.)
  size_t num_open() const { return connections.size() - num_ended; }
  // Whose next bytes we wait for, and have waited for longest; with a body: among those that are in the middle of one.
  // Null: nobody.
  enum class Among : uint8_t { kAll, kWithBody };
  Connection* longest_awaited(Among among) const;
  // Ends the connection that kept us waiting longest, if that was for a second or more: for who comes now. False: there
  // is none.
  bool make_room();

  // Owned by the I/O thread.
  std::unordered_set<Connection*> connections;
  size_t num_ended = 0;
  size_t num_serving = 0;              // open ones that are not about to hang up
  std::atomic<uint64_t> body_bytes_in_work{0};  // changed by the I/O thread; any may look
  uint32_t num_in_work = 0;            // requests in the handler
  bool draining = false;               // no connection is kept after its answer
  bool stopping = false;               // nothing is begun any more
  Wakeup connection_began;
  Wakeup connection_ended;
};

class Connection {
 public:
  Connection(ConnectionHub& hub, Socket socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Until the connection has ended.
  Task<void> run();

  void look_at_clock(uint64_t now_ns);  // ends what has waited too long
  void leave_if_idle();                 // between two requests: hangs up
  void cut();                           // now, whatever is in work
  void give_up_body();                  // the one that is coming: there is no room for it
  uint64_t awaited_since_ns() const { return awaited_since_ns_; }
  bool has_body_bytes() const { return body_bytes_ > 0; }

  // For HttpExchange.
  Task<bool> write_all(std::string_view bytes);
  bool gone() const { return ended_; }
  void when_gone(std::function<void()> notice);
  void drop_body_bytes();
  bool keeps_alive() const { return keep_alive_ && !hub_.draining; }
  bool chunked() const { return http11_; }

 private:
  enum class Answer : uint8_t { kAgain, kClose };

  Task<void> read_side();
  Task<void> answer_side();
  Task<Answer> answer_one();
  Task<bool> read_request(RequestParser& parser, std::optional<HttpRefusal>& refusal);
  Task<bool> read_header(RequestParser& parser, std::optional<HttpRefusal>& refusal);
  Task<bool> read_body(RequestParser& parser, std::optional<HttpRefusal>& refusal);
  Task<void> refuse(HttpRefusal refusal);
  Task<void> hang_up();
  void stop_serving();
  void await_bytes(uint32_t timeout_ms);
  bool may_wait_for_bytes() const { return !ended_ && !timed_out_ && !leaving_; }
  void end();

  static constexpr size_t kMostUnread = 64 << 10;   // bytes read ahead of the answer side; the kernel holds the rest
  static constexpr uint32_t kLingerMs = 2'000;      // for the other side to read our last words

  ConnectionHub& hub_;
  Socket socket_;
  std::string received_;            // read and not yet taken
  Wakeup bytes_came_;               // the answer side waits for bytes, or for the end
  Wakeup bytes_taken_;              // the read side waits for room
  std::function<void()> when_gone_;
  uint64_t awaited_since_ns_ = 0;   // since when we wait for the other side to send, or to close; 0: we do not
  uint64_t read_deadline_ns_ = 0;   // until when; 0: it is our turn
  uint64_t write_deadline_ns_ = 0;
  uint64_t body_bytes_ = 0;         // of ours in hub_.body_bytes_in_work
  bool ended_ = false;              // the other side is gone, or we closed
  bool serving_ = true;             // counted in hub_.num_serving
  bool timed_out_ = false;          // a request took too long to come
  bool crowded_out_ = false;        // its body was given up
  bool leaving_ = false;            // idle while draining
  bool discarding_ = false;         // what still comes is thrown away
  bool idle_ = true;                // no byte of a next request is here
  bool keep_alive_ = true;          // as the request in work said
  bool http11_ = true;
  char chunk_[16 << 10];            // where the pending read writes; resident only as far as it was used
};

}  // namespace slipstream
