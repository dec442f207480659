//! One number for all the record batches of a load, whichever came first: what was acknowledged is what is consumed
//! when both have the same.
//!
//! A batch counts with its CRC, partition and base offset, so a batch that is lost, repeated, moved or changed gives
//! another number. The CRC covers everything but what the broker assigns.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    sum: u64,
}

impl Digest {
    pub fn include(&mut self, partition: i32, base_offset: i64, crc: u32) {
        let place = mix(u64::from(partition as u32) ^ mix(base_offset as u64));
        self.sum = self.sum.wrapping_add(mix(place ^ u64::from(crc)));
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.sum)
    }
}

/// Spreads every bit over all others (the finalizer of splitmix64); the constant keeps 0 from staying 0.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(batches: &[(i32, i64, u32)]) -> Digest {
        let mut digest = Digest::default();
        for &(partition, base_offset, crc) in batches {
            digest.include(partition, base_offset, crc);
        }
        digest
    }

    #[test]
    fn the_order_of_batches_does_not_count() {
        assert_eq!(digest(&[(0, 0, 7), (1, 63, 8)]), digest(&[(1, 63, 8), (0, 0, 7)]));
    }

    #[test]
    fn a_batch_that_is_lost_repeated_moved_or_changed_does_count() {
        let whole = digest(&[(0, 0, 7), (0, 63, 7), (1, 0, 7)]);
        assert_ne!(whole, digest(&[(0, 0, 7), (0, 63, 7)]));
        assert_ne!(whole, digest(&[(0, 0, 7), (0, 63, 7), (1, 0, 7), (1, 0, 7)]));
        assert_ne!(whole, digest(&[(0, 0, 7), (0, 63, 7), (2, 0, 7)]));
        assert_ne!(whole, digest(&[(0, 0, 7), (1, 63, 7), (0, 0, 7)]));
        assert_ne!(whole, digest(&[(0, 0, 7), (0, 63, 7), (1, 0, 8)]));
    }
}
