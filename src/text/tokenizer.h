// Text <-> tokens, as Hugging Face's tokenizers do it. Encoding goes through the Rust crate (rust/); what the engine
// needs to turn tokens into text is a plain table of bytes (token_table.h), no Rust on the engine thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "text/token_table.h"

struct slipstream_text_tokenizer;  // of the crate

namespace slipstream {

// A byte-level BPE as a GGUF file carries it; app/ takes it out of the metadata.
struct BpeVocabulary {
  std::string pre;                   // tokenizer.ggml.pre: "smollm", "llama-bpe" or "qwen2"
  std::vector<std::string> tokens;   // by id
  std::vector<int64_t> token_types;  // ggml: 1 normal, 3 control, 4 user defined ...
  std::vector<std::string> merges;   // "a b", by rank
  std::optional<TokenId> bos_token;  // what add_special adds before a text
};

// A piece of a rendered prompt. Control tokens are found only in trusted text (the template's own); what came from a
// request is plain text even where it spells <|im_end|>. Neighbouring pieces merge as in one pass over their
// concatenation.
struct TextPiece {
  std::string text;
  bool trusted = false;
};

class Tokenizer {
 public:
  // The bytes of tokenizer.json; hostile. Reads BPE; other models, and steps that could not be bounded or decoded
  // token by token, are refused by name.
  static Result<Tokenizer> from_json(std::string_view tokenizer_json);
  // Byte-level; another `pre` is refused by name. Encodes as the tokenizer.json does that the file was made from.
  static Result<Tokenizer> from_bpe(const BpeVocabulary& vocabulary);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Any thread, several at once. An error where the text is not UTF-8 or longer than 256 MiB.
  //
  // "Control" tokens are the added tokens that tokenizer.json calls special. Other added tokens (Qwen's <think>,
  // Gemma's runs of newlines) are ordinary text and found everywhere, as Hugging Face does.
  //
  // Plain text (a completion's prompt): control tokens in it are not recognised; what the post-processor adds (BOS) is
  // added if add_special. Equals Hugging Face's encode with encode_special_tokens = True.
  Result<std::vector<TokenId>> encode(std::string_view text, bool add_special) const;
  // A rendered chat; add_special = false is what apply_chat_template does. With true, BOS is added only when the tokens
  // do not already begin with it.
  Result<std::vector<TokenId>> encode_pieces(std::span<const TextPiece> pieces, bool add_special) const;
  // As Hugging Face's decode() of the whole.
  Result<std::string> decode(std::span<const TokenId> tokens, bool skip_special) const;

  uint32_t vocab_size() const;  // ids are below this (added tokens included)
  const TokenTable& table() const;
  // The texts of the control tokens: what encode_pieces finds in trusted pieces only. ChatTemplate::make needs them.
  const std::vector<std::string>& control_tokens() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  static Result<Tokenizer> finish(slipstream_text_tokenizer* handle);
  std::unique_ptr<State> state_;
};

}  // namespace slipstream
