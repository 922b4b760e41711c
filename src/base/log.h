// What the program says while it runs: one line each on standard error, with time and level. Not for answers to a
// command (those go to standard output) and not for the one line that ends a failed start (app/ prints that).
//
// The level is the one thing here that is global: a log is where everybody writes. Any thread.
#pragma once

#include <fmt/core.h>

#include <optional>
#include <string_view>

namespace slipstream {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarning, kError, kOff };

std::optional<LogLevel> log_level_from_name(std::string_view name);  // "debug", "info", "warning", "error", "off"
void set_log_level(LogLevel level);                                  // kInfo until it is set
bool log_enabled(LogLevel level);                                    // one load: ask before working out what to say

void log_line(LogLevel level, std::string_view text);

// LOG_DEBUG("step {}", n): the arguments are not even evaluated below the level.
#define SLIPSTREAM_LOG(level, ...)                                                              \
  do {                                                                                          \
    if (::slipstream::log_enabled(level)) ::slipstream::log_line(level, ::fmt::format(__VA_ARGS__)); \
  } while (0)
#define LOG_DEBUG(...) SLIPSTREAM_LOG(::slipstream::LogLevel::kDebug, __VA_ARGS__)
#define LOG_INFO(...) SLIPSTREAM_LOG(::slipstream::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARNING(...) SLIPSTREAM_LOG(::slipstream::LogLevel::kWarning, __VA_ARGS__)
#define LOG_ERROR(...) SLIPSTREAM_LOG(::slipstream::LogLevel::kError, __VA_ARGS__)

}  // namespace slipstream
