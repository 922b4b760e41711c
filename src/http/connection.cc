#include "http/connection.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

namespace slipstream {
namespace {

constexpr uint64_t kLeastAwaitedNs = 1'000'000'000;  // nobody is ended for another's sake who has just come

uint64_t after_ms(const Clock& clock, uint32_t milliseconds) {
  return clock.now_ns() + uint64_t{milliseconds} * 1'000'000;
}

// Methods begin with a letter. A TLS handshake, or a body that was announced too short, does not.
bool may_begin_request(char first) { return (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z'); }

HttpRefusal too_many_bytes() {
  return {429, "The server is reading too many large requests at once; try again later."};
}

}  // namespace

Connection* ConnectionHub::longest_awaited(Among among) const {
  Connection* longest = nullptr;
  for (Connection* const connection : connections) {
    if (connection->awaited_since_ns() == 0 || (among == Among::kWithBody && !connection->has_body_bytes())) continue;
    if (longest == nullptr || connection->awaited_since_ns() < longest->awaited_since_ns()) longest = connection;
  }
  return longest;
}

bool ConnectionHub::make_room() {
  Connection* const longest = longest_awaited(Among::kAll);
  if (longest == nullptr || longest->awaited_since_ns() + kLeastAwaitedNs > clock.now_ns()) return false;
  longest->cut();
  return true;
}

Connection::Connection(ConnectionHub& hub, Socket socket) : hub_(hub), socket_(std::move(socket)) {
  hub_.connections.insert(this);
  ++hub_.num_serving;
  hub_.connection_began.notify();
}

Connection::~Connection() {
  drop_body_bytes();
  if (ended_) --hub_.num_ended;
  hub_.connections.erase(this);
  hub_.connection_ended.notify();
}

Task<void> Connection::run() {
  std::vector<Task<void>> sides;
  sides.push_back(answer_side());
  sides.push_back(read_side());
  co_await WhenAll(std::move(sides));
}

// ---- reading ----

Task<void> Connection::read_side() {
  while (!ended_) {
    if (received_.size() >= kMostUnread) {
      co_await bytes_taken_;
      continue;
    }
    const IoResult read = co_await socket_.read_some(chunk_);
    if (read.failed || read.bytes == 0) {
      end();
    } else if (!discarding_) {
      received_.append(chunk_, read.bytes);
    }
    bytes_came_.notify();
  }
  bytes_came_.notify();
}

void Connection::end() {
  if (!ended_) ++hub_.num_ended;
  ended_ = true;
  stop_serving();
  awaited_since_ns_ = 0;
  if (when_gone_) std::exchange(when_gone_, nullptr)();
}

void Connection::stop_serving() {
  if (std::exchange(serving_, false)) --hub_.num_serving;
}

void Connection::await_bytes(uint32_t timeout_ms) {
  if (ended_) return;
  awaited_since_ns_ = hub_.clock.now_ns();
  read_deadline_ns_ = after_ms(hub_.clock, timeout_ms);
}

// true: the whole request is here. false with a refusal: it is not taken. false without: the client left, or never
// began.
Task<bool> Connection::read_request(RequestParser& parser, std::optional<HttpRefusal>& refusal) {
  const bool has_header = co_await read_header(parser, refusal);
  if (!has_header) co_return false;
  const bool has_body = co_await read_body(parser, refusal);
  read_deadline_ns_ = 0;
  awaited_since_ns_ = 0;
  co_return has_body;
}

Task<bool> Connection::read_header(RequestParser& parser, std::optional<HttpRefusal>& refusal) {
  std::optional<size_t> end;
  bool begun = false;
  while (true) {
    const size_t begin = std::min(received_.find_first_not_of("\r\n"), received_.size());
    received_.erase(0, begin);  // empty lines before a request
    end = RequestParser::header_end(received_);
    if (end.value_or(received_.size()) > hub_.limits.header_bytes) {
      refusal = HttpRefusal{431, fmt::format("The request's header is too large: at most {} bytes are taken.",
                                             hub_.limits.header_bytes)};
      co_return false;
    }
    if (end) break;
    if (!begun && !received_.empty()) {
      begun = true;
      idle_ = false;
      await_bytes(hub_.limits.header_timeout_ms);
      if (!may_begin_request(received_.front())) {
        refusal = HttpRefusal{400, "The request is not well-formed HTTP/1.1."};
        co_return false;
      }
    }
    if (timed_out_ && begun) refusal = HttpRefusal{408, "The request's header did not come in time."};
    if (!may_wait_for_bytes()) co_return false;
    co_await bytes_came_;
  }
  idle_ = false;
  refusal = parser.take_header(std::string_view(received_).substr(0, *end));
  received_.erase(0, *end);
  bytes_taken_.notify();
  co_return !refusal;
}

Task<bool> Connection::read_body(RequestParser& parser, std::optional<HttpRefusal>& refusal) {
  if (parser.done()) co_return true;
  if (hub_.admit_body) refusal = hub_.admit_body(parser.request());
  if (refusal) co_return false;
  await_bytes(hub_.limits.body_timeout_ms);
  if (parser.expects_continue() && received_.empty()) {
    const bool sent = co_await write_all("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return false;
  }
  bool stuck = received_.empty();  // what is here does not suffice to go on
  while (true) {
    if (stuck) {
      if (crowded_out_) refusal = too_many_bytes();
      else if (timed_out_) refusal = HttpRefusal{408, "The request's body did not come in time."};
      if (refusal || !may_wait_for_bytes()) co_return false;
      if (received_.size() >= kMostUnread) {
        refusal = HttpRefusal{400, "The request's chunked body is malformed."};
        co_return false;
      }
      co_await bytes_came_;
      if (crowded_out_) continue;
    }
    const size_t taken = received_.empty() ? 0 : parser.take_body(received_, refusal);
    received_.erase(0, taken);
    if (refusal) co_return false;
    hub_.body_bytes_in_work += parser.request().body.size() - body_bytes_;
    body_bytes_ = parser.request().body.size();
    // Who has taken longest to send a body gives way, so that bodies held back on purpose keep out nobody.
    while (hub_.body_bytes_in_work > hub_.limits.bodies_in_work_bytes) {
      Connection* const slowest = hub_.longest_awaited(ConnectionHub::Among::kWithBody);
      if (slowest == this || slowest == nullptr) {
        refusal = too_many_bytes();
        co_return false;
      }
      slowest->give_up_body();
    }
    bytes_taken_.notify();
    if (parser.done()) co_return true;
    stuck = taken == 0 || received_.empty();
  }
}

void Connection::give_up_body() {
  crowded_out_ = true;
  drop_body_bytes();
  bytes_came_.notify();
}

void Connection::drop_body_bytes() { hub_.body_bytes_in_work -= std::exchange(body_bytes_, 0); }

// ---- answering ----

Task<void> Connection::answer_side() {
  await_bytes(hub_.limits.header_timeout_ms);
  Answer next = Answer::kAgain;
  if (hub_.num_serving > hub_.limits.connections) {
    HttpRefusal refusal{429, "The server has too many connections; try again later."};
    co_await refuse(std::move(refusal));
    next = Answer::kClose;
  }
  while (next == Answer::kAgain && !hub_.stopping) {
    next = co_await answer_one();
    await_bytes(hub_.limits.idle_timeout_ms);
  }
  co_await hang_up();
}

Task<Connection::Answer> Connection::answer_one() {
  idle_ = true;
  RequestParser parser(hub_.limits);
  std::optional<HttpRefusal> refusal;
  const bool has_request = co_await read_request(parser, refusal);
  if (refusal) {
    refusal->headers = std::move(parser.request().headers);
    drop_body_bytes();
    std::string().swap(parser.request().body);  // not kept while a client that never reads is told so
    co_await refuse(std::move(*refusal));
    co_return Answer::kClose;
  }
  if (!has_request) co_return Answer::kClose;

  keep_alive_ = parser.request().keep_alive;
  http11_ = parser.request().http11;
  HttpExchange exchange(*this, std::move(parser.request()));
  ++hub_.num_in_work;
  bool failed = false;
  try {
    co_await hub_.handler(exchange);
  } catch (const std::exception&) {
    failed = true;  // no memory for this one: only its connection ends
  }
  when_gone_ = nullptr;
  drop_body_bytes();
  --hub_.num_in_work;
  hub_.answer_ended();
  co_return !failed && exchange.answered() && keeps_alive() && !ended_ ? Answer::kAgain : Answer::kClose;
}

Task<void> Connection::refuse(HttpRefusal refusal) {
  keep_alive_ = false;
  const std::string bytes = write_response(hub_.write_refusal(refusal), false, unix_time_s());
  co_await write_all(bytes);
}

// Our last words reach the other side before the connection goes: closing with bytes unread would reset it.
Task<void> Connection::hang_up() {
  stop_serving();
  received_.clear();
  discarding_ = true;
  timed_out_ = false;
  leaving_ = false;
  await_bytes(kLingerMs);
  bytes_taken_.notify();
  if (!ended_) socket_.shut_down_sending();
  while (!ended_ && !timed_out_ && !hub_.stopping) co_await bytes_came_;
  end();
  socket_.close();
  bytes_taken_.notify();
}

Task<bool> Connection::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    if (ended_) co_return false;
    write_deadline_ns_ = after_ms(hub_.clock, hub_.limits.write_timeout_ms);
    const IoResult written = co_await socket_.write_some(bytes);
    write_deadline_ns_ = 0;
    if (written.failed) {
      socket_.close();
      if (!ended_) end();
      co_return false;
    }
    bytes.remove_prefix(written.bytes);
  }
  co_return true;
}

void Connection::when_gone(std::function<void()> notice) {
  if (ended_ && notice) return notice();
  when_gone_ = std::move(notice);
}

// ---- from the server ----

void Connection::look_at_clock(uint64_t now_ns) {
  if (write_deadline_ns_ != 0 && now_ns > write_deadline_ns_) return cut();
  if (read_deadline_ns_ == 0 || now_ns <= read_deadline_ns_ || timed_out_) return;
  timed_out_ = true;
  bytes_came_.notify();
}

void Connection::leave_if_idle() {
  if (!idle_) return;
  leaving_ = true;
  bytes_came_.notify();
}

void Connection::cut() {
  socket_.close();
  if (!ended_) end();
  bytes_came_.notify();
}

}  // namespace slipstream
