// For the tests of the request parsers: small requests, and what becomes of them.
#pragma once

#include <string>

#include "api/api_error.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "base/check.h"

namespace slipstream {

// A chat request with further fields: R"("temperature":1)".
inline std::string chat(const std::string& fields) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + (fields.empty() ? "" : "," + fields) + "}";
}
inline std::string completion(const std::string& fields) {
  return R"({"model":"m","prompt":"hi")" + (fields.empty() ? "" : "," + fields) + "}";
}

// Fields that both endpoints take, as chat understands them.
inline GenerationParams params_of(const std::string& fields) {
  auto one = parse_chat_request(chat(fields));
  CHECK(one.ok(), "{}: {}", fields, one.error().message);
  const auto two = parse_completion_request(completion(fields));
  CHECK(two.ok(), "{}: {}", fields, two.error().message);
  return std::move(one->generation);
}

// Of a 400: its param. Anything else begins with "not refused".
template <class Request>
std::string refused_param(const Result<Request>& parsed) {
  if (parsed.ok()) return "not refused";
  const ApiError error = api_error(parsed.error());
  return error.status == 400 ? error.param : "not refused: " + error.message;
}
inline std::string chat_refusal(const std::string& body) { return refused_param(parse_chat_request(body)); }
inline std::string completion_refusal(const std::string& body) { return refused_param(parse_completion_request(body)); }
// By both endpoints with the same param.
inline std::string refusal(const std::string& fields) {
  const std::string of_chat = chat_refusal(chat(fields)), of_completion = completion_refusal(completion(fields));
  return of_chat == of_completion ? of_chat : "not refused alike: " + of_chat + " / " + of_completion;
}

}  // namespace slipstream
