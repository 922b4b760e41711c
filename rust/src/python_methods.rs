//! Methods of str, and filters and tests that see text as Python does. What is not here is minijinja's own or its
//! pycompat's.

use crate::python_text::str_of;
use minijinja::value::{from_args, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

/// str.isspace: Unicode white space, and the separators U+001C to U+001F that only Python counts.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

pub fn strip<'a>(text: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let strips = |character: char| chars.map_or_else(|| is_space(character), |chars| chars.contains(character));
    let text = if left { text.trim_start_matches(strips) } else { text };
    if right {
        text.trim_end_matches(strips)
    } else {
        text
    }
}

/// None where Python says None or nothing was given.
fn optional_text(value: &Option<Value>) -> Result<Option<&str>, Error> {
    match value {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(value) => {
            value.as_str().map(Some).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "expected a text or None"))
        }
    }
}

pub fn method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => match text_method(text, name, args)? {
            Some(result) => Ok(result),
            None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
        },
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

fn text_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let result = match name {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<Value>,) = from_args(args)?;
            Value::from(strip(text, optional_text(&chars)?, name != "rstrip", name != "lstrip"))
        }
        "split" | "rsplit" => {
            let (separator, max): (Option<Value>, Option<i64>) = from_args(args)?;
            let max = max.and_then(|max| usize::try_from(max).ok());
            Value::from(split(text, optional_text(&separator)?, max, name == "rsplit")?)
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let last = name == "rpartition";
            let found = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
            let (before, middle, after) = match (found, last) {
                (Some((before, after)), _) => (before, separator, after),
                (None, false) => (text, "", ""),
                (None, true) => ("", "", text),
            };
            Value::from(vec![Value::from(before), Value::from(middle), Value::from(after)])
        }
        "find" | "rfind" | "index" | "rindex" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if name.starts_with('r') { text.rfind(what) } else { text.find(what) };
            match at {
                Some(at) => Value::from(text[..at].chars().count()),
                None if name.ends_with("find") => Value::from(-1),
                None => return Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
            }
        }
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(args)?;
            Value::from(split_lines(text, keep_ends.unwrap_or(false)))
        }
        "isspace" | "isdigit" | "isnumeric" | "isalnum" | "isalpha" => {
            let () = from_args(args)?;
            let test = match name {
                "isspace" => is_space,
                "isalnum" => char::is_alphanumeric,
                "isalpha" => char::is_alphabetic,
                _ => char::is_numeric,
            };
            Value::from(!text.is_empty() && text.chars().all(test))
        }
        "islower" | "isupper" => {
            let () = from_args(args)?;
            let (wanted, unwanted): (fn(char) -> bool, fn(char) -> bool) = if name == "islower" {
                (char::is_lowercase, char::is_uppercase)
            } else {
                (char::is_uppercase, char::is_lowercase)
            };
            Value::from(text.chars().any(wanted) && !text.chars().any(unwanted))
        }
        "title" => {
            let () = from_args(args)?;
            Value::from(title(text))
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

fn split(text: &str, separator: Option<&str>, max: Option<usize>, from_right: bool) -> Result<Vec<Value>, Error> {
    let max_parts = max.map_or(usize::MAX, |max| max.saturating_add(1));
    let mut parts: Vec<Value> = match (separator, from_right) {
        (Some(""), _) => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        (Some(separator), false) => text.splitn(max_parts, separator).map(Value::from).collect(),
        (Some(separator), true) => text.rsplitn(max_parts, separator).map(Value::from).collect(),
        (None, _) => split_at_spaces(text, max_parts, from_right),
    };
    if from_right {
        parts.reverse();
    }
    Ok(parts)
}

/// Words between runs of white space; the last part keeps its inner white space when the number of parts is used up.
fn split_at_spaces(text: &str, max_parts: usize, from_right: bool) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut rest = strip(text, None, true, true);
    while !rest.is_empty() {
        let border = if from_right {
            rest.char_indices()
                .rev()
                .find(|(_, character)| is_space(*character))
                .map(|(at, character)| at + character.len_utf8())
        } else {
            rest.find(is_space)
        };
        let Some(border) = border.filter(|_| parts.len() + 1 < max_parts) else {
            parts.push(Value::from(rest));
            break;
        };
        if from_right {
            parts.push(Value::from(&rest[border..]));
            rest = strip(&rest[..border], None, false, true);
        } else {
            parts.push(Value::from(&rest[..border]));
            rest = strip(&rest[border..], None, true, false);
        }
    }
    parts
}

fn split_lines(text: &str, keep_ends: bool) -> Vec<Value> {
    let is_end = |character: char| {
        matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(is_end) else {
            lines.push(Value::from(rest));
            break;
        };
        let end_bytes =
            if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        lines.push(Value::from(&rest[..if keep_ends { at + end_bytes } else { at }]));
        rest = &rest[at + end_bytes..];
    }
    lines
}

/// str.title: a letter after anything that is no letter is upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        if inside {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        inside = character.is_alphabetic();
    }
    out
}

fn is_iterable(value: &Value) -> bool {
    value.is_undefined() || value.as_str().is_some() || (!value.is_none() && value.try_iter().is_ok())
}

/// Jinja's tests ask what Python can do with a value: a str has a length and items too.
fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
}

fn is_number(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
}

/// int(value), or the default where Python could not.
fn to_int(value: &Value, default: Option<Value>) -> Value {
    let default = default.unwrap_or(Value::from(0));
    match value.as_str().map(str::trim) {
        Some(text) => match (text.parse::<i128>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) if number.is_finite() => Value::from(number as i128),
            _ => default,
        },
        None if value.kind() == ValueKind::Bool => Value::from(i64::from(value.is_true())),
        None if value.is_integer() => value.clone(),
        None => match f64::try_from(value.clone()) {
            Ok(number) if number.is_finite() => Value::from(number as i128),
            _ => default,
        },
    }
}

fn to_float(value: &Value, default: Option<Value>) -> Value {
    let parsed = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok(),
    };
    parsed.map_or(default.unwrap_or(Value::from(0.0)), Value::from)
}

/// Jinja's indent: every line but the first, empty ones not; line ends become "\n".
fn indent(text: &str, args: Rest<Value>) -> Result<String, Error> {
    let (width, first, blank, kwargs): (Option<Value>, Option<bool>, Option<bool>, Kwargs) = from_args(&args.0)?;
    let width = match width {
        Some(width) => width,
        None => kwargs.get::<Option<Value>>("width")?.unwrap_or(Value::from(4)),
    };
    let first = first.map_or_else(|| kwargs.get::<Option<bool>>("first"), |first| Ok(Some(first)))?.unwrap_or(false);
    let blank = blank.map_or_else(|| kwargs.get::<Option<bool>>("blank"), |blank| Ok(Some(blank)))?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let indention = match width.as_str() {
        Some(text) => text.to_string(),
        None => " ".repeat(width.as_usize().unwrap_or(0).min(1 << 16)),
    };
    let mut out = if first { indention.clone() } else { String::new() };
    for (index, line) in split_lines(&format!("{text}\n"), false).iter().enumerate() {
        let line = line.as_str().unwrap_or("");
        if index > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    Ok(out)
}

pub fn install(environment: &mut Environment) {
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", crate::python_text::tojson);
    environment.add_filter("int", to_int);
    environment.add_filter("float", to_float);
    environment.add_filter("indent", indent);
    environment.add_filter("string", |value: &Value| str_of(value));
    environment.add_filter("trim", |value: &Value, chars: Option<Value>| -> Result<String, Error> {
        Ok(strip(&str_of(value)?, optional_text(&chars)?, true, true).to_string())
    });
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_test("number", is_number);
    environment.set_formatter(|out, _state, value| match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out.write_str(&str_of(value)?).map_err(Error::from),
    });
}
