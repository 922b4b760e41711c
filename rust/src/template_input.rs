//! What a request gives a template: messages, tools and further variables as JSON, brought into the form templates
//! expect.
//!
//! As apply_chat_template does (transformers 5.24): a message's fields that are null are dropped, and what a model
//! thought goes under each of the names it has. Two changes of ours: text parts become one string where the template
//! knows only strings, and a tool call's `arguments`, which the API sends as JSON in a string, become the object they
//! spell, as these templates want it.

use crate::limits::MAX_TEMPLATE_INPUT_BYTES;
use crate::{final_message, Outcome};
use serde_json::Value;

/// Which roles' messages may carry a list of parts.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct PartsSupport {
    pub system: bool,
    pub user: bool,
    pub assistant: bool,
    pub tool: bool,
}

impl PartsSupport {
    fn of(self, role: &str) -> bool {
        match role {
            "user" => self.user,
            "assistant" => self.assistant,
            "tool" => self.tool,
            _ => self.system,
        }
    }
}

pub struct TemplateInput {
    pub messages: Value,
    pub tools: Value, // null: none
    pub kwargs: serde_json::Map<String, Value>,
    /// The prompt ends inside the last message, whose text this is (final_message.rs).
    pub final_message: Option<String>,
}

impl TemplateInput {
    /// Empty `tools` and `kwargs` are none.
    pub fn read(messages: &str, tools: &str, kwargs: &str) -> Outcome<TemplateInput> {
        let bytes = messages.len() + tools.len() + kwargs.len();
        if bytes > MAX_TEMPLATE_INPUT_BYTES {
            return Err(format!(
                "messages and tools have {bytes} bytes, at most {MAX_TEMPLATE_INPUT_BYTES} are rendered"
            ));
        }
        let messages = parse("messages", messages)?;
        if !messages.as_array().is_some_and(|list| list.iter().all(Value::is_object)) {
            return Err("messages: expected an array of objects".to_string());
        }
        let tools = if tools.is_empty() { Value::Null } else { parse("tools", tools)? };
        if !tools.is_array() && !tools.is_null() {
            return Err("tools: expected an array".to_string());
        }
        let kwargs = match if kwargs.is_empty() {
            Value::Object(Default::default())
        } else {
            parse("chat_template_kwargs", kwargs)?
        } {
            Value::Object(kwargs) => kwargs,
            _ => return Err("chat_template_kwargs: expected an object".to_string()),
        };
        Ok(TemplateInput { messages, tools, kwargs, final_message: None })
    }

    pub fn adapt(&mut self, parts: PartsSupport) -> Outcome<()> {
        for message in self.messages.as_array_mut().into_iter().flatten() {
            drop_nulls_and_alias(message);
            let supported = parts.of(message.get("role").and_then(Value::as_str).unwrap_or(""));
            if let Some(content) = message.get_mut("content") {
                flatten(content, supported)?;
            }
            for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
                let arguments = match call.get_mut("function") {
                    Some(function) => function.get_mut("arguments"),
                    None => call.get_mut("arguments"),
                };
                if let Some(arguments) = arguments {
                    spell_out(arguments);
                }
            }
        }
        Ok(())
    }

    /// After adapt().
    pub fn continue_final_message(&mut self) -> Outcome<()> {
        self.final_message = Some(final_message::write_tag(&mut self.messages)?);
        Ok(())
    }

    /// Messages without content get "" : the second try, for templates that cannot look into nothing.
    pub fn fill_empty_contents(&mut self) -> bool {
        let mut any = false;
        for message in self.messages.as_array_mut().into_iter().flatten() {
            if let Some(fields) = message.as_object_mut() {
                if !fields.contains_key("content") {
                    fields.insert("content".to_string(), Value::String(String::new()));
                    any = true;
                }
            }
        }
        any
    }

    /// Calls `visit` with every text and every name.
    pub fn visit_texts(&self, visit: &mut impl FnMut(&str)) {
        visit_texts(&self.messages, visit);
        visit_texts(&self.tools, visit);
        for (name, value) in &self.kwargs {
            visit(name);
            visit_texts(value, visit);
        }
    }
}

/// The names under which a message's reasoning is passed; templates read the first, some the second.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

fn drop_nulls_and_alias(message: &mut Value) {
    let Some(fields) = message.as_object_mut() else { return };
    fields.retain(|_, value| !value.is_null());
    let Some(reasoning) = REASONING.iter().find_map(|name| fields.get(*name)).cloned() else { return };
    if !fields.contains_key("thinking") {
        fields.shift_insert(0, "thinking".to_string(), reasoning.clone());
    }
    fields.insert("reasoning_content".to_string(), reasoning);
}

fn parse(what: &str, json: &str) -> Outcome<Value> {
    serde_json::from_str(json).map_err(|fault| format!("{what}: {fault}"))
}

fn visit_texts(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| visit_texts(item, visit)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            visit(name);
            visit_texts(field, visit);
        }),
        _ => {}
    }
}

/// Text parts -> one string, nothing between them, as templates that know parts print them. Other parts than text are
/// refused.
fn flatten(content: &mut Value, supported: bool) -> Outcome<()> {
    let Value::Array(parts) = content else { return Ok(()) };
    let mut whole = String::new();
    for part in parts.iter() {
        match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (Some("text"), Some(text)) => whole.push_str(text),
            (Some("text"), None) => return Err("messages: a content part of type \"text\" has no text".to_string()),
            (Some(other), _) => {
                return Err(format!(
                    "messages: content parts of type {other:?} are not supported by this model, only \"text\""
                ))
            }
            (None, _) => return Err("messages: a content part has no type".to_string()),
        }
    }
    if !supported {
        *content = Value::String(whole);
    }
    Ok(())
}

fn spell_out(arguments: &mut Value) {
    let Some(text) = arguments.as_str() else { return };
    if let Ok(object @ Value::Object(_)) = serde_json::from_str(text) {
        *arguments = object;
    }
}
