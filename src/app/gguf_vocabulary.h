// tokenizer.ggml.* of a GGUF file -> what text/ makes a tokenizer of.
#pragma once

#include "base/result.h"
#include "files/gguf.h"
#include "text/tokenizer.h"

namespace slipstream {

// Errors name the key. A text begins with BOS where the file says so; where it says nothing, as in llama.cpp: with
// `pre` llama-bpe.
Result<BpeVocabulary> gguf_vocabulary(const GgufMetadata& metadata);

}  // namespace slipstream
