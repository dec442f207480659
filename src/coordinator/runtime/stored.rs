//! What a shard sees of its stored records: a view, and a layer of memory over it. What transactions have pending is
//! hidden.

use std::cell::RefCell;
use std::ops::Bound;

use super::overlay::{self, Layer};
use super::transactions;
use crate::coordinator::shard::{Scan, Stored};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::store::PartitionKey;
use crate::store::view::{Tier, View, ViewError};

/// The entries of `of` in `view` under those of `over`, and these under those of `top`.
pub(super) struct Layered<'a> {
    of: PartitionKey,
    view: &'a dyn View,
    over: Option<&'a Layer>,
    top: Option<&'a Layer>,
    tier: Tier,
    /// Why the first read that was refused was refused.
    trouble: RefCell<Option<ViewError>>,
}

impl<'a> Layered<'a> {
    pub fn new(of: PartitionKey, view: &'a dyn View, over: Option<&'a Layer>, tier: Tier) -> Layered<'a> {
        Layered { of, view, over, top: None, tier, trouble: RefCell::new(None) }
    }

    /// The same under one more layer.
    pub fn below(self, top: &'a Layer) -> Layered<'a> {
        Layered { top: Some(top), ..self }
    }

    /// Why a read was refused; what was made of the others is worth nothing then.
    pub fn into_trouble(self) -> Option<ViewError> {
        self.trouble.into_inner()
    }

    fn refuse(&self, error: ViewError) -> ApiError {
        self.trouble.borrow_mut().get_or_insert(error);
        ErrorCode::CoordinatorNotAvailable.into()
    }
}

impl Stored for Layered<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        let layers = [self.top, self.over];
        if let Some(value) = layers.into_iter().flatten().find_map(|layer| layer.get(key)) {
            return Ok(value.as_ref().map(|value| value.to_vec()));
        }
        self.view.get(self.of, key, self.tier).map_err(|error| self.refuse(error))
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan) -> Result<(), ApiError> {
        if !transactions::may_meet_reserved(prefix) {
            return self.scan_all(prefix, visit);
        }
        // They come last.
        self.scan_all(prefix, &mut |key, value| match transactions::is_reserved(key) {
            true => Scan::Stop,
            false => visit(key, value),
        })
    }
}

impl Layered<'_> {
    /// Also what is pending.
    fn scan_all(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan) -> Result<(), ApiError> {
        let (top, over) = (self.top.filter(|top| !top.is_empty()), self.over.filter(|over| !over.is_empty()));
        let both;
        let over = match (top, over) {
            (Some(top), Some(over)) => {
                both = overlay::merged(top, over, prefix);
                &both
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => {
                let scanned = self.view.scan(self.of, prefix, self.tier, visit);
                return scanned.map_err(|error| self.refuse(error));
            }
        };
        let mut merge = Merge { over, prefix, from: Bound::Included(prefix.to_vec()), visit, stopped: false };
        let scanned = self.view.scan(self.of, prefix, self.tier, &mut |key, value| merge.meet(key, value));
        scanned.map_err(|error| self.refuse(error))?;
        while !merge.stopped && merge.visit_over_below(None).is_some() {}
        Ok(())
    }
}

/// A scan of two layers at once, in the order of keys.
struct Merge<'a> {
    over: &'a Layer,
    prefix: &'a [u8],
    /// Where the upper layer goes on.
    from: Bound<Vec<u8>>,
    visit: &'a mut dyn FnMut(&[u8], &[u8]) -> Scan,
    stopped: bool,
}

impl Merge<'_> {
    /// The lower layer has this entry next.
    fn meet(&mut self, key: &[u8], value: &[u8]) -> Scan {
        while let Some(step) = self.visit_over_below(Some(key)) {
            match step {
                Scan::Next => {}
                Scan::SkipTo(to) if to.as_slice() <= key => {}
                skip @ (Scan::SkipTo(_) | Scan::Stop) => return skip,
            }
        }
        match self.over.get(key) {
            // What lies over it is visited, or passed over, on the way to the next key.
            Some(None) => Scan::Next,
            Some(Some(newer)) => {
                self.from = Bound::Excluded(key.to_vec());
                self.show(key, newer)
            }
            None => self.show(key, value),
        }
    }

    /// Visits the next entry of the upper layer that is below `limit`; `None` when there is none.
    fn visit_over_below(&mut self, limit: Option<&[u8]>) -> Option<Scan> {
        let over = self.over;
        let range = over.range::<[u8], _>((as_slice(&self.from), Bound::Unbounded));
        for (key, value) in range {
            if !key.starts_with(self.prefix) || limit.is_some_and(|limit| &key[..] >= limit) {
                return None;
            }
            self.from = Bound::Excluded(key.to_vec());
            if let Some(value) = value {
                return Some(self.show(key, value));
            }
        }
        None
    }

    fn show(&mut self, key: &[u8], value: &[u8]) -> Scan {
        let step = (self.visit)(key, value);
        match &step {
            Scan::Next => {}
            Scan::SkipTo(to) => {
                let is_ahead = match &self.from {
                    Bound::Included(from) | Bound::Excluded(from) => to > from,
                    Bound::Unbounded => true,
                };
                if is_ahead {
                    self.from = Bound::Included(to.clone());
                }
            }
            Scan::Stop => self.stopped = true,
        }
        step
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::runtime::tests::stamp;
    use crate::protocol::ids::PartitionIndex;
    use crate::store::CoordinatorTopic;
    use crate::store::memory::MemoryView;
    use crate::store::view::{Change, Patience};
    use std::collections::BTreeMap;

    /// Both layers random, skips and stops random: what is seen is what one map would show.
    #[test]
    fn two_layers_look_like_one() {
        let of = PartitionKey { topic: CoordinatorTopic::ConsumerOffsets, partition: PartitionIndex(0) };
        for seed in 0..500 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut key = || (0..rng.usize(1..4)).map(|_| *rng.choice(b"ab").unwrap()).collect::<Vec<u8>>();
            let lower: BTreeMap<Vec<u8>, Vec<u8>> = (0..6).map(|at| (key(), vec![b'l', at])).collect();
            let mut upper: Vec<(Vec<u8>, Option<Vec<u8>>)> =
                (0..5).map(|at| (key(), Some(vec![b'u', at]))).collect();
            let (prefix, skip_to) = (key()[1..].to_vec(), key());
            upper.iter_mut().filter(|_| rng.bool()).for_each(|(_, value)| *value = None);
            let (skip_at, stop_at) = (rng.usize(0..3), rng.usize(0..8));
            let view = MemoryView::default();
            let mut changes = lower.iter().map(|(key, value)| Change { key, value: Some(value) });
            view.apply(of, &mut changes, &stamp(1), Patience::Wait).unwrap();
            let over: Layer =
                upper.iter().cloned().map(|(key, value)| (key.into(), value.map(Into::into))).collect();
            let mut merged = lower.clone();
            for (key, value) in upper {
                match value {
                    Some(value) => merged.insert(key, value),
                    None => merged.remove(&key),
                };
            }
            let one = MemoryView::default();
            let mut changes = merged.iter().map(|(key, value)| Change { key, value: Some(value) });
            one.apply(of, &mut changes, &stamp(1), Patience::Wait).unwrap();
            let look = |stored: Layered<'_>| {
                let mut seen = Vec::new();
                stored
                    .scan(&prefix, &mut |key, value| {
                        seen.push((key.to_vec(), value.to_vec()));
                        match seen.len() - 1 {
                            at if at == stop_at => Scan::Stop,
                            at if at == skip_at => Scan::SkipTo(skip_to.clone()),
                            _ => Scan::Next,
                        }
                    })
                    .unwrap();
                seen
            };
            let layered = look(Layered::new(of, &view, Some(&over), Tier::Disk));
            assert_eq!(layered, look(Layered::new(of, &one, None, Tier::Disk)), "seed {seed}");
        }
    }
}
