//! tokenizer_config.json: what it says of chat templates and special tokens. Hostile.

use crate::limits::MAX_TOKENIZER_CONFIG_BYTES;
use crate::Outcome;
use serde_json::Value;

#[derive(Default, Debug)]
pub struct TokenizerConfig {
    pub chat_template: String,
    pub bos_token: String,
    pub eos_token: String,
    pub add_bos_token: bool,
}

pub fn read(json: &[u8]) -> Outcome<TokenizerConfig> {
    if json.len() > MAX_TOKENIZER_CONFIG_BYTES {
        return Err(format!("{} bytes, at most {MAX_TOKENIZER_CONFIG_BYTES} are allowed", json.len()));
    }
    let config: Value = serde_json::from_slice(json).map_err(|fault| format!("not JSON: {fault}"))?;
    if !config.is_object() {
        return Err("expected an object".to_string());
    }
    Ok(TokenizerConfig {
        chat_template: chat_template(&config["chat_template"])?,
        bos_token: token("bos_token", &config["bos_token"])?,
        eos_token: token("eos_token", &config["eos_token"])?,
        add_bos_token: match &config["add_bos_token"] {
            Value::Null => false,
            Value::Bool(value) => *value,
            other => return Err(format!("add_bos_token: expected true or false, found {}", kind(other))),
        },
    })
}

/// A string, or a list of {"name", "template"}: then the one called "default", else the only one.
fn chat_template(value: &Value) -> Outcome<String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(named) => {
            let mut templates = Vec::new();
            for entry in named {
                match (entry["name"].as_str(), entry["template"].as_str()) {
                    (Some(name), Some(template)) => templates.push((name, template)),
                    _ => return Err("chat_template: an entry of the list has no name or no template".to_string()),
                }
            }
            let chosen = templates.iter().find(|(name, _)| *name == "default").or(match templates.as_slice() {
                [only] => Some(only),
                _ => None,
            });
            match chosen {
                Some((_, template)) => Ok(template.to_string()),
                None if templates.is_empty() => Ok(String::new()),
                None => {
                    let names: Vec<&str> = templates.iter().map(|(name, _)| *name).collect();
                    Err(format!("chat_template: none of {} is called \"default\"", names.join(", ")))
                }
            }
        }
        other => Err(format!("chat_template: expected a string or a list, found {}", kind(other))),
    }
}

/// A string, or an added token's object with its content.
fn token(name: &str, value: &Value) -> Outcome<String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Object(fields) => match fields.get("content") {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(format!("{name}: an object without a content")),
        },
        other => Err(format!("{name}: expected a string, found {}", kind(other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
