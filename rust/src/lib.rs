//! What of slipstream is Rust. Text: tokenizers and chat templates, exported as the C functions of src/text/text_abi.h.
//! Digests: those of src/digest/digest_abi.h.
//!
//! Everything that comes in is hostile: files, templates, requests. A fault is a sentence in words; a panic of a
//! library is caught at the border (abi.rs) and becomes one too.

mod abi;
mod added_tokens;
mod budget;
mod chat_template;
mod digest_abi;
mod final_message;
mod gguf_vocabulary;
mod limits;
mod panics;
mod python_methods;
mod python_text;
mod strftime;
mod template_input;
mod template_source;
mod token_bytes;
mod tokenizer;
mod tokenizer_config;
mod tokenizer_file;

#[global_allocator]
static ALLOCATOR: budget::CountingAllocator = budget::CountingAllocator;

/// Why something could not be done, in one sentence.
pub type Fault = String;
pub type Outcome<T> = Result<T, Fault>;
