// Result<T>: a value, or an Error in words. For faults of the world (a file, a client, a full server). A fault of ours
// is a CHECK (base/check.h); an absence that is normal is std::optional. The three are never mixed (STYLE 19).
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace slipstream {

// Who must act. api/ turns it into an HTTP status, app/ into an exit status.
enum class ErrorKind : unsigned char {
  kInvalid,      // what was given is wrong: a parameter, a file's content. 400 / exit 1
  kNotFound,     // what was named is not there. 404 / exit 1
  kOverloaded,   // we are full; try again later. 429
  kUnavailable,  // loading, draining, not stepping. 503
  kModel,        // the model gave a row that is not finite. 500 model_error
  kOutside,      // the outside failed: disk, socket, memory. exit 1
};

// One clear sentence: what, where, what was expected, what to do (STYLE 20).
struct Error {
  ErrorKind kind = ErrorKind::kInvalid;
  std::string message;
  std::string param;  // the request parameter or option at fault; empty when there is none
  std::string code;   // OpenAI's error code where it has one, e.g. "context_length_exceeded"; else empty

  // The same error, told from one floor up: "<where>: <message>".
  Error within(std::string_view where) && {
    message = fmt::format("{}: {}", where, message);
    return std::move(*this);
  }
};

template <class... Args>
Error invalid(fmt::format_string<Args...> text, Args&&... args) {
  return Error{ErrorKind::kInvalid, fmt::format(text, std::forward<Args>(args)...), {}, {}};
}
template <class... Args>
Error outside(fmt::format_string<Args...> text, Args&&... args) {
  return Error{ErrorKind::kOutside, fmt::format(text, std::forward<Args>(args)...), {}, {}};
}
// A parameter of a request or an option is at fault.
template <class... Args>
Error invalid_param(std::string_view param, fmt::format_string<Args...> text, Args&&... args) {
  return Error{ErrorKind::kInvalid, fmt::format(text, std::forward<Args>(args)...), std::string(param), {}};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}      // NOLINT: implicit on purpose

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { CHECK(ok(), "value() of an error: {}", std::get<1>(state_).message); return std::get<0>(state_); }
  const T& value() const& {
    CHECK(ok(), "value() of an error: {}", std::get<1>(state_).message);
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok(), "value() of an error: {}", std::get<1>(state_).message);
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & { CHECK(!ok(), "error() of a value"); return std::get<1>(state_); }
  const Error& error() const& { CHECK(!ok(), "error() of a value"); return std::get<1>(state_); }
  Error&& error() && { CHECK(!ok(), "error() of a value"); return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

struct Nothing {};
using Status = Result<Nothing>;
inline Status ok_status() { return Nothing{}; }

#define SLIPSTREAM_CONCAT_INNER(a, b) a##b
#define SLIPSTREAM_CONCAT(a, b) SLIPSTREAM_CONCAT_INNER(a, b)

// RETURN_IF_ERROR(status): hands an error on to the caller.
#define RETURN_IF_ERROR(expression)                                      \
  do {                                                                   \
    auto&& status_ = (expression);                                       \
    if (!status_.ok()) return std::move(status_).error();                \
  } while (0)

// ASSIGN_OR_RETURN(auto x, result): x = the value, or hands the error on.
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(SLIPSTREAM_CONCAT(result_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(name, target, expression)  \
  auto name = (expression);                               \
  if (!name.ok()) return std::move(name).error();         \
  target = std::move(name).value()

}  // namespace slipstream
