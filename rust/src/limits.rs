//! Every limit of the crate. What is over one is refused in words.

/// Bytes of a tokenizer.json; Gemma 3's is 33 MB.
pub const MAX_TOKENIZER_BYTES: usize = 256 << 20;
/// Token ids are below this; the largest vocabularies in use have 262,144.
pub const MAX_VOCABULARY: usize = 1 << 22;
/// Tokens added beside the model's vocabulary; Gemma 3 has 6,415.
pub const MAX_ADDED_TOKENS: usize = 1 << 17;
/// Bytes of one token. The longest in Gemma 3 are 31 spaces of 3 bytes.
pub const MAX_TOKEN_BYTES: usize = 1 << 14;
/// Steps of a normalizer, pre-tokenizer, post-processor or decoder, nested ones included.
pub const MAX_PIPELINE_STEPS: usize = 32;
/// A normalizer may make a text at most this much longer (Replace and Prepend), so that a file cannot multiply a prompt without end.
pub const MAX_NORMALIZER_GROWTH: usize = 64;
/// Bytes of one regular expression.
pub const MAX_PATTERN_BYTES: usize = 1 << 14;
/// Bytes of text encoded in one call.
pub const MAX_TEXT_BYTES: usize = 1 << 28;
