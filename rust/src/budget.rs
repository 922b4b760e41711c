//! Runs work of a stranger (a chat template, a tokenizer's file) with a budget of memory, stack and time.
//!
//! The template language counts instructions, but one instruction can double a string, and a list nested a hundred
//! thousand deep overflows the stack when it is dropped. So a render runs on a thread of its own with a large stack,
//! and the crate's allocator counts what that thread holds. Over the budget (or at its next allocation when its time
//! is over) the thread stops inside the allocator, for ever: nothing can unwind from there, and ending the process is
//! what must not happen. The caller gets an error at once and is expected to use that template no more; what the
//! stopped thread holds stays lost.

use crate::panics::caught;
use crate::Outcome;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Clone, Copy)]
pub struct Budget {
    pub memory_bytes: usize,
    pub stack_bytes: usize,
    pub cpu_time: Duration, // of the thread: a busy machine makes nobody's template wrong
}

pub enum Spent<T> {
    Done(Outcome<T>),
    /// The thread is lost; what ran out, in words.
    Over(&'static str),
}

#[derive(PartialEq, Clone, Copy)]
enum Progress {
    Running,
    Finished,
    OverMemory,
    Abandoned,
}

struct Signal {
    progress: Mutex<Progress>,
    changed: Condvar,
    abandoned: AtomicBool, // nobody waits any more
}

thread_local! {
    // Of a metered thread; null elsewhere. Plain cells: the allocator may use them at any time.
    static SIGNAL: Cell<*const Signal> = const { Cell::new(std::ptr::null()) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static ALLOWED: Cell<isize> = const { Cell::new(0) };
}

pub struct CountingAllocator;

// SAFETY: every request goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        System.alloc_zeroed(layout)
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        System.dealloc(pointer, layout);
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        System.realloc(pointer, layout, size)
    }
}

fn count(bytes: isize) {
    let signal = SIGNAL.get();
    if signal.is_null() {
        return;
    }
    // SAFETY: the signal lives as long as the thread, which holds a reference to it.
    let signal = unsafe { &*signal };
    HELD.set(HELD.get() + bytes);
    if bytes > 0 && (HELD.get() > ALLOWED.get() || signal.abandoned.load(Ordering::Relaxed)) {
        stop_for_ever(signal);
    }
}

fn stop_for_ever(signal: &Signal) -> ! {
    SIGNAL.set(std::ptr::null());
    let mut progress = lock(&signal.progress);
    if *progress == Progress::Running {
        *progress = Progress::OverMemory;
    }
    signal.changed.notify_all();
    drop(progress);
    loop {
        std::thread::sleep(Duration::from_secs(1 << 30));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// For work that is done once: over the budget is a fault like any other.
pub fn bounded<T: Send + 'static>(budget: Budget, work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
    match run(budget, work) {
        Spent::Done(outcome) => outcome,
        Spent::Over(what) => Err(format!("it takes too much {what}")),
    }
}

/// How often the waiting side looks at the time; it is woken when the work is done.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub fn run<T: Send + 'static>(budget: Budget, work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Spent<T> {
    let signal = Arc::new(Signal {
        progress: Mutex::new(Progress::Running),
        changed: Condvar::new(),
        abandoned: AtomicBool::new(false),
    });
    let of_thread = Arc::clone(&signal);
    let spawned =
        std::thread::Builder::new().name("bounded".to_string()).stack_size(budget.stack_bytes).spawn(move || {
            ALLOWED.set(budget.memory_bytes as isize);
            SIGNAL.set(Arc::as_ptr(&of_thread));
            let outcome = caught(work);
            SIGNAL.set(std::ptr::null());
            let mut progress = lock(&of_thread.progress);
            if *progress == Progress::Running {
                *progress = Progress::Finished;
            }
            of_thread.changed.notify_all();
            outcome
        });
    let thread = match spawned {
        Ok(thread) => thread,
        Err(fault) => return Spent::Done(Err(format!("there is no thread for it: {fault}"))),
    };
    let mut progress = lock(&signal.progress);
    while *progress == Progress::Running && cpu_time_of(&thread) < budget.cpu_time {
        let waited = signal.changed.wait_timeout(progress, LOOK_EVERY);
        progress = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
    }
    match *progress {
        Progress::Finished => {
            drop(progress);
            Spent::Done(thread.join().unwrap_or_else(|_| Err("it failed".to_string())))
        }
        Progress::OverMemory => Spent::Over("memory"),
        Progress::Running | Progress::Abandoned => {
            *progress = Progress::Abandoned;
            signal.abandoned.store(true, Ordering::Relaxed);
            Spent::Over("time")
        }
    }
}

fn cpu_time_of<T>(thread: &JoinHandle<T>) -> Duration {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the thread is not joined yet, so its handle is good; both results are ours.
    let read = unsafe {
        libc::pthread_getcpuclockid(thread.as_pthread_t(), &mut clock) == 0
            && libc::clock_gettime(clock, &mut time) == 0
    };
    if read {
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    } else {
        Duration::ZERO // it has just ended
    }
}
