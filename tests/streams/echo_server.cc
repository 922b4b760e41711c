#include "echo_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "server/api_keys.h"
#include "text/detokenizer.h"

namespace slipstream {
namespace {

constexpr uint32_t kVocabSize = 258;  // 256 bytes, <|im_start|>, <|im_end|>
constexpr TokenId kEndOfTurn = 257;

// GPT-2's printable stand-in for a byte, as byte-level vocabularies spell it.
std::string spelled(uint32_t byte) {
  const auto printable = [](uint32_t b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; };
  uint32_t code_point = byte;
  if (!printable(byte)) {
    code_point = 256;
    for (uint32_t below = 0; below < byte; ++below) code_point += printable(below) ? 0 : 1;
  }
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

ChatTemplate chat_template(const Tokenizer& tokenizer) {
  Result<ChatTemplate> made = ChatTemplate::make(
      "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor "
      "%}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
      {.bos_token = "", .eos_token = "<|im_end|>", .control_tokens = tokenizer.control_tokens()});
  CHECK(made.ok(), "{}", made.error().message);
  return std::move(made).value();
}

EchoServerOptions with_clients(EchoServerOptions options) {
  options.engine.num_clients = ApiKeys::num_clients(options.server.api_keys);
  return options;
}

}  // namespace

Tokenizer byte_tokenizer() {
  BpeVocabulary vocabulary;
  vocabulary.pre = "smollm";
  for (uint32_t byte = 0; byte < 256; ++byte) vocabulary.tokens.push_back(spelled(byte));
  vocabulary.token_types.assign(256, 1);
  for (const char* control : {"<|im_start|>", "<|im_end|>"}) {
    vocabulary.tokens.push_back(control);
    vocabulary.token_types.push_back(3);
  }
  Result<Tokenizer> tokenizer = Tokenizer::from_bpe(vocabulary);
  CHECK(tokenizer.ok(), "{}", tokenizer.error().message);
  return std::move(tokenizer).value();
}

Logits GatedExecutor::run(const StepInput& input) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_ || allowed_ > 0; });
    if (!open_) --allowed_;
  }
  if (fail_.exchange(false)) echo_.fail_next(0);
  return echo_.run(input);
}

void GatedExecutor::hold() {
  const std::lock_guard lock(mutex_);
  open_ = false;
  allowed_ = 0;
}

void GatedExecutor::allow(uint64_t steps) {
  const std::lock_guard lock(mutex_);
  allowed_ += steps;
  changed_.notify_all();
}

void GatedExecutor::open() {
  const std::lock_guard lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

EchoServerOptions::EchoServerOptions() {
  server.port = 0;
  server.served_model_name = "echo";
  server.version = "1.2.3";
  server.random_seed = 7;
  engine.num_blocks = 4096;
  engine.block_tokens = 16;
  engine.max_model_len = 4096;
  engine.max_num_seqs = 512;
  engine.max_step_ms = 0;
  engine.eos_tokens = {kEndOfTurn};
}

EchoServer::EchoServer(EchoServerOptions options)
    : options_(with_clients(std::move(options))),
      tokenizer_(byte_tokenizer()),
      chat_template_(chat_template(tokenizer_)),
      executor_({.vocab_size = kVocabSize,
                 .num_blocks = options_.engine.num_blocks,
                 .block_tokens = options_.engine.block_tokens,
                 .max_slices = options_.engine.max_num_seqs}),
      engine_(std::make_unique<Engine>(options_.engine, executor_, pool_, &tokenizer_.table(), Clock::real())) {
  Result<std::unique_ptr<Server>> opened = Server::open(options_.server, Clock::real());
  CHECK(opened.ok(), "{}", opened.error().message);
  server_ = std::move(opened).value();
  const ServedModel model{&tokenizer_, &chat_template_, kVocabSize, options_.engine.max_model_len};
  server_->begin(*engine_, model);
  engine_thread_ = std::thread([this] { server_->serve(); });
}

EchoServer::~EchoServer() {
  executor_.open();
  if (engine_thread_.joinable()) {
    server_->shut_down();
    server_->shut_down();  // twice: what is in work is cut short
    engine_thread_.join();
  }
}

void EchoServer::join() { engine_thread_.join(); }

EchoServer::Expected EchoServer::echo_answer(std::vector<TokenId> prompt, uint32_t max_tokens,
                                             const std::string& stop, bool ignore_eos) const {
  return slipstream::echo_answer(
      tokenizer_, {std::move(prompt), max_tokens, stop, ignore_eos, options_.engine.max_model_len});
}

EchoAnswer echo_answer(const Tokenizer& tokenizer, const EchoQuestion& question) {
  EchoModel model(kVocabSize);
  for (const TokenId token : question.prompt) model.put(token);
  EchoAnswer expected;
  Detokenizer detokenizer(&tokenizer.table());
  expected.finish_reason = "length";
  while (expected.num_tokens < question.max_tokens &&
         question.prompt.size() + expected.num_tokens < question.max_model_len) {
    const auto logits = model.logits();
    const TokenId token = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    ++expected.num_tokens;
    if (token == kEndOfTurn && !question.ignore_eos) {
      expected.finish_reason = "stop";
      break;
    }
    detokenizer.put(token, expected.text);
    model.put(token);
    const size_t at = question.stop.empty() ? std::string::npos : expected.text.find(question.stop);
    if (at != std::string::npos) {
      expected.text.resize(at);
      expected.finish_reason = "stop";
      return expected;
    }
  }
  detokenizer.finish(expected.text);
  return expected;
}

// ---- clients ----

std::string post(const std::string& path, const std::string& body, const std::string& headers) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string completion_body(const std::vector<TokenId>& prompt, const std::string& fields) {
  std::string body = R"({"model":"echo","prompt":[)";
  for (size_t i = 0; i < prompt.size(); ++i) {
    if (i > 0) body += ',';
    body += std::to_string(prompt[i]);
  }
  return body + "]," + fields + "}";
}

int status_of(const std::string& response) { return response.size() < 12 ? 0 : std::atoi(response.c_str() + 9); }

std::string body_of(const std::string& response) {
  const size_t head = response.find("\r\n\r\n");
  if (head == std::string::npos) return {};
  const std::string_view rest = std::string_view(response).substr(head + 4);
  if (response.substr(0, head).find("Transfer-Encoding: chunked") == std::string::npos) return std::string(rest);
  std::string body;
  for (size_t at = 0; at < rest.size();) {
    const size_t line = rest.find("\r\n", at);
    const size_t size = std::stoul(std::string(rest.substr(at, line - at)), nullptr, 16);
    body += rest.substr(line + 2, size);
    at = line + 2 + size + 2;
  }
  return body;
}

Streamed read_stream(const std::string& body) {
  using nlohmann::json;
  Streamed streamed;
  json id, created;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find("\n\n", at);
    const std::string event = body.substr(at, end - at);
    at = end == std::string::npos ? body.size() : end + 2;
    if (end == std::string::npos || !event.starts_with("data: ")) streamed.fault = "not an event: " + event;
    if (streamed.done) streamed.fault = "after [DONE]: " + event;
    if (event == "data: [DONE]") {
      streamed.done = true;
      continue;
    }
    const json chunk = json::parse(event.substr(6), nullptr, false);
    if (!chunk.is_object()) {
      streamed.fault = "not an object: " + event;
      return streamed;
    }
    if (chunk.contains("error")) {
      streamed.error_type = chunk["error"]["type"];
      continue;
    }
    if (id.is_null()) id = chunk["id"], created = chunk["created"];
    if (chunk["id"] != id || chunk["created"] != created) streamed.fault = "id or created changed: " + event;
    if (chunk.contains("usage") && chunk["usage"].is_object()) {
      streamed.prompt_tokens = chunk["usage"]["prompt_tokens"];
      streamed.completion_tokens = chunk["usage"]["completion_tokens"];
      streamed.cached_tokens = chunk["usage"]["prompt_tokens_details"]["cached_tokens"];
    }
    for (const json& choice : chunk["choices"]) {
      const size_t index = choice["index"];
      if (index >= streamed.choices.size()) streamed.choices.resize(index + 1);
      StreamedChoice& so_far = streamed.choices[index];
      const bool is_first = so_far.num_chunks++ == 0;
      if (!so_far.finish_reason.empty()) streamed.fault = "after the finish: " + event;
      if (choice.contains("delta")) {
        if (choice["delta"].contains("role") != is_first) streamed.fault = "the role comes first and once: " + event;
        so_far.text += choice["delta"].value("content", "");
      } else {
        so_far.text += choice["text"];
      }
      if (choice["finish_reason"].is_string()) so_far.finish_reason = choice["finish_reason"];
    }
  }
  return streamed;
}

}  // namespace slipstream
