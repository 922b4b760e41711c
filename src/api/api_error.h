// OpenAI's error object, and which HTTP status goes with which Error (DESIGN 8).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace slipstream {

struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param;               // empty: null
  std::string code;                // empty: null
  uint32_t retry_after_s = 0;      // 0: no such header
};

ApiError api_error(const Error& error);
// For a status that comes from HTTP itself: 404 of a route, 405, 413, 429 ...
ApiError api_error(int status, std::string_view message);
ApiError wrong_key_error();
Error unknown_model(std::string_view asked, std::string_view served);

// {"error":{"message":...,"type":...,"param":...,"code":...}}: the body of a refusal, or an event of a stream.
std::string write_error(const ApiError& error);

}  // namespace slipstream
