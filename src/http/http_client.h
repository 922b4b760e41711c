// A client of one HTTP/1.1 server: one connection, its requests one after the other. For `slipstream bench`, so that
// asking costs little; no TLS, no redirects. Everything here belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "http/answer_parser.h"
#include "http/event_loop.h"
#include "http/event_reader.h"
#include "http/http_message.h"

namespace slipstream {

struct HttpAddress {
  std::string host;  // "127.0.0.1", "localhost", "::1"
  uint16_t port = 0;
};
// "http://127.0.0.1:8000", "http://[::1]:8000/". Error: anything else.
Result<HttpAddress> read_http_address(std::string_view url);

// A whole request as bytes. content_type, headers: beyond Host and Content-Length; an empty body has no Content-Type.
struct HttpCall {
  std::string method = "GET";
  std::string path = "/";
  std::vector<HttpHeader> headers = {};
  std::string body = {};  // JSON
};
std::string write_call(const HttpCall& call, const HttpAddress& address);

class HttpClient {
 public:
  // connector outlives it. No connection yet.
  explicit HttpClient(const Connector& connector);
  ~HttpClient();  // nothing may be waiting

  // co_await ask(write_call(...)): connects where it is not connected, sends the request, and gives the status of its
  // answer once that is here. The answer before was read to its end. An idle connection that the server has closed
  // meanwhile is made anew, once. `call` outlives the wait.
  Task<Result<int>> ask(std::string_view call);
  // After it: waits for more of the body; false: it is whole. What has come is in next_event() or take_body().
  Task<Result<bool>> receive();

  // Of a body that is an event stream: the data of its next event, as far as it has come.
  std::optional<std::string> next_event();
  // Of any other: what has come.
  std::string take_body();

  // Ends the wait, if somebody waits, with an error.
  void cut();

 private:
  Task<Status> connect();
  Task<Status> send(std::string_view bytes);
  Task<Status> read_some();
  Error lost() const;

  const Connector& connector_;
  std::unique_ptr<Socket> socket_;  // null: not connected
  AnswerParser answer_;
  EventReader events_;
  std::string received_;            // and not yet parsed
  std::unique_ptr<char[]> chunk_;   // what one read takes
  bool cut_ = false;
};

}  // namespace slipstream
