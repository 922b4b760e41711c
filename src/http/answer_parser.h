// Bytes -> the answer to one request, by Boost.Beast's parser: what a client needs. Knows no sockets.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace slipstream {

class AnswerParser {
 public:
  AnswerParser();
  ~AnswerParser();
  AnswerParser(AnswerParser&&) noexcept;
  AnswerParser& operator=(AnswerParser&&) noexcept;

  // Takes what it can of the bytes that came and were not taken; returns how many (0: it needs to see more at once).
  // Error: this is no HTTP/1.1.
  Result<size_t> take(std::string_view received);
  // The server has closed the connection. Error: in the middle of the answer.
  Status end();

  bool has_head() const;
  bool done() const;        // the whole answer is here
  bool keeps_alive() const; // once it is done: another may follow on this connection
  int status() const;       // of has_head()
  // What came of the body and was not taken away by whoever reads it: it grows.
  std::string& body() { return body_; }

 private:
  struct Impl;
  std::string body_;
  bool took_nothing_ = false;  // the last take()
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream
