//! The C functions, and nothing else. Each catches panics; text and ids travel in Buffers that this crate allocates
//! and frees. The contract is src/text/text_abi.h.

use crate::budget;
use crate::chat_template::{ChatTemplate, PromptEnd};
use crate::limits::FILE_BUDGET;
use crate::panics::caught;
use crate::strftime::Moment;
use crate::tokenizer::Tokenizer;
use crate::{gguf_vocabulary, tokenizer_config, tokenizer_file, Outcome};

/// Bytes owned by this crate; given back with slipstream_text_free_buffer.
#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size: usize,
    capacity: usize,
}

/// Bytes owned by the caller, alive during the call. `data` may be null when `size` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct View {
    data: *const u8,
    size: usize,
}

impl Buffer {
    fn from_vec(mut bytes: Vec<u8>) -> Buffer {
        let buffer = Buffer { data: bytes.as_mut_ptr(), size: bytes.len(), capacity: bytes.capacity() };
        std::mem::forget(bytes);
        buffer
    }
}

/// Numbers travel as the bytes of little-endian uint32.
pub fn u32_bytes(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Strings, each with its length (uint32) in front.
fn list_bytes(list: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in list {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

impl View {
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.data, self.size)
    }

    unsafe fn text<'a>(self, what: &str) -> Outcome<&'a str> {
        std::str::from_utf8(self.bytes())
            .map_err(|fault| format!("{what} is not UTF-8 at byte {}", fault.valid_up_to()))
    }
}

unsafe fn slice<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    std::slice::from_raw_parts(data, count)
}

/// Runs `work`; a fault or a panic becomes text in `fault` and status 1.
fn guarded(fault: *mut Buffer, work: impl FnOnce() -> Outcome<()>) -> i32 {
    match caught(work) {
        Ok(()) => 0,
        Err(text) => {
            // SAFETY: the caller gives a writable Buffer that holds nothing.
            unsafe { *fault = Buffer::from_vec(text.into_bytes()) };
            1
        }
    }
}

/// # Safety
/// `buffer` came from this crate and is given back once.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_free_buffer(buffer: Buffer) {
    if !buffer.data.is_null() && buffer.capacity > 0 {
        drop(Vec::from_raw_parts(buffer.data, buffer.size, buffer.capacity));
    }
}

/// # Safety
/// Pointers as in text_abi.h.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_tokenizer_from_json(
    json: View,
    tokenizer: *mut *mut Tokenizer,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let json = json.bytes().to_vec(); // what is bounded may outlive the call
        *tokenizer = Box::into_raw(Box::new(budget::bounded(FILE_BUDGET, move || tokenizer_file::read(&json))?));
        Ok(())
    })
}

/// A list of strings: string i is bytes[begins[i], begins[i + 1]).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Strings {
    bytes: *const u8,
    begins: *const usize,
    count: usize,
}

impl Strings {
    unsafe fn texts<'a>(self, what: &str) -> Outcome<Vec<&'a str>> {
        let begins = slice(self.begins, self.count + 1);
        let bytes = slice(self.bytes, begins[self.count]);
        let text = |index: usize| {
            std::str::from_utf8(&bytes[begins[index]..begins[index + 1]])
                .map_err(|_| format!("{what} {index} is not UTF-8"))
        };
        (0..self.count).map(text).collect()
    }
}

/// # Safety
/// Pointers as in text_abi.h.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_tokenizer_from_gguf(
    pre: View,
    tokens: Strings,
    types: *const i64,
    num_types: usize,
    merges: Strings,
    bos: *const u32,
    tokenizer: *mut *mut Tokenizer,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let vocabulary = gguf_vocabulary::GgufVocabulary {
            pre: pre.text("tokenizer.ggml.pre")?,
            tokens: tokens.texts("the token")?,
            types: slice(types, num_types),
            merges: merges.texts("the merge")?,
            bos: bos.as_ref().copied(),
        };
        *tokenizer = Box::into_raw(Box::new(gguf_vocabulary::read(&vocabulary)?));
        Ok(())
    })
}

/// # Safety
/// As above; freed once, and not during another call.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_free_tokenizer(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// # Safety
/// As above. `trusted` has `num_trusted` pairs of byte offsets [begin, end).
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_encode(
    tokenizer: *const Tokenizer,
    text: View,
    trusted: *const [usize; 2],
    num_trusted: usize,
    add_special: bool,
    ids: *mut Buffer,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let encoded = (*tokenizer).encode(text.text("the text")?, slice(trusted, num_trusted), add_special)?;
        *ids = Buffer::from_vec(u32_bytes(encoded));
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_decode(
    tokenizer: *const Tokenizer,
    ids: *const u32,
    num_ids: usize,
    skip_special: bool,
    text: *mut Buffer,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        *text = Buffer::from_vec((*tokenizer).decode(slice(ids, num_ids), skip_special)?.into_bytes());
        Ok(())
    })
}

/// The four parts of a TokenTable.
#[repr(C)]
pub struct Table {
    bytes: Buffer,
    begins: Buffer,
    flags: Buffer,
    strip_at_start: u32,
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_token_table(
    tokenizer: *const Tokenizer,
    table: *mut Table,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let made = (*tokenizer).token_bytes()?;
        *table = Table {
            bytes: Buffer::from_vec(made.bytes),
            begins: Buffer::from_vec(u32_bytes(made.begins)),
            flags: Buffer::from_vec(made.flags),
            strip_at_start: made.strip_at_start,
        };
        Ok(())
    })
}

/// # Safety
/// As above. `spellings`: the control tokens' texts, each with its length (uint32) in front.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_control_tokens(
    tokenizer: *const Tokenizer,
    spellings: *mut Buffer,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        *spellings = Buffer::from_vec(list_bytes((*tokenizer).control_tokens()));
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_template_make(
    source: View,
    bos_token: View,
    eos_token: View,
    control_tokens: Strings,
    template: *mut *mut ChatTemplate,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let tokens = control_tokens.texts("the control token")?.into_iter().map(str::to_string).collect();
        let made = ChatTemplate::new(
            source.text("the chat template")?,
            bos_token.text("bos_token")?,
            eos_token.text("eos_token")?,
            tokens,
        )?;
        *template = Box::into_raw(Box::new(made));
        Ok(())
    })
}

/// # Safety
/// As above; freed once, and not during another call.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_free_template(template: *mut ChatTemplate) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

/// What a render is given; all JSON, empty where there is none.
#[repr(C)]
pub struct RenderInput {
    messages: View,
    tools: View,
    kwargs: View,
    now: Moment,
    add_generation_prompt: bool,
    continue_final_message: bool,
}

/// # Safety
/// As above. `trusted`: pairs of uint32 [begin, end).
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_template_render(
    template: *const ChatTemplate,
    input: *const RenderInput,
    text: *mut Buffer,
    trusted: *mut Buffer,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let input = &*input;
        let rendered = (*template).render(
            input.messages.text("messages")?,
            input.tools.text("tools")?,
            input.kwargs.text("chat_template_kwargs")?,
            PromptEnd {
                add_generation_prompt: input.add_generation_prompt,
                continue_final_message: input.continue_final_message,
            },
            input.now,
        )?;
        *trusted = Buffer::from_vec(u32_bytes(rendered.trusted.into_iter().flatten()));
        *text = Buffer::from_vec(rendered.text.into_bytes());
        Ok(())
    })
}

/// # Safety
/// As above. `texts`: chat_template, bos_token, eos_token, each with its length (uint32) in front.
#[no_mangle]
pub unsafe extern "C" fn slipstream_text_tokenizer_config(
    json: View,
    texts: *mut Buffer,
    add_bos_token: *mut bool,
    fault: *mut Buffer,
) -> i32 {
    guarded(fault, || {
        let json = json.bytes().to_vec();
        let config = budget::bounded(FILE_BUDGET, move || tokenizer_config::read(&json))?;
        *add_bos_token = config.add_bos_token;
        *texts = Buffer::from_vec(list_bytes(&[config.chat_template, config.bos_token, config.eos_token]));
        Ok(())
    })
}
