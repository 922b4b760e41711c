//! A tokenizer.json becomes a Tokenizer. Hostile.
//!
//! What is read: byte-pair encoding with the steps listed below. Every other model, step or option is refused by its
//! name, because a step that is not known here could neither be decoded token by token nor be bounded.

use crate::limits::*;
use crate::panics::caught;
use crate::tokenizer::Tokenizer;
use crate::Outcome;
use ahash::{AHashMap, AHashSet};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::{AddedToken, PreTokenizerWrapper};

const NORMALIZERS: &[&str] =
    &["Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Prepend"];
const PRE_TOKENIZERS: &[&str] =
    &["Sequence", "ByteLevel", "Split", "Digits", "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation"];
const POST_PROCESSORS: &[&str] =
    &["Sequence", "ByteLevel", "TemplateProcessing", "BertProcessing", "RobertaProcessing"];

#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedTokenEntry>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: BpeModel,
}

#[derive(Deserialize)]
pub struct AddedTokenEntry {
    pub id: u32,
    pub content: String,
    #[serde(default)]
    pub single_word: bool,
    #[serde(default)]
    pub lstrip: bool,
    #[serde(default)]
    pub rstrip: bool,
    #[serde(default = "yes")]
    pub normalized: bool,
    #[serde(default)]
    pub special: bool,
}

fn yes() -> bool {
    true
}

#[derive(Default, Deserialize)]
pub struct BpeModel {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub dropout: Option<f32>,
    pub unk_token: Option<String>,
    pub continuing_subword_prefix: Option<String>,
    pub end_of_word_suffix: Option<String>,
    pub fuse_unk: Option<bool>,
    pub byte_fallback: Option<bool>,
    pub ignore_merges: Option<bool>,
    #[serde(default)]
    pub vocab: Vocabulary,
    #[serde(default)]
    pub merges: Merges,
}

/// `{"token": id}`. Unigram's list of pairs lands here too, so that its name and not its shape is what is refused.
#[derive(Default)]
pub struct Vocabulary(pub AHashMap<String, u32>);

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocabulary;
            fn expecting(&self, text: &mut std::fmt::Formatter) -> std::fmt::Result {
                text.write_str("the vocabulary as {token: id}")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                let mut entries = AHashMap::new();
                while let Some((token, id)) = map.next_entry::<String, u32>()? {
                    if entries.len() == MAX_VOCABULARY {
                        return Err(serde::de::Error::custom(format!("more than {MAX_VOCABULARY} tokens")));
                    }
                    entries.insert(token, id);
                }
                Ok(Vocabulary(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Vocabulary::default())
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

#[derive(Default)]
pub struct Merges(pub Vec<Merge>);

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Merges;
            fn expecting(&self, text: &mut std::fmt::Formatter) -> std::fmt::Result {
                text.write_str("a list of merges")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merges, A::Error> {
                let mut merges = Vec::new();
                while let Some(merge) = list.next_element()? {
                    if merges.len() == MAX_MERGES {
                        return Err(serde::de::Error::custom(format!("more than {MAX_MERGES} merges")));
                    }
                    merges.push(merge);
                }
                Ok(Merges(merges))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// `["a", "b"]`, or `"a b"` as older files have it.
pub struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;
            fn expecting(&self, text: &mut std::fmt::Formatter) -> std::fmt::Result {
                text.write_str("a merge as two tokens")
            }
            fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<Merge, E> {
                split_merge(line)
                    .ok_or_else(|| E::custom(format!("the merge {line:?} is not two tokens with one space between")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                match (list.next_element()?, list.next_element()?, list.next_element::<serde::de::IgnoredAny>()?) {
                    (Some(left), Some(right), None) => Ok(Merge(left, right)),
                    _ => Err(serde::de::Error::custom("a merge is not two tokens")),
                }
            }
        }
        deserializer.deserialize_any(Pair)
    }
}

pub fn split_merge(line: &str) -> Option<Merge> {
    let (left, right) = line.split_once(' ')?;
    (!left.is_empty() && !right.is_empty() && !right.contains(' ')).then(|| Merge(left.to_string(), right.to_string()))
}

pub fn read(json: &[u8]) -> Outcome<Tokenizer> {
    if json.len() > MAX_TOKENIZER_BYTES {
        return Err(format!("{} bytes, more than the {MAX_TOKENIZER_BYTES} allowed", json.len()));
    }
    let file: TokenizerFile = serde_json::from_slice(json).map_err(|fault| format!("not a tokenizer.json: {fault}"))?;
    check_steps("normalizer", &file.normalizer, NORMALIZERS)?;
    check_steps("pre_tokenizer", &file.pre_tokenizer, PRE_TOKENIZERS)?;
    check_steps("post_processor", &file.post_processor, POST_PROCESSORS)?;
    check_growth(&file.normalizer)?;

    let mut inner = tokenizers::Tokenizer::new(build_bpe(file.model)?);
    // (with_normalizer applies the normalizer to added tokens: there are none yet.)
    if let Some(normalizer) = part::<tokenizers::NormalizerWrapper>("normalizer", file.normalizer)? {
        inner.with_normalizer(Some(normalizer)).map_err(|fault| format!("normalizer: {fault}"))?;
    }
    inner.with_pre_tokenizer(part::<PreTokenizerWrapper>("pre_tokenizer", file.pre_tokenizer)?);
    inner.with_post_processor(part::<tokenizers::PostProcessorWrapper>("post_processor", file.post_processor)?);
    let decoder = file.decoder.clone();
    inner.with_decoder(part::<tokenizers::DecoderWrapper>("decoder", file.decoder)?);
    add_tokens(&mut inner, file.added_tokens)?;
    Tokenizer::new(inner, &decoder)
}

fn part<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Outcome<Option<T>> {
    if value.is_null() {
        return Ok(None);
    }
    caught(|| serde_json::from_value(value).map(Some).map_err(|fault| fault.to_string()))
        .map_err(|fault| format!("{name}: {fault}"))
}

pub fn build_bpe(model: BpeModel) -> Outcome<BPE> {
    // Before there were other models there was no "type".
    let kind = model.kind.as_deref().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(format!("model: type {kind:?} is not read yet, only BPE"));
    }
    for (name, text) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if text.as_ref().is_some_and(|text| !text.is_empty()) {
            return Err(format!("model: {name} {text:?} is not read yet"));
        }
    }
    if model.dropout.unwrap_or(0.0) != 0.0 {
        return Err("model: dropout would make the encoding random".to_string());
    }
    let vocabulary = model.vocab.0;
    check_vocabulary(&vocabulary)?;
    if let Some(unk) = &model.unk_token {
        if !vocabulary.contains_key(unk) {
            return Err(format!("model: unk_token {unk:?} is not in the vocabulary"));
        }
    }
    let merges = model.merges.0.into_iter().map(|merge| (merge.0, merge.1)).collect();
    let mut builder = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .fuse_unk(model.fuse_unk.unwrap_or(false))
        .byte_fallback(model.byte_fallback.unwrap_or(false))
        .ignore_merges(model.ignore_merges.unwrap_or(false));
    if let Some(unk) = model.unk_token {
        builder = builder.unk_token(unk);
    }
    builder.build().map_err(|fault| format!("model: {fault}"))
}

fn check_vocabulary(vocabulary: &AHashMap<String, u32>) -> Outcome<()> {
    if vocabulary.is_empty() {
        return Err("model: the vocabulary is empty".to_string());
    }
    let mut seen = AHashSet::with_capacity(vocabulary.len());
    for (token, &id) in vocabulary {
        if id as usize >= MAX_VOCABULARY {
            return Err(format!("model: the token {token:?} has id {id}, ids are below {MAX_VOCABULARY}"));
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(format!(
                "model: the token with id {id} is {} bytes long, at most {MAX_TOKEN_BYTES} are allowed",
                token.len()
            ));
        }
        if !seen.insert(id) {
            return Err(format!("model: two tokens have id {id}, one of them is {token:?}"));
        }
    }
    Ok(())
}

pub fn add_tokens(inner: &mut tokenizers::Tokenizer, entries: Vec<AddedTokenEntry>) -> Outcome<()> {
    if entries.len() > MAX_ADDED_TOKENS {
        return Err(format!("{} added_tokens, at most {MAX_ADDED_TOKENS} are allowed", entries.len()));
    }
    let bytes: usize = entries.iter().map(|entry| entry.content.len()).sum();
    if bytes > MAX_ADDED_TOKENS_BYTES {
        return Err(format!("added_tokens: {bytes} bytes of text, at most {MAX_ADDED_TOKENS_BYTES} are allowed"));
    }
    let mut expected = Vec::with_capacity(entries.len());
    let mut tokens = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.content.is_empty() || entry.content.len() > MAX_TOKEN_BYTES {
            return Err(format!("added_tokens: the token with id {} has {} bytes", entry.id, entry.content.len()));
        }
        expected.push((entry.content.clone(), entry.id));
        tokens.push(
            AddedToken::from(entry.content, entry.special)
                .single_word(entry.single_word)
                .lstrip(entry.lstrip)
                .rstrip(entry.rstrip)
                .normalized(entry.normalized),
        );
    }
    inner.add_tokens(tokens).map_err(|fault| format!("added_tokens: {fault}"))?;
    // The library numbers tokens by itself and says nothing when the file meant another number.
    for (content, id) in expected {
        let given = inner.token_to_id(&content);
        if given != Some(id) {
            let given = given.map_or("none".to_string(), |given| given.to_string());
            return Err(format!(
                "added_tokens: {content:?} should have id {id}, but in this vocabulary it gets {given}"
            ));
        }
    }
    Ok(())
}

/// The steps of a part, nested sequences flattened, in order; null has none.
pub fn steps_of<'a>(part_name: &str, part: &'a Value) -> Outcome<Vec<&'a Value>> {
    let mut steps = Vec::new();
    let mut waiting = vec![part];
    while let Some(step) = waiting.pop() {
        if step.is_null() {
            continue;
        }
        let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
        match lists.iter().find_map(|name| step.get(name).and_then(Value::as_array)) {
            Some(list) if kind_of(step) == "Sequence" => waiting.extend(list.iter().rev()),
            _ => steps.push(step),
        }
        if steps.len() + waiting.len() > MAX_PIPELINE_STEPS {
            return Err(format!("{part_name}: more than {MAX_PIPELINE_STEPS} steps"));
        }
    }
    Ok(steps)
}

pub fn kind_of(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or("")
}

fn check_steps(part_name: &str, part: &Value, known: &[&str]) -> Outcome<()> {
    for step in steps_of(part_name, part)? {
        let kind = kind_of(step);
        if !known.contains(&kind) {
            return Err(format!("{part_name}: type {kind:?} is not read yet, only {}", known.join(", ")));
        }
        if let Some(pattern) = step.get("pattern") {
            let text = pattern.get("Regex").or(pattern.get("String")).and_then(Value::as_str).unwrap_or("");
            if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
                return Err(format!(
                    "{part_name}: a {kind} has a pattern of {} bytes, 1 to {MAX_PATTERN_BYTES} are allowed",
                    text.len()
                ));
            }
        }
    }
    Ok(())
}

/// The most bytes that one byte of text can become, multiplied over the steps.
fn check_growth(normalizer: &Value) -> Outcome<()> {
    let mut growth = 1usize;
    for step in steps_of("normalizer", normalizer)? {
        let text_bytes = |name: &str| step.get(name).and_then(Value::as_str).map_or(0, str::len);
        let factor = match kind_of(step) {
            "Replace" => match step.get("pattern").and_then(|pattern| pattern.get("String")).and_then(Value::as_str) {
                Some(pattern) => text_bytes("content").div_ceil(pattern.len().max(1)),
                None => 1 + text_bytes("content"),
            },
            "Prepend" => 1 + text_bytes("prepend"),
            _ => 1,
        };
        growth = growth.saturating_mul(factor.max(1));
    }
    if growth > MAX_NORMALIZER_GROWTH {
        return Err(format!(
            "normalizer: it can make a text {growth} times as long, at most {MAX_NORMALIZER_GROWTH} is allowed"
        ));
    }
    Ok(())
}
