//! Receive buffers that start on a page boundary, and the pool each worker keeps of them.
//!
//! Why pages: a copy whose destination lies 1 to 63 bytes ahead of its source modulo 4096 runs ten times
//! slower on some processors, in the kernel too, and a large `Vec` starts 16 bytes into a page. A pool
//! belongs to one worker thread; buffers never move between threads.

use bytes::BytesMut;

const PAGE_SIZE_BYTES: usize = 4096;

/// Size of the buffer that every read starts with: a 64 KiB record batch with its request around it
/// arrives in one read.
pub const BASE_SIZE_BYTES: usize = 64 * 1024 + PAGE_SIZE_BYTES;

/// The largest size that is kept for reuse: a 1 MiB record batch with its request around it.
const LARGEST_POOLED_SIZE_BYTES: usize = class_size_bytes(CLASS_COUNT - 1);
const CLASS_COUNT: usize = 5;

/// A worker keeps no more than this many bytes of unused buffers.
const MAX_KEPT_SIZE_BYTES: usize = 4 * 1024 * 1024;

/// Buffers for responses that are kept for reuse, and the largest that is worth keeping.
const MAX_KEPT_OUTPUTS: usize = 8;
const MAX_KEPT_OUTPUT_SIZE_BYTES: usize = 128 * 1024;

/// Bytes that start on a page boundary.
#[derive(Debug)]
pub struct PageBuffer {
    /// One page longer than asked for and never resized, so that `start` stays on the boundary.
    bytes: Vec<u8>,
    start: usize,
    size_bytes: usize,
}

impl PageBuffer {
    fn new(size_bytes: usize) -> PageBuffer {
        // Zeroed memory fresh from the system is not resident before it is written.
        let bytes = vec![0; size_bytes + PAGE_SIZE_BYTES];
        let address = bytes.as_ptr().addr();
        let start = address.next_multiple_of(PAGE_SIZE_BYTES) - address;
        PageBuffer { bytes, start, size_bytes }
    }

    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.size_bytes]
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.size_bytes]
    }
}

/// The unused buffers of one worker.
#[derive(Debug, Default)]
pub struct BufferPool {
    classes: [Vec<PageBuffer>; CLASS_COUNT],
    kept_size_bytes: usize,
    outputs: Vec<BytesMut>,
}

impl BufferPool {
    /// A buffer of at least `size_bytes`; its content is arbitrary.
    pub fn take(&mut self, size_bytes: usize) -> PageBuffer {
        if size_bytes > LARGEST_POOLED_SIZE_BYTES {
            return PageBuffer::new(size_bytes.next_multiple_of(PAGE_SIZE_BYTES));
        }
        let class = (0..CLASS_COUNT)
            .find(|class| class_size_bytes(*class) >= size_bytes)
            .expect("the last class holds every pooled size");
        match self.classes[class].pop() {
            Some(buffer) => {
                self.kept_size_bytes -= buffer.size_bytes();
                buffer
            }
            None => PageBuffer::new(class_size_bytes(class)),
        }
    }

    /// Takes a buffer back; it is freed when it is of no class or enough are kept.
    pub fn give_back(&mut self, buffer: PageBuffer) {
        let size_bytes = buffer.size_bytes();
        let class = (0..CLASS_COUNT).find(|class| class_size_bytes(*class) == size_bytes);
        if let Some(class) = class
            && self.kept_size_bytes + size_bytes <= MAX_KEPT_SIZE_BYTES
        {
            self.kept_size_bytes += size_bytes;
            self.classes[class].push(buffer);
        }
    }

    /// An empty buffer for responses.
    pub fn take_output(&mut self) -> BytesMut {
        self.outputs.pop().unwrap_or_default()
    }

    /// Takes a response buffer back once it is sent.
    pub fn give_back_output(&mut self, mut output: BytesMut) {
        let worth_keeping = (1..=MAX_KEPT_OUTPUT_SIZE_BYTES).contains(&output.capacity());
        if worth_keeping && self.outputs.len() < MAX_KEPT_OUTPUTS {
            output.clear();
            self.outputs.push(output);
        }
    }
}

/// The base size, then a power of two of 64 KiB with 64 KiB on top: a frame that is a little more than a
/// power of two, as a full record batch in its request is, does not need twice its size.
const fn class_size_bytes(class: usize) -> usize {
    if class == 0 { BASE_SIZE_BYTES } else { ((64 * 1024) << class) + 64 * 1024 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buffer_starts_on_a_page_and_is_large_enough() {
        let mut pool = BufferPool::default();
        for size_bytes in [1, BASE_SIZE_BYTES, BASE_SIZE_BYTES + 1, 1 << 20, (1 << 20) + 100, 5_000_001] {
            let buffer = pool.take(size_bytes);
            assert!(buffer.size_bytes() >= size_bytes);
            assert_eq!(buffer.as_slice().as_ptr().addr() % PAGE_SIZE_BYTES, 0);
            pool.give_back(buffer);
        }
    }

    #[test]
    fn a_batch_of_1_mib_with_its_request_fits_a_pooled_class() {
        let buffer = BufferPool::default().take((1 << 20) + 200);
        assert_eq!(buffer.size_bytes(), LARGEST_POOLED_SIZE_BYTES);
    }

    #[test]
    fn the_pool_reuses_what_it_got_back_and_keeps_a_bounded_amount() {
        let mut pool = BufferPool::default();
        let first = pool.take(10);
        let address = first.as_slice().as_ptr();
        pool.give_back(first);
        assert_eq!(pool.take(10).as_slice().as_ptr(), address);

        let many: Vec<PageBuffer> = (0..100).map(|_| pool.take(1 << 20)).collect();
        many.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert!(pool.kept_size_bytes <= MAX_KEPT_SIZE_BYTES);
    }
}
