//! The LZ4 frames of format 0, whose header checksum is wrong (KAFKA-3160).
//!
//! The checksum is one byte of the xxHash32 of the frame descriptor. The first Java clients took the frame's
//! magic into it; their readers check for that, so format 0 keeps the mistake (KIP-57). Other clients write
//! the right one, and Kafka looks at neither.

use twox_hash::XxHash32;

/// Where the frame descriptor begins: behind the frame's magic.
const DESCRIPTOR_START: usize = 4;

/// The frame with the checksum that the LZ4 specification demands; bytes too short for a header stay as they
/// are.
pub(super) fn with_right_checksum(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    set_checksum(&mut frame, DESCRIPTOR_START);
    frame
}

/// Gives a frame the checksum that the first Java clients expect.
pub(super) fn put_wrong_checksum(frame: &mut [u8]) {
    set_checksum(frame, 0);
}

fn set_checksum(frame: &mut [u8], hashed_from: usize) {
    let Some(flags) = frame.get(DESCRIPTOR_START) else { return };
    // Flags and block size, then the content's size and a dictionary's id where the flags say so.
    let content_size = if flags & 8 != 0 { 8 } else { 0 };
    let dictionary_id = if flags & 1 != 0 { 4 } else { 0 };
    let checksum_at = DESCRIPTOR_START + 2 + content_size + dictionary_id;
    let Some((hashed, [checksum, ..])) = frame.split_at_mut_checked(checksum_at) else { return };
    *checksum = (XxHash32::oneshot(0, &hashed[hashed_from..]) >> 8) as u8;
}
