// What a stranger sends: bytes, cut anywhere, through RequestParser; its body through the readers of chat, completion,
// tokenize and detokenize requests; and what a refusal of either makes of it. An input is one byte (odd: the rest is a
// body alone), one that decides where it is cut, and the bytes.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/api_error.h"
#include "api/api_limits.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/tokenization.h"
#include "fuzz/fuzz_input.h"
#include "http/request_parser.h"

namespace slipstream {
namespace {

constexpr size_t kMostAnswerBytes = 4096;  // of a refusal, whatever the client's names were

// The limits are small, so that inputs of some kilobytes reach them.
HttpLimits small_limits() {
  HttpLimits limits;
  limits.header_bytes = 2048;
  limits.body_bytes = 8192;
  return limits;
}

// ---- bytes ----

struct Outcome {
  int status = 0;          // of the refusal; 0: none
  bool done = false;       // the request is whole
  size_t bytes_taken = 0;  // up to its end
  HttpRequest request;
};

void check_http_refusal(const HttpRefusal& refusal) {
  CHECK(refusal.status >= 400 && refusal.status < 500, "status {}", refusal.status);
  CHECK(reason_phrase(refusal.status) != "Unknown", "status {}", refusal.status);
  CHECK(nlohmann::json::accept(write_error(api_error(refusal.status, refusal.message))), "{}", refusal.message);
}

// As http/connection.cc reads: the header whole, the body as it comes, in pieces of 1 to `longest` bytes.
Outcome read_in_pieces(std::string_view bytes, size_t longest, uint32_t dice) {
  Outcome outcome;
  const HttpLimits limits = small_limits();
  RequestParser parser(limits);
  const std::optional<size_t> end = RequestParser::header_end(bytes);
  if (!end || *end > limits.header_bytes) return outcome;
  std::optional<HttpRefusal> refusal = parser.take_header(bytes.substr(0, *end));
  outcome.bytes_taken = *end;
  std::string received;
  for (size_t at = *end; !refusal && !parser.done() && at < bytes.size();) {
    dice = dice * 1664525 + 1013904223;
    const std::string_view piece = bytes.substr(at, 1 + (dice >> 8) % longest);
    at += piece.size();
    received += piece;
    for (size_t taken = 1; taken > 0 && !received.empty() && !refusal && !parser.done();) {
      taken = parser.take_body(received, refusal);
      CHECK(taken <= received.size(), "{} bytes taken of {}", taken, received.size());
      received.erase(0, taken);
      outcome.bytes_taken += taken;
    }
    CHECK(parser.request().body.size() <= limits.body_bytes, "a body of {} bytes", parser.request().body.size());
  }
  if (refusal) check_http_refusal(*refusal);
  outcome.status = refusal ? refusal->status : 0;
  outcome.done = !refusal && parser.done();
  outcome.request = std::move(parser.request());
  return outcome;
}

// Where TCP cut the bytes must not be seen: neither in the request nor in where the next one begins.
Outcome read_bytes(std::string_view input, uint8_t dice) {
  // The parser looks at no less than five bytes of chunks: with these behind them no wrong ones stay unread.
  const std::string bytes = std::string(input) + "\r\n\r\n\r\n";
  const Outcome whole = read_in_pieces(bytes, bytes.size() + 1, 0);
  const Outcome single = read_in_pieces(bytes, 1, dice);
  const Outcome pieces = read_in_pieces(bytes, 1 + dice % 61, dice);
  for (const Outcome* const other : {&single, &pieces}) {
    CHECK(other->status == whole.status, "status {} or {}", other->status, whole.status);
    CHECK(other->done == whole.done, "whole {} or {}", other->done, whole.done);
    if (!whole.done) continue;
    CHECK(other->bytes_taken == whole.bytes_taken, "{} or {} bytes", other->bytes_taken, whole.bytes_taken);
    CHECK(other->request.path == whole.request.path && other->request.body == whole.request.body, "another request");
  }
  return pieces;
}

// ---- words ----

void check_refused(const Error& error) {
  check_refusal(error);
  const ApiError refusal = api_error(error);
  CHECK(refusal.status == 400, "status {}: {}", refusal.status, error.message);
  const std::string answer = write_error(refusal);
  CHECK(answer.size() < kMostAnswerBytes, "a refusal of {} bytes", answer.size());
  CHECK(nlohmann::json::accept(answer), "no JSON: {}", answer);
}

// What the engine relies on without looking again.
void check_params(const GenerationParams& params) {
  const SamplingParams& sampling = params.sampling;
  CHECK(sampling.temperature >= 0 && sampling.temperature <= 2, "temperature {}", sampling.temperature);
  CHECK(sampling.top_p > 0 && sampling.top_p <= 1, "top_p {}", sampling.top_p);
  CHECK(sampling.min_p >= 0 && sampling.min_p <= 1, "min_p {}", sampling.min_p);
  CHECK(sampling.repetition_penalty > 0, "repetition_penalty {}", sampling.repetition_penalty);
  CHECK(sampling.logit_bias.size() <= kMaxLogitBiases, "{} biases", sampling.logit_bias.size());
  for (const LogitBias& bias : sampling.logit_bias) {
    CHECK(bias.bias >= -kMaxLogitBias && bias.bias <= kMaxLogitBias, "bias {}", bias.bias);
  }
  CHECK(!params.max_tokens || *params.max_tokens >= (params.echo ? 0 : 1), "no tokens");
  CHECK(!params.max_tokens || params.min_tokens <= *params.max_tokens, "min_tokens {}", params.min_tokens);
  CHECK(params.num_choices >= 1 && params.num_choices <= kMaxChoices, "{} choices", params.num_choices);
  CHECK(params.stop.size() <= kMaxStops, "{} stops", params.stop.size());
  for (const std::string& stop : params.stop) CHECK(!stop.empty() && stop.size() <= kMaxStopBytes, "a wrong stop");
}

void read_words(std::string_view body) {
  if (const auto chat = parse_chat_request(body); chat.ok()) {
    check_params(chat->generation);
    const ChatPrompt& prompt = chat->prompt;
    const auto messages = nlohmann::json::parse(prompt.messages_json, nullptr, false);
    CHECK(messages.is_array() && !messages.empty(), "messages: {}", prompt.messages_json);
    CHECK(prompt.template_kwargs_json.empty() || nlohmann::json::accept(prompt.template_kwargs_json), "kwargs: {}",
          prompt.template_kwargs_json);
  } else {
    check_refused(chat.error());
  }
  if (const auto completion = parse_completion_request(body); completion.ok()) {
    check_params(completion->generation);
    CHECK(!completion->prompts.empty(), "no prompt");
    CHECK(completion->generation.max_tokens.has_value(), "max_tokens has a default");
    CHECK(completion->prompts.size() * completion->generation.num_choices <= kMaxAnswers, "too many answers");
  } else {
    check_refused(completion.error());
  }
  if (const auto tokenize = parse_tokenize_request(body); !tokenize.ok()) check_refused(tokenize.error());
  if (const auto detokenize = parse_detokenize_request(body); !detokenize.ok()) check_refused(detokenize.error());
}

void read_input(std::string_view input) {
  if (input.size() < 2) return;
  const bool body_alone = input[0] % 2 != 0;
  if (body_alone) return read_words(input.substr(2));
  const Outcome outcome = read_bytes(input.substr(2), static_cast<uint8_t>(input[1]));
  if (outcome.done) read_words(outcome.request.body);
}

}  // namespace
}  // namespace slipstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::read_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
