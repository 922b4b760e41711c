//! Every limit of the crate. What is over one is refused in words.

/// Bytes of a tokenizer.json; Gemma 3's is 33 MB.
pub const MAX_TOKENIZER_BYTES: usize = 128 << 20;
/// Reading one, or a tokenizer_config.json. Gemma 3 takes 165 MB and 2 s.
pub const FILE_BUDGET: crate::budget::Budget = crate::budget::Budget {
    memory_bytes: 512 << 20,
    stack_bytes: 16 << 20,
    cpu_time: std::time::Duration::from_secs(60),
};
/// Token ids are below this; the largest vocabularies in use have 262,144.
pub const MAX_VOCABULARY: usize = 1 << 20;
/// Merges; Gemma 3 has 514,906.
pub const MAX_MERGES: usize = 1 << 20;
/// Tokens added beside the model's vocabulary; Gemma 3 has 6,415.
pub const MAX_ADDED_TOKENS: usize = 1 << 17;
/// Bytes of all of them together; Gemma 3's have 60 kB.
pub const MAX_ADDED_TOKENS_BYTES: usize = 1 << 24;
/// Tokens that a post-processor may put around a text.
pub const MAX_SURROUNDING_TOKENS: usize = 64;
/// Bytes of one token. The longest in Gemma 3 are 31 spaces of 3 bytes.
pub const MAX_TOKEN_BYTES: usize = 1 << 14;
/// Steps of a normalizer, pre-tokenizer, post-processor or decoder, nested ones included.
pub const MAX_PIPELINE_STEPS: usize = 32;
/// A normalizer may make a text at most this much longer (Replace and Prepend), so that a file cannot multiply a
/// prompt without end.
pub const MAX_NORMALIZER_GROWTH: usize = 64;
/// Bytes of one regular expression.
pub const MAX_PATTERN_BYTES: usize = 1 << 14;
/// Bytes of text encoded in one call.
pub const MAX_TEXT_BYTES: usize = 1 << 28;

/// Bytes of a tokenizer_config.json; Gemma 3's is 1.2 MB.
pub const MAX_TOKENIZER_CONFIG_BYTES: usize = 32 << 20;
/// Bytes of a chat template; long ones have 20 kB.
pub const MAX_TEMPLATE_BYTES: usize = 1 << 20;
/// Bytes of messages, tools and variables, as JSON.
pub const MAX_TEMPLATE_INPUT_BYTES: usize = 64 << 20;
/// Bytes of a rendered prompt.
pub const MAX_RENDERED_BYTES: usize = 128 << 20;
/// Instructions of one render. A long chat (1,000 messages) takes some 300,000.
pub const TEMPLATE_FUEL: u64 = 4_000_000;
/// Macros calling macros.
pub const MAX_TEMPLATE_RECURSION: usize = 100;
/// A render, beside 64 bytes of memory for each byte of input. The stack is address space: only what is used is ever
/// there.
pub const TEMPLATE_BUDGET: crate::budget::Budget = crate::budget::Budget {
    memory_bytes: 256 << 20,
    stack_bytes: 256 << 20,
    cpu_time: std::time::Duration::from_secs(10),
};
/// So many renders of one template may be given up before it is used no more: each keeps what it holds for ever.
pub const MAX_LOST_RENDERS: usize = 3;
