// The C functions of the Rust crate in rust/ (its abi.rs defines them). Used only inside room text; the classes in
// tokenizer.h and chat_template.h are what others see.
//
// Each function that can fail returns 0, or 1 with one sentence in `fault` (a panic of a library ends there too).
// Handles may be used by several threads at once; making and freeing is the owner's.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// Bytes owned by the crate, given back with slipstream_text_free_buffer. Numbers in it are little-endian uint32.
typedef struct slipstream_text_buffer {
  uint8_t* data;
  size_t size;
  size_t capacity;
} slipstream_text_buffer;

// Bytes of the caller, alive during the call.
typedef struct slipstream_text_view {
  const uint8_t* data;
  size_t size;
} slipstream_text_view;

void slipstream_text_free_buffer(slipstream_text_buffer buffer);

// ---- tokenizers ----

typedef struct slipstream_text_tokenizer slipstream_text_tokenizer;

int32_t slipstream_text_tokenizer_from_json(slipstream_text_view json, slipstream_text_tokenizer** tokenizer,
                                            slipstream_text_buffer* fault);

// A list of strings: string i is bytes[begins[i], begins[i + 1]).
typedef struct slipstream_text_strings {
  const uint8_t* bytes;
  const size_t* begins;  // [count + 1]
  size_t count;
} slipstream_text_strings;

// bos: the token before every text that asks for special tokens, or null.
int32_t slipstream_text_tokenizer_from_gguf(slipstream_text_view pre, slipstream_text_strings tokens,
                                            const int64_t* types, size_t num_types, slipstream_text_strings merges,
                                            const uint32_t* bos, slipstream_text_tokenizer** tokenizer,
                                            slipstream_text_buffer* fault);
void slipstream_text_free_tokenizer(slipstream_text_tokenizer* tokenizer);

// trusted: num_trusted pairs [begin, end) of byte offsets in text, in order, not overlapping. ids: uint32.
int32_t slipstream_text_encode(const slipstream_text_tokenizer* tokenizer, slipstream_text_view text,
                               const size_t* trusted, size_t num_trusted, bool add_special,
                               slipstream_text_buffer* ids, slipstream_text_buffer* fault);
int32_t slipstream_text_decode(const slipstream_text_tokenizer* tokenizer, const uint32_t* ids, size_t num_ids,
                               bool skip_special, slipstream_text_buffer* text, slipstream_text_buffer* fault);

// Flags of a token in slipstream_text_table.flags.
enum { SLIPSTREAM_TEXT_SPECIAL = 1, SLIPSTREAM_TEXT_BYTE = 2 };

typedef struct slipstream_text_table {
  slipstream_text_buffer bytes;
  slipstream_text_buffer begins;  // uint32 [num_tokens + 1]
  slipstream_text_buffer flags;   // uint8 [num_tokens]
  uint32_t strip_at_start;
} slipstream_text_table;

int32_t slipstream_text_token_table(const slipstream_text_tokenizer* tokenizer, slipstream_text_table* table,
                                    slipstream_text_buffer* fault);

// Each spelling with its length (uint32) in front.
int32_t slipstream_text_control_tokens(const slipstream_text_tokenizer* tokenizer, slipstream_text_buffer* spellings,
                                       slipstream_text_buffer* fault);

// ---- chat templates ----

typedef struct slipstream_text_template slipstream_text_template;

int32_t slipstream_text_template_make(slipstream_text_view source, slipstream_text_view bos_token,
                                      slipstream_text_view eos_token, slipstream_text_strings control_tokens,
                                      slipstream_text_template** made, slipstream_text_buffer* fault);
void slipstream_text_free_template(slipstream_text_template* chat_template);

// JSON; empty where there is none.
typedef struct slipstream_text_render_input {
  slipstream_text_view messages;
  slipstream_text_view tools;
  slipstream_text_view kwargs;
  int64_t unix_time_s;   // for strftime_now: this moment ...
  int64_t utc_offset_s;  // ... on a clock that is so much ahead of UTC
  bool add_generation_prompt;
  bool continue_final_message;
} slipstream_text_render_input;

// trusted: where the template's own control tokens stand in text, pairs of uint32 [begin, end), in order.
int32_t slipstream_text_template_render(const slipstream_text_template* chat_template,
                                        const slipstream_text_render_input* input, slipstream_text_buffer* text,
                                        slipstream_text_buffer* trusted, slipstream_text_buffer* fault);

// texts: chat_template, bos_token, eos_token, each with its length (uint32) in front.
int32_t slipstream_text_tokenizer_config(slipstream_text_view json, slipstream_text_buffer* texts,
                                         bool* add_bos_token, slipstream_text_buffer* fault);

}  // extern "C"
