//! A panic of a library is a fault in words, not noise on standard error and not the end of the process.

use crate::Outcome;
use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}
static QUIET: Once = Once::new();

pub fn caught<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    QUIET.call_once(|| std::panic::set_hook(Box::new(remember)));
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(format!("the text library failed: {}", LAST_PANIC.with(|last| last.take()))))
}

fn remember(info: &std::panic::PanicHookInfo) {
    let place = info.location().map_or(String::new(), |place| {
        let file = place.file().rsplit('/').next().unwrap_or("");
        format!(" ({file}:{})", place.line())
    });
    let text = match (info.payload().downcast_ref::<&str>(), info.payload().downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_string(),
        (_, Some(text)) => text.clone(),
        _ => "unknown".to_string(),
    };
    LAST_PANIC.with(|last| *last.borrow_mut() = format!("{text}{place}"));
}
