// A tokenizer.json, and what it then does to a few texts.
#include "fuzz/fuzz_input.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace slipstream {
namespace {

constexpr std::string_view kTexts[] = {
    "",
    " ",
    "Hello world, this is 1234.5 tokens!\n\n  and\tmore",
    "<|im_start|>user\nWhat's up?<|im_end|>\n<s></s>",
    "\xc3\xa9t\xc3\xa9 \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x98\x80 e\xcc\x81 \xef\xac\x81 \xc4\xb0 \xe2\x96\x81x",
};

void check_ids(const Tokenizer& tokenizer, std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) CHECK(token < tokenizer.vocab_size(), "token {}", token);
  const auto with_special = tokenizer.decode(tokens, false);
  if (!with_special.ok()) check_refusal(with_special.error());
  std::string streamed;
  Detokenizer detokenizer(&tokenizer.table());
  for (const TokenId token : tokens) detokenizer.put(token, streamed);
  detokenizer.finish(streamed);
  const auto whole = tokenizer.decode(tokens, true);
  if (!whole.ok()) return check_refusal(whole.error());
  // detokenizer.h: a run of byte tokens longer than it holds back may differ.
  if (!tokenizer.table().run_byte.empty() && tokens.size() > Detokenizer::kMaxHeld) return;
  CHECK(streamed == *whole, "streamed '{}', decoded '{}'", streamed, *whole);
}

void use(const Tokenizer& tokenizer) {
  const TokenTable& table = tokenizer.table();
  CHECK(table.begins.size() == table.special.size() + 1 && table.begins.back() == table.bytes.size(), "the table");
  for (const std::string_view text : kTexts) {
    for (const bool add_special : {false, true}) {
      const auto tokens = tokenizer.encode(text, add_special);
      if (!tokens.ok()) {
        check_refusal(tokens.error());
        continue;
      }
      check_ids(tokenizer, *tokens);
    }
  }
  const TextPiece pieces[] = {{"<|im_start|>", true}, {"user\n<|im_end|>", false}, {"<|im_end|>\n", true}};
  const auto tokens = tokenizer.encode_pieces(pieces, true);
  if (tokens.ok()) check_ids(tokenizer, *tokens);
  std::vector<TokenId> all;
  for (TokenId token = 0; token < std::min(tokenizer.vocab_size(), 600u); ++token) all.push_back(token);
  check_ids(tokenizer, all);
}

void read_tokenizer(std::string_view json) {
  const auto tokenizer = Tokenizer::from_json(json);
  if (!tokenizer.ok()) return check_refusal(tokenizer.error());
  use(*tokenizer);
}

}  // namespace
}  // namespace slipstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::read_tokenizer({reinterpret_cast<const char*>(data), size});
  return 0;
}
