//! A template's source before it is compiled: parts in order (text, strings in code, other code, comments), and what
//! is changed in it.
//!
//! - `{% generation %}` of transformers marks what a model learns from; to render it is a plain block: `{% if true
//!   %}`, with the white space marks it has.
//! - `"..." % x`, Python's formatting, which the template language lacks, becomes `"..." | format(x)`.
//! - marking: each control token that the source itself spells gets a private character on either side (see
//!   chat_template.rs).

use crate::added_tokens::AddedTokens;

/// What a part of the source is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Text, // outside of tags: comes out as it is
    Comment,
    Code,    // inside of {{ }} or {% %}, delimiters included, but not its strings
    Literal, // a string in code, quotes included
}

pub struct Part<'a> {
    pub kind: Kind,
    pub text: &'a str,
}

/// The parts, which together are the source. An unfinished tag runs to the end: the compiler will complain.
pub fn parts_of(source: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = source;
    while !rest.is_empty() {
        let opens = |pair: &[u8]| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#');
        let text_end = rest.as_bytes().windows(2).position(opens).unwrap_or(rest.len());
        push(&mut parts, Kind::Text, &rest[..text_end]);
        rest = &rest[text_end..];
        if rest.starts_with("{#") {
            let end = rest[2..].find("#}").map_or(rest.len(), |at| at + 4);
            push(&mut parts, Kind::Comment, &rest[..end]);
            rest = &rest[end..];
        } else if !rest.is_empty() {
            let first = parts.len();
            let tag_end = tag(rest, &mut parts);
            rest = &rest[tag_end..];
            if is_block(&parts[first..], "raw") {
                let end = raw_end(rest);
                push(&mut parts, Kind::Text, &rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    parts
}

fn push<'a>(parts: &mut Vec<Part<'a>>, kind: Kind, text: &'a str) {
    if !text.is_empty() {
        parts.push(Part { kind, text });
    }
}

/// One {{ }} or {% %} at the beginning of `rest`: its code and strings. Returns where it ends.
fn tag<'a>(rest: &'a str, parts: &mut Vec<Part<'a>>) -> usize {
    let close = if rest.starts_with("{{") { "}}" } else { "%}" };
    let mut code_begin = 0;
    let mut braces = 0usize; // "}}" also ends two dicts
    let mut at = 2;
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            _ if braces == 0 && bytes[at..].starts_with(close.as_bytes()) => {
                push(parts, Kind::Code, &rest[code_begin..at + 2]);
                return at + 2;
            }
            quote @ (b'"' | b'\'') => {
                push(parts, Kind::Code, &rest[code_begin..at]);
                let end = at + literal_end(&rest[at..], quote);
                push(parts, Kind::Literal, &rest[at..end]);
                code_begin = end;
                at = end;
            }
            b'{' => {
                braces += 1;
                at += 1;
            }
            b'}' => {
                braces = braces.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
    }
    push(parts, Kind::Code, &rest[code_begin..]);
    rest.len()
}

/// The end of the string that begins `here`.
fn literal_end(here: &str, quote: u8) -> usize {
    let bytes = here.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    // A backslash may stand before a longer character: the end of the text is a border in any case.
    here.len()
}

/// Is the tag `{% name %}`, with any white space marks?
fn is_block(tag: &[Part], name: &str) -> bool {
    matches!(tag, [only] if block_name(only.text) == Some(name))
}

/// "raw" of "{%- raw -%}".
fn block_name(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner).trim())
}

/// Where `{% endraw %}` begins.
fn raw_end(rest: &str) -> usize {
    let mut from = 0;
    while let Some(found) = rest[from..].find("{%") {
        let begin = from + found;
        let end = rest[begin..].find("%}").map_or(rest.len(), |at| begin + at + 2);
        if block_name(&rest[begin..end]) == Some("endraw") {
            return begin;
        }
        from = begin + 2;
    }
    rest.len()
}

/// The source as minijinja can take it.
pub fn prepare(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let parts = parts_of(source);
    let mut index = 0;
    while index < parts.len() {
        let part = &parts[index];
        index += 1;
        if part.kind != Kind::Code {
            out.push_str(part.text);
            continue;
        }
        match block_name(part.text) {
            Some("generation") => out.push_str(&part.text.replacen("generation", "if true", 1)),
            Some("endgeneration") => out.push_str(&part.text.replacen("endgeneration", "endif", 1)),
            _ => {
                let after_literal = index >= 2 && parts[index - 2].kind == Kind::Literal;
                match python_format(part.text, after_literal) {
                    Formatting::Open { operand } => {
                        // `% (a, b)`: the tuple's parentheses become the call's.
                        out.push_str("|format(");
                        out.push_str(operand);
                    }
                    Formatting::Single { operand, rest } => {
                        out.push_str("|format(");
                        out.push_str(operand);
                        out.push(')');
                        out.push_str(rest);
                    }
                    Formatting::None => out.push_str(part.text),
                }
            }
        }
    }
    out
}

enum Formatting<'a> {
    None,
    Open { operand: &'a str },
    Single { operand: &'a str, rest: &'a str },
}

/// Does the code go on with `% operand`, as Python's formatting of the string before it? The operand is a tuple or a
/// name with what follows it, as far as no string stands in it; other forms stay as they are, and fail in words.
fn python_format(code: &str, after_literal: bool) -> Formatting<'_> {
    let Some(operand) = code.trim_start().strip_prefix('%').filter(|_| after_literal) else { return Formatting::None };
    let operand = operand.trim_start();
    if operand.starts_with('}') {
        return Formatting::None; // the tag ends here
    }
    if let Some(inside) = operand.strip_prefix('(') {
        return Formatting::Open { operand: inside };
    }
    let mut depth = 0usize;
    let end = operand.find(|letter: char| match letter {
        '[' | '(' => {
            depth += 1;
            false
        }
        ']' | ')' if depth > 0 => {
            depth -= 1;
            false
        }
        _ => depth == 0 && !(letter.is_alphanumeric() || letter == '_' || letter == '.'),
    });
    match end {
        Some(end) if end > 0 => Formatting::Single { operand: &operand[..end], rest: &operand[end..] },
        _ => Formatting::None,
    }
}

/// The source with each of `tokens` in text and strings between `marks`.
pub fn mark(source: &str, tokens: &AddedTokens, marks: [char; 2]) -> String {
    let mut out = String::with_capacity(source.len() + source.len() / 8);
    for part in parts_of(source) {
        match part.kind {
            Kind::Text | Kind::Literal => mark_text(part.text, tokens, marks, &mut out),
            Kind::Code | Kind::Comment => out.push_str(part.text),
        }
    }
    out
}

pub fn mark_text(text: &str, tokens: &AddedTokens, marks: [char; 2], out: &mut String) {
    let mut done = 0;
    for token in tokens.find(text, |_, _| true) {
        out.push_str(&text[done..token.begin]);
        out.push(marks[0]);
        out.push_str(&text[token.begin..token.end]);
        out.push(marks[1]);
        done = token.end;
    }
    out.push_str(&text[done..]);
}
