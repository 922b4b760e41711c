// The tokenizer of a model that has none: 256 tokens that are a byte each, ChatML's three control tokens, and made-up
// words for all other ids, so that whatever a model answers is text. The files are as Hugging Face's tokenizers and
// transformers read them.
#pragma once

#include <cstdint>
#include <string>

namespace slipstream {

// tokenizer.json. Ids: 0 .. 255 the bytes; 256 <|endoftext|>, 257 <|im_start|>, 258 <|im_end|> (model/dummy_shape.h);
// then words. vocab_size >= 259.
std::string byte_tokenizer_json(uint32_t vocab_size);
std::string byte_tokenizer_config_json();
// chat_template.jinja: ChatML.
std::string byte_chat_template();

}  // namespace slipstream
