//! A chat template: compiled once, rendered as transformers' apply_chat_template does, with the places of its own
//! control tokens.
//!
//! Where do control tokens come from? A template's output mixes its own text with the request's, through filters,
//! slices and joins, so a mark on what came from the request would have to survive all of them, and would change what
//! the template sees. Therefore the template's own control tokens are marked, and nothing else is: in a second copy
//! of the source each control token that is spelled there (in text or in a string; also bos_token and eos_token)
//! stands between two private characters that the request does not contain. Both copies are rendered. If the second
//! output without the private characters is the first one, to the byte, its marked control tokens are the template's;
//! everything else is text, whatever it spells and however it was put together. If not (a template that looks for its
//! control tokens inside a message, and found one), the request is refused. So the text is always Hugging Face's, and
//! a control token is always the template's: a template that puts one together from pieces gets plain text.

use crate::added_tokens::AddedTokens;
use crate::budget::{self, Budget, Spent};
use crate::limits::*;
use crate::strftime::{strftime, Moment};
use crate::template_input::{PartsSupport, TemplateInput};
use crate::{final_message, python_methods, template_source, Fault, Outcome};
use ahash::AHashSet;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};
use serde_json::json;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

const NAME: &str = "chat_template";

/// Which of the private characters of plane 15 occur in some texts: two that do not are the marks.
struct PrivateCharacters(Vec<bool>);

impl PrivateCharacters {
    const FIRST: u32 = 0xF0000;
    const COUNT: u32 = 0xFFFE;

    fn new() -> PrivateCharacters {
        PrivateCharacters(vec![false; Self::COUNT as usize])
    }

    fn add(&mut self, text: &str) {
        if !text.as_bytes().contains(&0xF3) {
            return; // the first byte of each of them in UTF-8
        }
        for character in text.chars() {
            if let Some(seen) =
                (character as u32).checked_sub(Self::FIRST).and_then(|index| self.0.get_mut(index as usize))
            {
                *seen = true;
            }
        }
    }

    fn contains(&self, character: char) -> bool {
        (character as u32)
            .checked_sub(Self::FIRST)
            .and_then(|index| self.0.get(index as usize))
            .is_some_and(|seen| *seen)
    }

    fn two_others(&self) -> Outcome<[char; 2]> {
        let mut free = (0..Self::COUNT)
            .filter(|&index| !self.0[index as usize])
            .filter_map(|index| char::from_u32(Self::FIRST + index));
        match (free.next(), free.next()) {
            (Some(open), Some(close)) => Ok([open, close]),
            _ => Err("too many private characters (U+F0000 and on) in the text".to_string()),
        }
    }
}

pub struct ChatTemplate {
    compiled: Arc<Compiled>,
    num_lost: AtomicUsize,
}

struct Compiled {
    source: String, // prepared
    tokens: AHashSet<String>,
    spellings: AddedTokens, // of them
    bos_token: String,
    eos_token: String,
    marks: [char; 2],
    plain: Environment<'static>,
    marked: Environment<'static>,
    parts: PartsSupport,
}

#[derive(Debug)]
pub struct Rendered {
    pub text: String,
    /// Where the template's own control tokens stand, [begin, end).
    pub trusted: Vec<[u32; 2]>,
}

/// Where the prompt ends: with the words that begin an answer, or inside the last message, or (neither) behind it.
pub struct PromptEnd {
    pub add_generation_prompt: bool,
    pub continue_final_message: bool,
}

/// Why a render failed: the template said so (raise_exception), or it could not.
enum Stop {
    Raised(Fault),
    Failed(Fault),
}

impl Stop {
    fn text(self) -> Fault {
        match self {
            Stop::Raised(text) | Stop::Failed(text) => text,
        }
    }
}

impl ChatTemplate {
    pub fn new(source: &str, bos_token: &str, eos_token: &str, mut tokens: Vec<String>) -> Outcome<ChatTemplate> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(format!("{} bytes, at most {MAX_TEMPLATE_BYTES} are allowed", source.len()));
        }
        tokens.retain(|token| !token.is_empty());
        let compile = {
            let (source, bos, eos) = (template_source::prepare(source), bos_token.to_string(), eos_token.to_string());
            move || {
                let spellings = AddedTokens::of_spellings(&tokens);
                let mut taken = PrivateCharacters::new();
                taken.add(&source);
                tokens.iter().for_each(|token| taken.add(token));
                let marks = taken.two_others()?;
                let mut compiled = Compiled {
                    plain: environment_of(source.clone())?,
                    marked: environment_of(template_source::mark(&source, &spellings, marks))?,
                    source,
                    tokens: tokens.into_iter().collect(),
                    spellings,
                    bos_token: bos,
                    eos_token: eos,
                    marks,
                    parts: PartsSupport::default(),
                };
                compiled.parts = compiled.probe_parts();
                Ok(compiled)
            }
        };
        let compiled = budget::bounded(TEMPLATE_BUDGET, compile)?;
        Ok(ChatTemplate { compiled: Arc::new(compiled), num_lost: AtomicUsize::new(0) })
    }

    pub fn render(
        &self,
        messages: &str,
        tools: &str,
        kwargs: &str,
        end: PromptEnd,
        now: Moment,
    ) -> Outcome<Rendered> {
        if self.num_lost.load(Ordering::Relaxed) >= MAX_LOST_RENDERS {
            return Err("the chat template took too much memory or time before, it is used no more".to_string());
        }
        let mut input = TemplateInput::read(messages, tools, kwargs)?;
        input.adapt(self.compiled.parts)?;
        if end.continue_final_message {
            input.continue_final_message()?;
        }
        let input_bytes = messages.len() + tools.len() + kwargs.len();
        let allowed = Budget { memory_bytes: TEMPLATE_BUDGET.memory_bytes + 64 * input_bytes, ..TEMPLATE_BUDGET };
        let compiled = Arc::clone(&self.compiled);
        match budget::run(allowed, move || compiled.render(input, end.add_generation_prompt, now)) {
            Spent::Done(outcome) => outcome,
            Spent::Over(what) => {
                self.num_lost.fetch_add(1, Ordering::Relaxed);
                Err(format!("the chat template takes too much {what} for these messages"))
            }
        }
    }
}

fn environment_of(source: String) -> Outcome<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_recursion_limit(MAX_TEMPLATE_RECURSION);
    python_methods::install(&mut environment);
    environment.add_function("raise_exception", |text: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text).with_source(RaisedByTemplate))
    });
    environment.add_template_owned(NAME, source).map_err(|fault| describe(&fault))?;
    Ok(environment)
}

/// Tells raise_exception's errors from others.
#[derive(Debug)]
struct RaisedByTemplate;
impl std::fmt::Display for RaisedByTemplate {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        out.write_str("raised by the chat template")
    }
}
impl std::error::Error for RaisedByTemplate {}

fn was_raised(fault: &Error) -> bool {
    let mut source = std::error::Error::source(fault);
    while let Some(inner) = source {
        if inner.is::<RaisedByTemplate>() {
            return true;
        }
        source = inner.source();
    }
    false
}

fn describe(fault: &Error) -> Fault {
    // An error inside a macro or a filter is wrapped in another one: the innermost says what happened.
    let mut innermost = fault;
    while let Some(inner) = std::error::Error::source(innermost).and_then(|source| source.downcast_ref::<Error>()) {
        innermost = inner;
    }
    let what = match innermost.detail() {
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    match innermost.line().or(fault.line()) {
        Some(line) => format!("{what} (line {line} of the chat template)"),
        None => what,
    }
}

impl Compiled {
    fn render(&self, mut input: TemplateInput, add_generation_prompt: bool, now: Moment) -> Outcome<Rendered> {
        let first = self.run_plain(&input, add_generation_prompt, now);
        let text = match first {
            Ok(text) => text,
            Err(Stop::Failed(fault)) => {
                if !input.fill_empty_contents() {
                    return Err(fault);
                }
                self.run_plain(&input, add_generation_prompt, now).map_err(Stop::text)?
            }
            Err(Stop::Raised(fault)) => return Err(fault),
        };
        let marked = self.run_marked(&input, add_generation_prompt, now)?;
        let mut rendered = self.unmark(&marked.0, marked.1);
        if rendered.text != text {
            return Err(
                "the messages contain control tokens of this model in a place where its chat template looks for them"
                    .to_string(),
            );
        }
        if let Some(message) = &input.final_message {
            final_message::cut_at_tag(&mut rendered, message)?;
        }
        Ok(rendered)
    }

    fn run_plain(&self, input: &TemplateInput, add_generation_prompt: bool, now: Moment) -> Result<String, Stop> {
        self.run(&self.plain, input, add_generation_prompt, now, [&self.bos_token, &self.eos_token])
    }

    fn run_marked(
        &self,
        input: &TemplateInput,
        add_generation_prompt: bool,
        now: Moment,
    ) -> Outcome<(String, [char; 2])> {
        let run = |environment: &Environment, marks: [char; 2]| {
            let [bos, eos] = [&self.bos_token, &self.eos_token].map(|token| {
                let mut text = String::new();
                template_source::mark_text(token, &self.spellings, marks, &mut text);
                text
            });
            self.run(environment, input, add_generation_prompt, now, [&bos, &eos])
                .map(|text| (text, marks))
                .map_err(Stop::text)
        };
        let mut taken = PrivateCharacters::new();
        input.visit_texts(&mut |text| taken.add(text));
        if !self.marks.iter().any(|&mark| taken.contains(mark)) {
            return run(&self.marked, self.marks);
        }
        taken.add(&self.source);
        self.tokens.iter().for_each(|token| taken.add(token));
        let marks = taken.two_others()?;
        run(&environment_of(template_source::mark(&self.source, &self.spellings, marks))?, marks)
    }

    fn run(
        &self,
        environment: &Environment,
        input: &TemplateInput,
        add_generation_prompt: bool,
        now: Moment,
        [bos_token, eos_token]: [&String; 2],
    ) -> Result<String, Stop> {
        let mut variables: Vec<(String, Value)> = Vec::new();
        for (token_name, token) in [("bos_token", bos_token), ("eos_token", eos_token)] {
            if !token.is_empty() {
                variables.push((token_name.to_string(), Value::from(token.as_str())));
            }
        }
        variables.push(("messages".to_string(), Value::from_serialize(&input.messages)));
        variables.push(("tools".to_string(), Value::from_serialize(&input.tools)));
        variables.push(("documents".to_string(), Value::from(())));
        variables.push(("add_generation_prompt".to_string(), Value::from(add_generation_prompt)));
        variables.push(("strftime_now".to_string(), Value::from_function(move |format: &str| strftime(&now, format))));
        // What the request names goes over what is there, as with apply_chat_template.
        variables.extend(input.kwargs.iter().map(|(name, value)| (name.clone(), Value::from_serialize(value))));

        let failed = |fault: Error| {
            if was_raised(&fault) {
                let mut text = &fault;
                while let Some(inner) =
                    std::error::Error::source(text).and_then(|source| source.downcast_ref::<Error>())
                {
                    text = inner;
                }
                return Stop::Raised(text.detail().unwrap_or("").to_string());
            }
            Stop::Failed(describe(&fault))
        };
        let mut out = LimitedOutput(Vec::new());
        let context: Value = variables.into_iter().collect();
        let template = environment.get_template(NAME).map_err(failed)?;
        template.render_captured_to(context, &mut out).map_err(failed)?;
        String::from_utf8(out.0).map_err(|_| Stop::Failed("the chat template wrote broken UTF-8".to_string()))
    }

    fn unmark(&self, marked: &str, [open, close]: [char; 2]) -> Rendered {
        let mut rendered = Rendered { text: String::with_capacity(marked.len()), trusted: Vec::new() };
        let mut rest = marked;
        while let Some(at) = rest.find([open, close]) {
            rendered.text.push_str(&rest[..at]);
            let is_open = rest[at..].starts_with(open);
            rest = &rest[at + open.len_utf8()..];
            if !is_open {
                continue;
            }
            // A whole token between its marks, and nothing less.
            let inside = rest.find([open, close]).filter(|&end| rest[end..].starts_with(close)).map(|end| &rest[..end]);
            if let Some(token) = inside.filter(|inside| self.tokens.contains(*inside)) {
                let begin = rendered.text.len() as u32;
                rendered.trusted.push([begin, begin + token.len() as u32]);
            }
        }
        rendered.text.push_str(rest);
        rendered
    }

    /// Which roles' contents may be lists of parts: those whose text comes out, twice, and not as a list's repr.
    fn probe_parts(&self) -> PartsSupport {
        let parts = json!([{"type": "text", "text": "firstprobe"}, {"type": "text", "text": "secondprobe"}]);
        let hello = json!({"role": "user", "content": "hello"});
        let call = json!({"role": "assistant", "content": "", "tool_calls":
            [{"id": "call00000", "type": "function", "function": {"name": "f", "arguments": {}}}]});
        let works = |messages: serde_json::Value| {
            let tools = serde_json::Value::Null;
            let input = TemplateInput { messages, tools, kwargs: Default::default(), final_message: None };
            let text = self.run_plain(&input, false, Moment { unix_time_s: 0, utc_offset_s: 0 }).unwrap_or_default();
            text.contains("firstprobe")
                && text.contains("secondprobe")
                && !text.contains("'type'")
                && !text.contains("\"type\"")
        };
        PartsSupport {
            system: works(json!([{"role": "system", "content": parts}, hello])),
            user: works(json!([{"role": "user", "content": parts}])),
            assistant: works(json!([hello, {"role": "assistant", "content": parts}])),
            tool: works(
                json!([hello, call, {"role": "tool", "tool_call_id": "call00000", "name": "f", "content": parts}]),
            ),
        }
    }
}

/// Refuses to grow without end.
struct LimitedOutput(Vec<u8>);

impl Write for LimitedOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED_BYTES {
            return Err(std::io::Error::other(format!("the rendered prompt has more than {MAX_RENDERED_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
