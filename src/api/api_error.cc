#include "api/api_error.h"

#include "api/json_text.h"

namespace slipstream {
namespace {

// Long enough for a queue to move, short enough not to leave a free server idle.
constexpr uint32_t kRetryAfterS = 1;

std::string string_or_null(std::string_view text) { return text.empty() ? "null" : json_string(text); }

}  // namespace

ApiError api_error(const Error& error) {
  ApiError api;
  api.message = error.message;
  api.param = error.param;
  api.code = error.code;
  switch (error.kind) {
    case ErrorKind::kInvalid: break;
    case ErrorKind::kNotFound: api.status = 404; break;
    case ErrorKind::kOverloaded:
      api.status = 429;
      api.type = "rate_limit_error";
      if (api.code.empty()) api.code = "server_full";
      api.retry_after_s = kRetryAfterS;
      break;
    case ErrorKind::kUnavailable:
      api.status = 503;
      api.type = "service_unavailable";
      api.retry_after_s = kRetryAfterS;
      break;
    case ErrorKind::kModel:
    case ErrorKind::kOutside:  // the engine gives none; if one came, its words would be of our inside
      api.status = 500;
      api.message = "The model gave numbers that are not finite; this answer was given up.";
      api.type = "model_error";
      api.code = "model_error";
      api.param.clear();
      break;
  }
  return api;
}

ApiError api_error(int status, std::string_view message) {
  ApiError api;
  api.status = status;
  api.message = message;
  if (status == 429) {
    api.type = "rate_limit_error";
    api.code = "server_full";
    api.retry_after_s = kRetryAfterS;
  }
  if (status == 503) {
    api.type = "service_unavailable";
    api.retry_after_s = kRetryAfterS;
  }
  return api;
}

Error unknown_model(std::string_view asked, std::string_view served) {
  return {ErrorKind::kNotFound,
          fmt::format("The model '{}' does not exist; this server serves '{}'.", shortened(asked), served), "model",
          "model_not_found"};
}

ApiError wrong_key_error() {
  ApiError api;
  api.status = 401;
  api.message = "A valid API key is needed: send the header 'Authorization: Bearer KEY'.";
  api.code = "invalid_api_key";
  return api;
}

std::string write_error(const ApiError& error) {
  return fmt::format(R"({{"error":{{"message":{},"type":{},"param":{},"code":{}}}}})", json_string(error.message),
                     json_string(error.type), string_or_null(error.param), string_or_null(error.code));
}

}  // namespace slipstream
