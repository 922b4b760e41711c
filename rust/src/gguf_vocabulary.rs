//! The vocabulary of a GGUF file (tokenizer.ggml.*) becomes a Tokenizer: a byte-level BPE whose other steps the file
//! only names. Hostile.

use crate::limits::{MAX_MERGES, MAX_VOCABULARY};
use crate::tokenizer::Tokenizer;
use crate::tokenizer_file::{add_tokens, build_bpe, split_merge, AddedTokenEntry, BpeModel, Merge, Merges, Vocabulary};
use crate::Outcome;
use ahash::AHashMap;
use tokenizers::normalizers::{NormalizerWrapper, NFC};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

pub struct GgufVocabulary<'a> {
    pub pre: &'a str,
    pub tokens: Vec<&'a str>,
    pub types: &'a [i64],
    pub merges: Vec<&'a str>,
    pub bos: Option<u32>, // put before a text that asks for it
}

/// What a tokenizer.ggml.pre stands for: the steps of the tokenizer.json that llama.cpp's converter knows by this name.
struct Steps {
    pre: &'static str,
    digits: Option<&'static str>, // how the pattern takes them; none: one by one, then ByteLevel's pattern (GPT-2's)
    composes: bool,               // NFC first
    ignores_merges: bool,         // a piece that is a token is that token, whatever the merges say
}

const KNOWN: [Steps; 3] = [
    Steps { pre: "smollm", digits: None, composes: false, ignores_merges: false },
    // Llama 3 and later.
    Steps { pre: "llama-bpe", digits: Some(r"\p{N}{1,3}"), composes: false, ignores_merges: true },
    // Qwen2, 2.5 and 3.
    Steps { pre: "qwen2", digits: Some(r"\p{N}"), composes: true, ignores_merges: false },
];

// The pattern of both but for the digits in its middle.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
const OTHERS: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

// tokenizer.ggml.token_type
const NORMAL: i64 = 1;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;

pub fn read(vocabulary: &GgufVocabulary) -> Outcome<Tokenizer> {
    let steps = KNOWN.iter().find(|steps| steps.pre == vocabulary.pre).ok_or_else(|| {
        let names: Vec<&str> = KNOWN.iter().map(|steps| steps.pre).collect();
        format!("tokenizer.ggml.pre {:?} is not read yet, only {}", vocabulary.pre, names.join(", "))
    })?;
    if vocabulary.tokens.len() > MAX_VOCABULARY || vocabulary.merges.len() > MAX_MERGES {
        return Err(format!(
            "{} tokens and {} merges, at most {MAX_VOCABULARY} and {MAX_MERGES} are read",
            vocabulary.tokens.len(),
            vocabulary.merges.len()
        ));
    }
    let (ids, added) = sort_tokens(vocabulary)?;
    let merges: Option<Vec<Merge>> = vocabulary.merges.iter().map(|line| split_merge(line)).collect();
    let merges = Merges(merges.ok_or("a merge is not two tokens with one space between")?);
    let mut inner = tokenizers::Tokenizer::new(build_bpe(BpeModel {
        ignore_merges: Some(steps.ignores_merges),
        vocab: Vocabulary(ids),
        merges,
        ..BpeModel::default()
    })?);
    // (with_normalizer applies the normalizer to added tokens: there are none yet.)
    if steps.composes {
        let set = inner.with_normalizer(Some(NormalizerWrapper::from(NFC)));
        set.map_err(|fault| format!("normalizer: {fault}"))?;
    }
    inner.with_pre_tokenizer(Some(pre_tokenizer(steps)?));
    inner.with_decoder(Some(ByteLevel::new(false, true, true)));
    add_tokens(&mut inner, added)?;
    let tokenizer = Tokenizer::new(inner, &serde_json::json!({"type": "ByteLevel"}))?;
    match vocabulary.bos {
        None => Ok(tokenizer),
        Some(id) if (id as usize) < vocabulary.tokens.len() => Ok(tokenizer.beginning_with(id)),
        Some(id) => Err(format!("the token {id} that begins a text is none of the {}", vocabulary.tokens.len())),
    }
}

fn pre_tokenizer(steps: &Steps) -> Outcome<PreTokenizerWrapper> {
    let list: Vec<PreTokenizerWrapper> = match steps.digits {
        None => vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()],
        Some(digits) => {
            let pattern = SplitPattern::Regex(format!("{WORDS}|{digits}|{OTHERS}"));
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
            let split = split.map_err(|fault| format!("pre_tokenizer: {fault}"))?;
            vec![split.into(), ByteLevel::new(false, true, false).into()]
        }
    };
    Ok(Sequence::new(list).into())
}

/// The ids of all tokens, and those that are looked for in the text before it is split.
fn sort_tokens(vocabulary: &GgufVocabulary) -> Outcome<(AHashMap<String, u32>, Vec<AddedTokenEntry>)> {
    if vocabulary.types.len() != vocabulary.tokens.len() {
        return Err(format!("{} token types for {} tokens", vocabulary.types.len(), vocabulary.tokens.len()));
    }
    let mut ids = AHashMap::with_capacity(vocabulary.tokens.len());
    let mut added = Vec::new();
    for (id, (&token, &kind)) in vocabulary.tokens.iter().zip(vocabulary.types).enumerate() {
        if ids.insert(token.to_string(), id as u32).is_some() {
            return Err(format!("the token {token:?} occurs twice, the second time with id {id}"));
        }
        match kind {
            NORMAL | UNUSED => {}
            CONTROL | USER_DEFINED => added.push(AddedTokenEntry {
                id: id as u32,
                content: token.to_string(),
                single_word: false,
                lstrip: false,
                rstrip: false,
                normalized: false,
                special: kind == CONTROL,
            }),
            other => {
                return Err(format!(
                    "the token {token:?} (id {id}) has type {other}, which a byte-level BPE does not have"
                ))
            }
        }
    }
    Ok((ids, added))
}
