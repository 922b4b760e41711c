#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/text_abi.h"
#include "text/text_buffer.h"

namespace slipstream {

struct Tokenizer::State {
  explicit State(slipstream_text_tokenizer* made) : handle(made) {}
  ~State() { slipstream_text_free_tokenizer(handle); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  slipstream_text_tokenizer* const handle;
  TokenTable table;
  std::vector<std::string> control_tokens;
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

namespace {

Result<TokenTable> read_table(const slipstream_text_tokenizer* handle) {
  slipstream_text_table parts = {};
  TextBuffer fault;
  if (slipstream_text_token_table(handle, &parts, fault.out()) != 0) return text_fault(fault);
  const TextBuffer bytes(parts.bytes), begins(parts.begins), flags(parts.flags);

  TokenTable table;
  table.bytes = bytes.text();
  table.begins = begins.numbers();
  table.spaces_dropped_first = parts.strip_at_start;
  const std::vector<uint8_t> token_flags = flags.bytes();
  table.special.resize(token_flags.size());
  bool any_run_byte = false;
  for (size_t token = 0; token < token_flags.size(); ++token) {
    table.special[token] = (token_flags[token] & SLIPSTREAM_TEXT_SPECIAL) != 0;
    any_run_byte |= (token_flags[token] & SLIPSTREAM_TEXT_BYTE) != 0;
    table.longest = std::max(table.longest, table.begins[token + 1] - table.begins[token]);
  }
  if (any_run_byte) {
    table.run_byte.resize(token_flags.size());
    for (size_t token = 0; token < token_flags.size(); ++token) {
      table.run_byte[token] = (token_flags[token] & SLIPSTREAM_TEXT_BYTE) != 0;
    }
  }
  return table;
}

}  // namespace

Result<Tokenizer> Tokenizer::finish(slipstream_text_tokenizer* handle) {
  auto state = std::make_unique<State>(handle);
  ASSIGN_OR_RETURN(state->table, read_table(handle));
  TextBuffer spellings, fault;
  if (slipstream_text_control_tokens(handle, spellings.out(), fault.out()) != 0) return text_fault(fault);
  state->control_tokens = spellings.strings();
  return Tokenizer(std::move(state));
}

Result<Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json) {
  slipstream_text_tokenizer* handle = nullptr;
  TextBuffer fault;
  if (slipstream_text_tokenizer_from_json(text_view(tokenizer_json), &handle, fault.out()) != 0)
    return text_fault(fault);
  return finish(handle);
}

Result<Tokenizer> Tokenizer::from_bpe(const BpeVocabulary& vocabulary) {
  const FlatStrings tokens(vocabulary.tokens), merges(vocabulary.merges);
  const TokenId* bos = vocabulary.bos_token.has_value() ? &*vocabulary.bos_token : nullptr;
  slipstream_text_tokenizer* handle = nullptr;
  TextBuffer fault;
  if (slipstream_text_tokenizer_from_gguf(text_view(vocabulary.pre), tokens.view(), vocabulary.token_types.data(),
                                          vocabulary.token_types.size(), merges.view(), bos, &handle,
                                          fault.out()) != 0) {
    return text_fault(fault);
  }
  return finish(handle);
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool add_special) const {
  TextBuffer ids, fault;
  if (slipstream_text_encode(state_->handle, text_view(text), nullptr, 0, add_special, ids.out(), fault.out()) != 0) {
    return text_fault(fault);
  }
  return ids.numbers();
}

Result<std::vector<TokenId>> Tokenizer::encode_pieces(std::span<const TextPiece> pieces, bool add_special) const {
  std::string text;
  std::vector<size_t> trusted;  // begin, end, begin, end ... of the trusted places in `text`
  for (const TextPiece& piece : pieces) {
    if (piece.trusted) trusted.insert(trusted.end(), {text.size(), text.size() + piece.text.size()});
    text += piece.text;
  }
  TextBuffer ids, fault;
  if (slipstream_text_encode(state_->handle, text_view(text), trusted.data(), trusted.size() / 2, add_special,
                             ids.out(), fault.out()) != 0) {
    return text_fault(fault);
  }
  return ids.numbers();
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> tokens, bool skip_special) const {
  TextBuffer text, fault;
  if (slipstream_text_decode(state_->handle, tokens.data(), tokens.size(), skip_special, text.out(), fault.out()) !=
      0) {
    return text_fault(fault);
  }
  return std::string(text.text());
}

uint32_t Tokenizer::vocab_size() const { return state_->table.num_tokens(); }
const TokenTable& Tokenizer::table() const { return state_->table; }
const std::vector<std::string>& Tokenizer::control_tokens() const { return state_->control_tokens; }

}  // namespace slipstream
