//! A tokenizer ready for work: encode with trusted places, decode, and the facts the C++ side keeps.

use crate::added_tokens::AddedTokens;
use crate::limits::{MAX_SURROUNDING_TOKENS, MAX_TEXT_BYTES, MAX_VOCABULARY};
use crate::panics::caught;
use crate::token_bytes::{Decoding, TokenBytes, SPECIAL};
use crate::Outcome;
use tokenizers::normalizer::Range;
use tokenizers::{
    AddedToken, Encoding, Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PostProcessor,
    PreTokenizedString, PreTokenizer, Token,
};

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    decoding: Decoding,
    raw_tokens: AddedTokens,        // looked for in the text as it is
    normalized_tokens: AddedTokens, // looked for after the normalizer
    prefix: Vec<u32>,               // what the post-processor puts before a text (BOS) ...
    suffix: Vec<u32>,               // ... and after it
    vocab_size: usize,
    control: Vec<String>,
}

type Split = (NormalizedString, Option<Vec<Token>>);

impl Tokenizer {
    /// `decoder`: the decoder of `inner` as JSON.
    pub fn new(inner: tokenizers::Tokenizer, decoder: &serde_json::Value) -> Outcome<Tokenizer> {
        let decoding = Decoding::read(decoder)?;
        let added = inner.get_added_tokens_decoder();
        let mut sorted: Vec<(u32, &AddedToken)> = added.iter().map(|(&id, token)| (id, token)).collect();
        sorted.sort_by_key(|(id, _)| *id);
        let raw = sorted
            .iter()
            .filter(|(_, token)| !token.normalized)
            .map(|&(id, token)| (token.content.as_str(), id, token));
        let raw_tokens = AddedTokens::new(raw);

        let mut normalized = Vec::new();
        for &(id, token) in sorted.iter().filter(|(_, token)| token.normalized) {
            let mut text = NormalizedString::from(token.content.as_str());
            if let Some(normalizer) = inner.get_normalizer() {
                normalizer.normalize(&mut text).map_err(|fault| format!("normalizer: {fault}"))?;
            }
            normalized.push((text.get().to_string(), id, token));
        }
        let normalized_tokens =
            AddedTokens::new(normalized.iter().map(|(text, id, token)| (text.as_str(), *id, *token)));

        let largest = inner.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if largest >= MAX_VOCABULARY {
            return Err(format!("a token has id {largest}, ids are below {MAX_VOCABULARY}"));
        }
        let control =
            sorted.iter().filter(|(_, token)| token.special).map(|(_, token)| token.content.clone()).collect();
        let (prefix, suffix) = surroundings(&inner, largest)?;
        Ok(Tokenizer {
            inner,
            decoding,
            raw_tokens,
            normalized_tokens,
            prefix,
            suffix,
            vocab_size: largest + 1,
            control,
        })
    }

    /// The same, with this token before every text that asks for special tokens.
    pub fn beginning_with(self, id: u32) -> Tokenizer {
        Tokenizer { prefix: vec![id], ..self }
    }

    /// The texts of the tokens that are found in trusted places only.
    pub fn control_tokens(&self) -> &[String] {
        &self.control
    }

    /// `trusted`: places of `text` as [begin, end), in order, not overlapping; on character borders.
    pub fn encode(&self, text: &str, trusted: &[[usize; 2]], add_special: bool) -> Outcome<Vec<u32>> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("the text has {} bytes, at most {MAX_TEXT_BYTES} are encoded at once", text.len()));
        }
        // As the library's encode: added tokens in the raw text, the normalizer on what is between them, added tokens
        // in that, then the pre-tokenizer and the model on what is left.
        let failed = |fault| format!("the text cannot be encoded: {fault}");
        let mut pieces: PreTokenizedString = text.into();
        pieces
            .split(|_, piece| {
                let found = self.raw_tokens.find(piece.get(), |begin, end| covers(trusted, begin, end));
                Ok(cut(piece, found))
            })
            .map_err(failed)?;
        pieces
            .split(|_, mut piece| {
                if let Some(normalizer) = self.inner.get_normalizer() {
                    normalizer.normalize(&mut piece)?;
                }
                let found = self.normalized_tokens.find(piece.get(), |begin, end| {
                    let at = piece.offsets_original().0;
                    piece
                        .convert_offsets(Range::Normalized(begin..end))
                        .is_some_and(|original| covers(trusted, at + original.start, at + original.end))
                });
                Ok(cut(piece, found))
            })
            .map_err(failed)?;
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces).map_err(failed)?;
        }
        self.inner.get_model().tokenize_in_pretokenized(&mut pieces, None).map_err(failed)?;

        let mut ids: Vec<u32> = Vec::new();
        for (_, _, tokens) in pieces.get_splits(OffsetReferential::Original, OffsetType::None) {
            ids.extend(tokens.iter().flatten().map(|token| token.id));
        }
        if add_special {
            if !self.prefix.is_empty() && !ids.starts_with(&self.prefix) {
                ids.splice(0..0, self.prefix.iter().copied());
            }
            ids.extend(&self.suffix);
        }
        Ok(ids)
    }

    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Outcome<String> {
        self.inner.decode(ids, skip_special).map_err(|fault| format!("the tokens cannot be decoded: {fault}"))
    }

    pub fn token_bytes(&self) -> Outcome<TokenBytes> {
        let added = self.inner.get_added_vocabulary();
        let mut table = TokenBytes {
            bytes: Vec::new(),
            begins: vec![0],
            flags: Vec::with_capacity(self.vocab_size),
            strip_at_start: self.decoding.strip_at_start,
        };
        for id in 0..self.vocab_size as u32 {
            let token = added.simple_id_to_token(id).or_else(|| self.inner.get_model().id_to_token(id));
            let mut flags = 0;
            if let Some(token) = token {
                flags = self.decoding.append(&token, &mut table.bytes);
                if added.is_special_token(&token) {
                    flags |= SPECIAL;
                }
            }
            let end = u32::try_from(table.bytes.len())
                .map_err(|_| "the vocabulary has more than 4 GiB of text".to_string())?;
            table.begins.push(end);
            table.flags.push(flags);
        }
        Ok(table)
    }
}

/// What the post-processor puts around a text: found by letting it work on one token that no vocabulary has.
fn surroundings(inner: &tokenizers::Tokenizer, largest_id: usize) -> Outcome<(Vec<u32>, Vec<u32>)> {
    let Some(processor) = inner.get_post_processor() else { return Ok((Vec::new(), Vec::new())) };
    let marker = Token::new(u32::MAX, String::new(), (0, 0));
    let process =
        || processor.process(Encoding::from_tokens(vec![marker], 0), None, true).map_err(|fault| fault.to_string());
    let around = caught(process).map_err(|fault| format!("post_processor: {fault}"))?;
    let ids = around.get_ids();
    if ids.len() > MAX_SURROUNDING_TOKENS {
        return Err(format!(
            "post_processor: it adds {} tokens, at most {MAX_SURROUNDING_TOKENS} are allowed",
            ids.len() - 1
        ));
    }
    let Some(at) = ids.iter().position(|&id| id == u32::MAX) else {
        return Err("post_processor: it drops the text".to_string());
    };
    let (prefix, suffix) = (ids[..at].to_vec(), ids[at + 1..].to_vec());
    if suffix.contains(&u32::MAX) {
        return Err("post_processor: it repeats the text".to_string());
    }
    if let Some(id) = prefix.iter().chain(&suffix).find(|&&id| id as usize > largest_id) {
        return Err(format!("post_processor: it adds the token {id}, which the vocabulary does not have"));
    }
    Ok((prefix, suffix))
}

/// Is [begin, end) inside trusted places (several that touch count as one)?
fn covers(trusted: &[[usize; 2]], begin: usize, end: usize) -> bool {
    let mut at = trusted.partition_point(|place| place[1] <= begin);
    let mut covered = begin;
    while covered < end {
        match trusted.get(at) {
            Some(place) if place[0] <= covered => covered = place[1].max(covered),
            _ => return false,
        }
        at += 1;
    }
    true
}

fn cut(piece: NormalizedString, found: Vec<crate::added_tokens::Found>) -> Vec<Split> {
    if found.is_empty() {
        return vec![(piece, None)];
    }
    let slice = |begin, end| piece.slice(Range::Normalized(begin..end)).unwrap_or_default();
    let mut splits: Vec<Split> = Vec::with_capacity(2 * found.len() + 1);
    let mut done = 0;
    for token in found {
        if done < token.begin {
            splits.push((slice(done, token.begin), None));
        }
        let text = slice(token.begin, token.end);
        let length = text.get().len();
        splits.push((text, Some(vec![Token::new(token.id, String::new(), (0, length))])));
        done = token.end;
    }
    if done != piece.get().len() {
        splits.push((slice(done, piece.get().len()), None));
    }
    splits
}
