//! Finds added tokens in a text as Hugging Face's tokenizers do (leftmost, then longest), with one more rule: a
//! control token counts only where all of its bytes are trusted. The library's own search knows one switch for the
//! whole text, this one knows places.
//!
//! A spelling that is not trusted hides nothing: the search goes on at the next byte, so text of a request that ends
//! like the beginning of a longer control token cannot swallow the template's own.

use ahash::AHashMap;
use tokenizers::AddedToken;

pub struct Found {
    pub id: u32,
    pub begin: usize,
    pub end: usize,
}

struct Entry {
    id: u32,
    control: bool,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
}

/// A trie over bytes.
#[derive(Default)]
pub struct AddedTokens {
    entries: Vec<Entry>,
    starts: Vec<bool>,                  // [256] is there a token that begins with this byte
    children: AHashMap<(u32, u8), u32>, // (node, byte) -> node; node 0 is the root
    ends: AHashMap<u32, u32>,           // node -> entry
}

impl AddedTokens {
    /// `tokens`: spelling to look for, id, and what is said of it.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, u32, &'a AddedToken)>) -> AddedTokens {
        let mut made = AddedTokens { starts: vec![false; 256], ..AddedTokens::default() };
        let mut num_nodes = 1;
        for (spelling, id, token) in tokens {
            let Some(&first) = spelling.as_bytes().first() else { continue };
            made.starts[first as usize] = true;
            let mut node = 0;
            for &byte in spelling.as_bytes() {
                node = *made.children.entry((node, byte)).or_insert_with(|| {
                    num_nodes += 1;
                    num_nodes - 1
                });
            }
            made.ends.insert(node, made.entries.len() as u32);
            made.entries.push(Entry {
                id,
                control: token.special,
                single_word: token.single_word,
                lstrip: token.lstrip,
                rstrip: token.rstrip,
            });
        }
        made
    }

    /// Plain spellings; their ids are their places in the list.
    pub fn of_spellings(spellings: &[String]) -> AddedTokens {
        let plain = AddedToken::from("", false);
        AddedTokens::new(
            spellings.iter().enumerate().map(|(index, spelling)| (spelling.as_str(), index as u32, &plain)),
        )
    }

    /// In order. `trusted(begin, end)`: may a control token stand there.
    pub fn find(&self, text: &str, trusted: impl Fn(usize, usize) -> bool) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        let mut free_from = 0; // what an earlier token already took, white space included
        let mut at = 0;
        while at < text.len() {
            if !self.starts[text.as_bytes()[at] as usize] {
                at += 1;
                continue;
            }
            let Some((entry, matched_end)) = self.longest_at(text, at, &trusted) else {
                at += 1;
                continue;
            };
            let (mut begin, mut end) = (at, matched_end);
            at = matched_end;
            if entry.single_word && (ends_with_word(&text[..begin]) || starts_with_word(&text[end..])) {
                continue;
            }
            if entry.lstrip {
                begin = text[..begin].trim_end().len().max(free_from);
            }
            if entry.rstrip {
                end += text[end..].len() - text[end..].trim_start().len();
            }
            found.push(Found { id: entry.id, begin, end });
            free_from = end;
        }
        found
    }

    fn longest_at(&self, text: &str, at: usize, trusted: &impl Fn(usize, usize) -> bool) -> Option<(&Entry, usize)> {
        let mut node = 0;
        let mut longest = None;
        for (offset, &byte) in text.as_bytes()[at..].iter().enumerate() {
            let Some(&next) = self.children.get(&(node, byte)) else { break };
            node = next;
            if let Some(&index) = self.ends.get(&node) {
                let entry = &self.entries[index as usize];
                let end = at + offset + 1;
                if !entry.control || trusted(at, end) {
                    longest = Some((entry, end));
                }
            }
        }
        longest
    }
}

/// \w of the library's regular expressions, near enough for the one option that asks: letters, digits, marks,
/// connectors.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn ends_with_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_word)
}

fn starts_with_word(text: &str) -> bool {
    text.chars().next().is_some_and(is_word)
}
