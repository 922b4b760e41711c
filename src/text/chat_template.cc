#include "text/chat_template.h"

#include <ctime>
#include <utility>

#include "base/clock.h"
#include "text/text_abi.h"
#include "text/text_buffer.h"

namespace slipstream {

struct ChatTemplate::State {
  explicit State(slipstream_text_template* made) : handle(made) {}
  ~State() { slipstream_text_free_template(handle); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  slipstream_text_template* const handle;
};

ChatTemplate::ChatTemplate(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

namespace {

int64_t local_utc_offset_s(int64_t unix_time_s) {
  const std::time_t time = unix_time_s;
  std::tm local = {};
  return ::localtime_r(&time, &local) == nullptr ? 0 : local.tm_gmtoff;
}

std::vector<TextPiece> cut_pieces(std::string_view text, const std::vector<uint32_t>& trusted) {
  std::vector<TextPiece> pieces;
  size_t done = 0;
  for (size_t i = 0; i + 1 < trusted.size(); i += 2) {
    if (done < trusted[i]) pieces.push_back({std::string(text.substr(done, trusted[i] - done)), false});
    pieces.push_back({std::string(text.substr(trusted[i], trusted[i + 1] - trusted[i])), true});
    done = trusted[i + 1];
  }
  if (done < text.size()) pieces.push_back({std::string(text.substr(done)), false});
  return pieces;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::make(std::string_view source, const ChatTemplateTokens& tokens) {
  const FlatStrings control_tokens(tokens.control_tokens);
  slipstream_text_template* handle = nullptr;
  TextBuffer fault;
  if (slipstream_text_template_make(text_view(source), text_view(tokens.bos_token), text_view(tokens.eos_token),
                                    control_tokens.view(), &handle, fault.out()) != 0) {
    return text_fault(fault);
  }
  return ChatTemplate(std::make_unique<State>(handle));
}

Result<std::vector<TextPiece>> ChatTemplate::render(const ChatTemplateInput& input) const {
  const int64_t now_s = input.unix_time_s.value_or(unix_time_s());
  const slipstream_text_render_input raw = {
      .messages = text_view(input.messages_json),
      .tools = text_view(input.tools_json),
      .kwargs = text_view(input.kwargs_json),
      .unix_time_s = now_s,
      .utc_offset_s = input.unix_time_s ? 0 : local_utc_offset_s(now_s),
      .add_generation_prompt = input.add_generation_prompt,
      .continue_final_message = input.continue_final_message,
  };
  TextBuffer text, trusted, fault;
  if (slipstream_text_template_render(state_->handle, &raw, text.out(), trusted.out(), fault.out()) != 0)
    return text_fault(fault);
  return cut_pieces(text.text(), trusted.numbers());
}

Result<TokenizerConfig> read_tokenizer_config(std::string_view tokenizer_config_json) {
  TokenizerConfig config;
  TextBuffer texts, fault;
  if (slipstream_text_tokenizer_config(text_view(tokenizer_config_json), texts.out(), &config.add_bos_token,
                                       fault.out()) != 0) {
    return text_fault(fault);
  }
  std::vector<std::string> strings = texts.strings();
  config.chat_template = std::move(strings.at(0));
  config.bos_token = std::move(strings.at(1));
  config.eos_token = std::move(strings.at(2));
  return config;
}

}  // namespace slipstream
