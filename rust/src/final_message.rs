//! A prompt that ends inside its last message, for the answer to go on with it: what apply_chat_template does with
//! continue_final_message (transformers 5.24), by the same means, so that the prompt is the same to the byte. A tag is
//! written at the end of the message before the template sees it, and the prompt is cut where the tag comes out. The
//! tag ends in a space: if that is gone, the template trims messages, and the space before the tag goes too.

use crate::chat_template::Rendered;
use crate::python_methods::strip;
use crate::Outcome;
use serde_json::Value;

const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// Writes the tag, and returns the text before it.
pub fn write_tag(messages: &mut Value) -> Outcome<String> {
    let content = messages.as_array_mut().and_then(|list| list.last_mut()).and_then(|last| last.get_mut("content"));
    let text = match content {
        Some(Value::Array(parts)) => parts.iter_mut().rev().find_map(|part| part.get_mut("text")),
        other => other,
    };
    let Some(Value::String(text)) = text else {
        return Err("continue_final_message: the last message has no text to go on with".to_string());
    };
    let before = text.clone();
    text.push_str(TAG);
    Ok(before)
}

/// Cuts the prompt at the tag. `message`: what write_tag returned.
pub fn cut_at_tag(rendered: &mut Rendered, message: &str) -> Outcome<()> {
    let found = rendered.text.rfind(TAG.trim_end());
    let Some(place) = found.filter(|_| rendered.text.contains(strip(message, None, true, true))) else {
        return Err("continue_final_message: the chat template does not write the last message as it is".to_string());
    };
    let keeps_space = rendered.text[place..].starts_with(TAG);
    let kept = &rendered.text[..place];
    let end = if keeps_space { place } else { strip(kept, None, false, true).len() };
    rendered.text.truncate(end);
    rendered.trusted.retain(|[_, token_end]| *token_end as usize <= end);
    Ok(())
}
