// CHECK(condition, "format", ...): an invariant of ours is broken. Prints the place, the condition and the numbers,
// calls the dump that the current thread has set up (a table of sequences, say), and aborts. Never for what a file, a
// client or the machine can cause: that is a Result.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace slipstream {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view message);

// While it lives, a failed CHECK on this thread prints dump(subject) too. Scopes nest; the innermost prints.
class CheckDumpScope {
 public:
  CheckDumpScope(std::string (*dump)(const void*), const void* subject);
  ~CheckDumpScope();
  CheckDumpScope(const CheckDumpScope&) = delete;
  CheckDumpScope& operator=(const CheckDumpScope&) = delete;

 private:
  std::string (*outer_dump_)(const void*);
  const void* outer_subject_;
};

inline std::string check_message() { return {}; }
template <class... Args>
std::string check_message(fmt::format_string<Args...> text, Args&&... args) {
  return fmt::format(text, std::forward<Args>(args)...);
}

#define CHECK(condition, ...)                                                             \
  do {                                                                                    \
    if (!(condition)) [[unlikely]]                                                        \
      ::slipstream::check_failed(__FILE__, __LINE__, #condition, ::slipstream::check_message(__VA_ARGS__)); \
  } while (0)

}  // namespace slipstream
