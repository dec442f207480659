//! Tells a torn tail from damage in the middle: does a valid batch follow the bad bytes?

use std::io;

use crate::env::fs::File;
use crate::log::scan::BatchHeader;
use crate::protocol::batch::{Batch, HEADER_SIZE};
use crate::protocol::ids::Offset;

/// What stands behind a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDefect {
    /// Nothing that was ever a batch of this log.
    Nothing,
    /// A batch that is valid and belongs here, or so many that look like one that nobody can tell.
    ValidBatch,
}

/// Bytes looked at together.
const WINDOW_SIZE: usize = 64 * 1024;
/// Bytes whose CRC is computed before the search gives up; a crafted record could look like a batch at every byte.
const CRC_BUDGET_BYTES: u64 = 256 << 20;

/// Searches every byte behind `defect_position` for the start of a valid batch with an offset behind `expected`.
///
/// The batch at the defect holds at least the record `expected`, so a later one begins behind it. Bytes that a client chose are
/// searched too: a record that holds such a batch makes a torn tail look like damage, which loses nothing.
pub fn what_follows(
    file: &File,
    defect_position: u64,
    end: u64,
    expected: Offset,
) -> io::Result<AfterDefect> {
    let mut budget_bytes = CRC_BUDGET_BYTES;
    let mut window_position = defect_position + 1;
    let mut window = vec![0; WINDOW_SIZE];
    while window_position + HEADER_SIZE as u64 <= end {
        let size = file
            .read_at(&mut window[..((end - window_position) as usize).min(WINDOW_SIZE)], window_position)?;
        if size < HEADER_SIZE {
            break;
        }
        for start in 0..=size - HEADER_SIZE {
            let header_bytes = window[start..start + HEADER_SIZE].try_into().expect("within the window");
            let position = window_position + start as u64;
            let Some(batch_size) = plausible_size(header_bytes, position, end, expected) else { continue };
            if batch_size > budget_bytes {
                return Ok(AfterDefect::ValidBatch);
            }
            budget_bytes -= batch_size;
            if is_valid_batch(file, position, batch_size as usize)? {
                return Ok(AfterDefect::ValidBatch);
            }
        }
        window_position += (size - HEADER_SIZE + 1) as u64;
    }
    Ok(AfterDefect::Nothing)
}

/// Size of the batch that may begin here.
fn plausible_size(
    header_bytes: &[u8; HEADER_SIZE],
    position: u64,
    end: u64,
    expected: Offset,
) -> Option<u64> {
    // Most bytes fail here.
    if header_bytes[16] != 2 {
        return None;
    }
    let header = BatchHeader::decode(header_bytes, position).ok()?;
    let distance = header.span.base_offset.0.checked_sub(expected.0)?;
    let belongs = distance > 0 && distance <= i64::from(u32::MAX) && header.span.end_position() <= end;
    belongs.then_some(header.span.size_bytes)
}

fn is_valid_batch(file: &File, position: u64, size: usize) -> io::Result<bool> {
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, position)?;
    Ok(Batch::split_first(&bytes).is_ok_and(|(batch, _)| batch.crc_matches()))
}
