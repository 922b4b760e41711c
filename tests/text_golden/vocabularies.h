// The tokenizers and templates that have golden answers: `tiny` lies in tests/data; the others are outside of the
// repository.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slipstream {

struct Vocabulary {
  Tokenizer tokenizer;
  std::string chat_template;  // source
  std::string bos_token;
  std::string eos_token;
};

// "tiny", "smollm2" (out of its GGUF file), "qwen3", "llama3_2", "gemma3"; and "qwen3_by_gguf", "llama3_2_by_gguf": the
// same put into a GGUF file first and read from there, so their answers are those of the folder. Read once a process.
// Null where its files are not here; ends the test program with words where they are wrong.
const Vocabulary* find_vocabulary(const std::string& name);

inline constexpr std::string_view kByGguf = "_by_gguf";
bool is_by_gguf(const std::string& name);
std::string folder_name(const std::string& name);  // without kByGguf: whose answers it must give

// What to say when it is null.
std::string why_skipped(const std::string& name);

}  // namespace slipstream
