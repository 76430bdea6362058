//! The memory of an engine: no large piece while a script runs, and nothing that a long step needs once its time is over.
//!
//! Between two looks at the clock the engine makes ten thousand steps. How long a step takes depends on how long the texts
//! and lists are that it works on, and each of those is one piece of memory.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::courtesy::Thread;
use rquickjs::allocator::{Allocator, RustAllocator};

/// Enough for any table that a payload function has.
pub(super) const MOST: usize = 8 << 20;
/// Largest piece, in bytes: a text of so many characters, a list of a sixteenth as many elements.
pub(super) const LARGEST: usize = 128 << 10;
/// Largest piece that is given after the time of the script: ten thousand steps on less take no second.
const SMALL: usize = 4 << 10;

/// What the engine is at.
#[derive(Debug, Default)]
pub(super) struct Stage {
    compiles: AtomicBool,
    is_over: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Stage {
    /// The engine compiles, or runs what is ours. It does not only fail but crashes where memory runs out while it
    /// compiles, so it has what it asks for: how much that is depends on the length of the script, which is bounded.
    pub(super) fn compile(&self) {
        self.compiles.store(true, Ordering::Relaxed);
    }

    /// The engine runs what is the script's.
    pub(super) fn run(&self) {
        self.compiles.store(false, Ordering::Relaxed);
    }

    /// It is at work on this thread.
    pub(super) fn begin(&self, thread: Thread) {
        let _first = self.thread.set(thread);
    }

    /// The thread that it is at work on.
    pub(super) fn thread(&self) -> Option<Thread> {
        self.thread.get().copied()
    }

    /// The time of the script is over.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn allows(&self, piece: usize, total: usize) -> bool {
        let largest = if self.is_over() { SMALL } else { LARGEST };
        self.compiles.load(Ordering::Relaxed) || piece <= largest && total <= MOST
    }
}

/// What an engine takes its memory from.
pub(super) struct Memory {
    stage: Arc<Stage>,
    used: usize,
}

impl Memory {
    pub(super) fn new(stage: Arc<Stage>) -> Self {
        Self { stage, used: 0 }
    }

    /// Count a piece, when there is one.
    #[allow(unsafe_code, reason = "asks the allocator for the size of what it has just given")]
    fn count(&mut self, piece: *mut u8) -> *mut u8 {
        if !piece.is_null() {
            self.used += unsafe { RustAllocator::usable_size(piece) };
        }
        piece
    }
}

/// All that is asked is passed on to the bindings' own allocator, or refused with the null that the trait has for it.
#[allow(unsafe_code, reason = "the bindings have no safe way to bound the size of a piece")]
unsafe impl Allocator for Memory {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.stage.allows(size, self.used.saturating_add(size)) {
            return ptr::null_mut();
        }
        let piece = RustAllocator.alloc(size);
        self.count(piece)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let Some(whole) = count.checked_mul(size) else { return ptr::null_mut() };
        if !self.stage.allows(whole, self.used.saturating_add(whole)) {
            return ptr::null_mut();
        }
        let piece = RustAllocator.calloc(count, size);
        self.count(piece)
    }

    unsafe fn dealloc(&mut self, piece: *mut u8) {
        self.used -= unsafe { RustAllocator::usable_size(piece) };
        unsafe { RustAllocator.dealloc(piece) }
    }

    unsafe fn realloc(&mut self, piece: *mut u8, size: usize) -> *mut u8 {
        let before = unsafe { RustAllocator::usable_size(piece) };
        // What shrinks is never refused.
        if size > before && !self.stage.allows(size, self.used.saturating_add(size - before)) {
            return ptr::null_mut();
        }
        let moved = unsafe { RustAllocator.realloc(piece, size) };
        if !moved.is_null() {
            self.used -= before;
        }
        self.count(moved)
    }

    unsafe fn usable_size(piece: *mut u8) -> usize {
        unsafe { RustAllocator::usable_size(piece) }
    }
}
