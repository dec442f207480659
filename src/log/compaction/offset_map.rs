//! The last offset of each key, in bounded memory. Pure.
//!
//! A slot is 24 bytes: a hash of 16 bytes that stands for the key, and the offset. The hash is keyed with secret seeds,
//! because two keys of one hash would be one key, and clients choose the keys. Kafka: `SkimpyOffsetMap`, which uses MD5.

use std::hash::{DefaultHasher, Hasher};

use crate::protocol::ids::Offset;

/// Bytes of a slot.
const SLOT_SIZE: u64 = 24;
/// As Kafka's, whose map lies in one Java array.
const MOST_MEMORY_BYTES: u64 = i32::MAX as u64;
/// Probes that take other bytes of the hash; those that follow look at neighbours.
const HASH_WINDOWS: usize = 12;

/// How large a map may get.
#[derive(Clone, Copy, Debug)]
pub struct MapLimits {
    /// `log.cleaner.dedupe.buffer.size`
    pub memory_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`
    pub load_factor: f64,
}

/// The map, and up to which offset it has seen the log.
pub(super) struct OffsetMap {
    /// The hash, then the offset plus one; 0 there is an empty slot.
    slots: Vec<[u64; 3]>,
    entry_count: usize,
    most_entries: usize,
    latest_offset: Option<Offset>,
    seeds: [u128; 2],
}

impl OffsetMap {
    /// A map for at most `most_keys` keys, as far as the limits allow; always for one.
    pub fn new(limits: MapLimits, most_keys: u64, seeds: [u128; 2]) -> OffsetMap {
        let load_factor = limits.load_factor.clamp(0.01, 1.0);
        let wanted_slots = (most_keys as f64 / load_factor).ceil() as u64 + 1;
        let most_slots = limits.memory_bytes.min(MOST_MEMORY_BYTES) / SLOT_SIZE;
        let slot_count = wanted_slots.min(most_slots).max(2);
        OffsetMap {
            slots: vec![[0; 3]; slot_count as usize],
            entry_count: 0,
            // One slot stays empty, so that every search ends.
            most_entries: ((slot_count as f64 * load_factor) as usize).clamp(1, slot_count as usize - 1),
            latest_offset: None,
            seeds,
        }
    }

    /// Remembers the newest offset of a key; false when there is no room for another one.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        if self.entry_count >= self.most_entries {
            return false;
        }
        let hash = self.hash(key);
        let index = self.find(hash);
        let slot = &mut self.slots[index];
        if slot[2] == 0 {
            self.entry_count += 1;
        }
        *slot = [hash[0], hash[1], offset.0 as u64 + 1];
        self.latest_offset = Some(offset);
        true
    }

    /// The newest offset of a key.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.find(self.hash(key))];
        slot[2].checked_sub(1).map(|offset| Offset(offset as i64))
    }

    /// Everything up to it has been seen.
    pub fn latest_offset(&self) -> Option<Offset> {
        self.latest_offset
    }

    /// Everything up to `offset` has been seen, with or without keys.
    pub fn seen_to(&mut self, offset: Offset) {
        self.latest_offset = Some(offset);
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.seeds.map(|seed| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u128(seed);
            hasher.write(key);
            hasher.finish()
        })
    }

    /// The slot of a hash, or the empty one where it belongs.
    fn find(&self, hash: [u64; 2]) -> usize {
        let windows = u128::from(hash[0]) << 64 | u128::from(hash[1]);
        let mut attempt = 0;
        loop {
            let window = (windows >> (8 * attempt.min(HASH_WINDOWS))) as u32 as usize;
            let index = (window + attempt.saturating_sub(HASH_WINDOWS)) % self.slots.len();
            let slot = &self.slots[index];
            if slot[2] == 0 || slot[..2] == hash {
                return index;
            }
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(memory_bytes: u64, load_factor: f64, most_keys: u64) -> OffsetMap {
        OffsetMap::new(MapLimits { memory_bytes, load_factor }, most_keys, [1, 2])
    }

    #[test]
    fn the_newest_offset_of_each_key_is_found() {
        let mut map = map(1 << 20, 0.9, 1000);
        for offset in 0..3000i64 {
            assert!(map.put(format!("key {}", offset % 999).as_bytes(), Offset(offset)));
        }
        assert_eq!(map.latest_offset(), Some(Offset(2999)));
        for key in 0..999i64 {
            let newest = (0..3000).rfind(|offset| offset % 999 == key).expect("used");
            assert_eq!(map.get(format!("key {key}").as_bytes()), Some(Offset(newest)));
        }
        assert_eq!(map.get(b"key 999"), None);
        assert_eq!(map.get(b""), None);
    }

    #[test]
    fn memory_and_load_bound_the_keys() {
        let mut small = map(24 * 10, 0.5, 1_000_000);
        let taken =
            (0..100i64).take_while(|offset| small.put(&offset.to_be_bytes(), Offset(*offset))).count();
        assert_eq!(taken, 5);
        assert_eq!(small.latest_offset(), Some(Offset(4)), "what found no room was not seen");
        let exact = map(1 << 30, 0.9, 7);
        assert!(exact.most_entries >= 7 && exact.slots.len() < 12, "no more memory than the log has records");
        let mut least = map(0, 0.9, 1000);
        assert!(least.put(b"a", Offset(0)), "there is always room for one");
        assert_eq!(least.get(b"b"), None);
    }
}
