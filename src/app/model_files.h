// A model's folder or file (app/model_path.h found it) -> a model in memory. Joins what files/, model/ and text/ know.
// A folder is as people download it (config.json, safetensors, tokenizer.json ...), a file one .gguf. Errors are one
// line: what, where, what was expected.
#pragma once

#include <optional>
#include <string>

#include "app/model_path.h"
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
  size_t chat_template_bytes = 0;             // of its source
  ChatTemplateTokens template_tokens;         // what a template of one's own (--chat-template) is made with
};

// Opened and checked; no weight is read yet.
struct ModelFiles {
  Checkpoint checkpoint;
  ModelText text;
};

// For the numbers alone: model/checkpoint.h.
struct OpenedModel {
  ModelText text;
  ModelConfig config;  // config.eos_tokens: every token that ends an answer
  Weights weights;
};

// What find_model_or_dummy() found: open_checkpoint(), or open_dummy().
Result<Checkpoint> open_found(const ModelPath& model);

// The tokenizer's own end of text joins the checkpoint's eos_tokens.
Result<ModelText> open_model_text(Checkpoint& checkpoint);

// Cheap things first: everything that can be wrong with config, tokenizer and template is said before a weight is read.
Result<ModelFiles> open_model_files(const ModelPath& model);
// `progress` is called while packing (bytes done, bytes in all); it may be empty.
Result<OpenedModel> load_model(ModelFiles files, ThreadPool& pool, const LoadProgress& progress);

}  // namespace slipstream
