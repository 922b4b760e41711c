// The tokenizers and templates that have golden answers: `tiny` lies in tests/data; the others are outside of the
// repository.
#pragma once

#include <optional>
#include <string>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slipstream {

struct Vocabulary {
  Tokenizer tokenizer;
  std::string chat_template;  // source
  std::string bos_token;
  std::string eos_token;
};

// "tiny", "smollm2" (out of its GGUF file), "qwen3", "llama3_2", "gemma3". Read once a process. Null where its files
// are not here; ends the test program with words where they are wrong.
const Vocabulary* find_vocabulary(const std::string& name);

// What to say when it is null.
std::string why_skipped(const std::string& name);

}  // namespace slipstream
