//! Counts what a closure allocates, so that a test can hold a memory bound.
//!
//! The counting allocator serves the unit tests only; the broker never sees it.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    /// Bytes this thread has asked for since it began; what it gave back is not subtracted.
    static ALLOCATED_SIZE_BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(size_bytes: usize) {
    // The cell has no destructor, so it can be reached as long as the thread runs.
    let _ =
        ALLOCATED_SIZE_BYTES.try_with(|allocated| allocated.set(allocated.get().wrapping_add(size_bytes)));
}

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: the caller keeps the contract of `realloc`, and `pointer` came from the system's allocator.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `work` returns, and the bytes it asked the allocator for on this thread, all calls added up. A buffer
/// that grows counts at each of its sizes, so the sum is never below the peak.
pub(crate) fn allocated_by<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED_SIZE_BYTES.get();
    let value = work();
    (value, ALLOCATED_SIZE_BYTES.get().wrapping_sub(before))
}

#[test]
fn allocations_are_added_up() {
    let (buffer, allocated) = allocated_by(|| Vec::<u8>::with_capacity(1000));
    assert_eq!((buffer.capacity(), allocated), (1000, 1000));
    assert_eq!(allocated_by(|| drop(buffer)).1, 0);
}
