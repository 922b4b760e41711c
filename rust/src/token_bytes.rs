//! The bytes of every token, as the tokenizer's decoder would give them, so that text can be joined without the
//! library (src/text/token_table.h). Only decoders that work token by token can be told so; the others are refused by
//! name.

use crate::tokenizer_file::{kind_of, steps_of};
use crate::Outcome;
use ahash::AHashMap;
use serde_json::Value;

pub const SPECIAL: u8 = 1; // a control token
pub const BYTE: u8 = 2; // one byte of a run of byte-fallback tokens

/// How a decoder turns one token into bytes.
pub enum Joining {
    /// The letters of GPT-2's alphabet stand for bytes; the bytes of all tokens together are read as UTF-8.
    ByteLevel(AHashMap<char, u8>),
    /// The token is text after replacing; "<0xE2>" may be a byte.
    Text { replacements: Vec<(String, String)>, byte_fallback: bool },
}

pub struct Decoding {
    pub joining: Joining,
    /// At most this many spaces are dropped at the start of the whole text.
    pub strip_at_start: u32,
}

pub struct TokenBytes {
    pub bytes: Vec<u8>,
    pub begins: Vec<u32>,
    pub flags: Vec<u8>,
    pub strip_at_start: u32,
}

impl Decoding {
    /// From the `decoder` of a tokenizer.json: ByteLevel, or Replace* ByteFallback? Fuse? Strip?.
    pub fn read(decoder: &Value) -> Outcome<Decoding> {
        let steps = steps_of("decoder", decoder)?;
        if steps.is_empty() {
            return Err("decoder: there is none".to_string());
        }
        if steps.len() == 1 && kind_of(steps[0]) == "ByteLevel" {
            return Ok(Decoding { joining: Joining::ByteLevel(byte_level_alphabet()), strip_at_start: 0 });
        }
        let mut replacements = Vec::new();
        let (mut byte_fallback, mut fuse, mut strip_at_start) = (false, false, 0);
        for step in steps {
            match kind_of(step) {
                "Replace" if !byte_fallback && !fuse => replacements.push(replacement(step)?),
                "ByteFallback" if !byte_fallback && !fuse => byte_fallback = true,
                "Fuse" if !fuse => fuse = true,
                "Strip" if fuse && strip_at_start == 0 => strip_at_start = strip(step)?,
                other => {
                    return Err(format!(
                        "decoder: type {other:?} at this place is not read yet, only ByteLevel alone, or Replace, \
                         ByteFallback, Fuse, Strip in this order"
                    ))
                }
            }
        }
        Ok(Decoding { joining: Joining::Text { replacements, byte_fallback }, strip_at_start })
    }

    /// Appends the token's bytes; returns its flags.
    pub fn append(&self, token: &str, bytes: &mut Vec<u8>) -> u8 {
        match &self.joining {
            Joining::ByteLevel(alphabet) => {
                let start = bytes.len();
                for letter in token.chars() {
                    match alphabet.get(&letter) {
                        Some(byte) => bytes.push(*byte),
                        None => {
                            // Not of the alphabet (an added token): the token is its own text.
                            bytes.truncate(start);
                            bytes.extend(token.as_bytes());
                            break;
                        }
                    }
                }
                0
            }
            Joining::Text { replacements, byte_fallback } => {
                let mut text = token.to_string();
                for (pattern, content) in replacements {
                    text = text.replace(pattern.as_str(), content);
                }
                match fallback_byte(&text).filter(|_| *byte_fallback) {
                    Some(byte) => {
                        bytes.push(byte);
                        BYTE
                    }
                    None => {
                        bytes.extend(text.as_bytes());
                        0
                    }
                }
            }
        }
    }
}

fn replacement(step: &Value) -> Outcome<(String, String)> {
    let pattern = step.get("pattern").and_then(|pattern| pattern.get("String")).and_then(Value::as_str).unwrap_or("");
    let content = step.get("content").and_then(Value::as_str).unwrap_or("");
    if pattern.is_empty() {
        return Err("decoder: a Replace without a pattern that is plain text is not read yet".to_string());
    }
    if content.len() > 8 * pattern.len() {
        return Err(format!("decoder: a Replace makes {} bytes of {}", content.len(), pattern.len()));
    }
    Ok((pattern.to_string(), content.to_string()))
}

fn strip(step: &Value) -> Outcome<u32> {
    let number = |name: &str| step.get(name).and_then(Value::as_u64);
    let content = step.get("content").and_then(Value::as_str);
    match (content, number("start"), number("stop")) {
        (Some(" "), Some(start), Some(0)) if start <= 8 => Ok(start as u32),
        _ => Err("decoder: a Strip of anything but up to 8 spaces at the start is not read yet".to_string()),
    }
}

/// "<0xE2>" -> 0xE2, exactly where the library's ByteFallback sees one.
fn fallback_byte(token: &str) -> Option<u8> {
    if token.len() == 6 && token.starts_with("<0x") && token.ends_with('>') {
        return u8::from_str_radix(&token[3..5], 16).ok();
    }
    None
}

/// GPT-2's printable stand-ins: printable Latin-1 stands for itself, the other bytes for U+0100 and on, in order.
fn byte_level_alphabet() -> AHashMap<char, u8> {
    let mut alphabet = AHashMap::with_capacity(256);
    let mut next = 0x100;
    for byte in 0..=255u8 {
        let letter = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                next += 1;
                char::from_u32(next - 1).unwrap_or('\u{FFFD}')
            }
        };
        alphabet.insert(letter, byte);
    }
    alphabet
}
