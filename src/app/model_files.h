// MODEL on the command line -> a model in memory. Joins what files/, model/ and text/ know: a folder as people download
// it (config.json, safetensors, tokenizer.json ...), or one .gguf file. Errors are one line: what, where, what was
// expected.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "model/checkpoint.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace slipstream {

// What turns words into a model's tokens and back.
struct ModelText {
  Tokenizer tokenizer;                        // every id it can give is below config.vocab_size
  std::optional<ChatTemplate> chat_template;  // none: only completions, no chat
  ChatTemplateTokens template_tokens;         // what a template of one's own (--chat-template) is made with
};

// Its name is what the API calls it by default: Checkpoint::display_name(). For the numbers alone: model/checkpoint.h.
struct OpenedModel {
  ModelText text;
  std::string name;
  ModelConfig config;  // config.eos_tokens: every token that ends an answer
  Weights weights;
};

// The tokenizer's own end of text joins the checkpoint's eos_tokens.
Result<ModelText> open_model_text(Checkpoint& checkpoint);

// Cheap things first: everything that can be wrong with config, tokenizer and template is said before a weight is read.
// `progress` is called while packing (bytes done, bytes in all); it may be empty.
Result<OpenedModel> open_model(const std::string& path, ThreadPool& pool, const LoadProgress& progress);

// A progress line on standard error when that is a terminal, else nothing; ends its line when all is done.
LoadProgress terminal_progress(std::string label);

}  // namespace slipstream
