//! Which worker a connection belongs on: as few workers as can do the work, and all of them when there is much.
//!
//! A producer that wakes a consumer on another worker sends both threads through the kernel, which costs more than either
//! request. So connections that talk little come together on the first workers, and a worker that is busy while another
//! is not gives a part of its connections away. New ones are placed by the same measure: by how busy a worker is, not by
//! how many connections it has, as clients keep connections that they hardly use. Both is decided once in a window by
//! workers that have something to do: nothing ticks. No socket and no clock here.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A worker looks at all of them at most so often.
const WINDOW_DURATION_US: u64 = 50_000;

/// What was so long ago says nothing of the load that is.
const MAX_WINDOW_DURATION_US: u64 = 2_000_000;

/// A worker gives connections away from this share of its time on, if another has no more than half of it to do.
const BUSY_PERCENT: u64 = 70;

/// Workers with no more than this to do, together, become one.
const CALM_PERCENT: u64 = 30;

/// So many calm windows one after another, the last of which is not the pause before a burst.
const CALM_WINDOWS: u32 = 2;

/// What a new connection is taken to cost its worker until the window ends.
const NEW_CONNECTION_PERCENT: u64 = 1;

/// Marks a worker that does not wait, in [`BusyTime`].
const AWAKE: u64 = 1 << 63;

/// How long a worker has not been waiting for something to do, in microseconds of the server's clock. Its thread writes
/// it, every other reads it. One that is held up, by a disk for example, is busy.
///
/// At rest, the time itself; awake, where that time would have begun had it been without a rest. In cache lines of its own,
/// as it is written twice for each pause.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct BusyTime(AtomicU64);

impl BusyTime {
    /// The worker has something to do.
    pub fn wakes(&self, now_us: u64) {
        self.0.store(now_us.saturating_sub(self.total_us(now_us)) | AWAKE, Ordering::Relaxed);
    }

    /// The worker waits.
    pub fn rests(&self, now_us: u64) {
        self.0.store(self.total_us(now_us), Ordering::Relaxed);
    }

    fn total_us(&self, now_us: u64) -> u64 {
        let value = self.0.load(Ordering::Relaxed);
        if value & AWAKE == 0 { value } else { now_us.saturating_sub(value & !AWAKE) }
    }
}

/// What one connection has had of its worker's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    /// Number of the last window in which it had a turn; none has the number 0.
    window: u64,
    spent_us: u64,
    /// The worker for which it is to leave as soon as it can. The next window may say otherwise.
    target: Option<usize>,
}

impl Share {
    /// The worker for which the connection is to leave.
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// It does not leave in this window: it cannot.
    pub fn stay(&mut self) {
        self.target = None;
    }
}

/// One worker's view of all.
pub struct Balance {
    index: usize,
    workers: Arc<[BusyTime]>,
    /// Number of the window, from 1 on.
    number: Cell<u64>,
    window_ends_us: Cell<u64>,
    /// The turns of all connections in the window.
    spent_us: Cell<u64>,
    window: RefCell<Window>,
}

struct Window {
    began_us: u64,
    /// Of each worker, when the window began.
    busy_us: Vec<u64>,
    /// How busy each worker was in the window before, and what new connections are taken to add.
    expected_percents: Vec<u64>,
    /// What the window before led to.
    leaving: Option<Leaving>,
    /// So many of the windows before it found that all can leave.
    calm_count: u32,
}

/// Connections that are to leave a worker for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Those whose turns fit into so much time of the window before: what is left of it.
    Surplus {
        target: usize,
        rest_us: u64,
    },
    All {
        target: usize,
    },
}

impl Balance {
    /// That of the worker `index` among `workers`.
    pub fn new(index: usize, workers: Arc<[BusyTime]>, now_us: u64) -> Balance {
        let window = Window {
            began_us: now_us,
            busy_us: workers.iter().map(|worker| worker.total_us(now_us)).collect(),
            expected_percents: vec![0; workers.len()],
            leaving: None,
            calm_count: 0,
        };
        let window_ends_us = Cell::new(now_us + WINDOW_DURATION_US);
        let (number, spent_us, window) = (Cell::new(1), Cell::new(0), RefCell::new(window));
        Balance { index, workers, number, window_ends_us, spent_us, window }
    }

    /// The worker to which a new connection goes: the first that is calm, or the least busy.
    pub fn place(&self, now_us: u64) -> usize {
        self.observe(now_us);
        let percents = &mut self.window.borrow_mut().expected_percents;
        let calm = percents.iter().position(|percent| *percent <= CALM_PERCENT);
        let place = calm.unwrap_or_else(|| least(percents));
        percents[place] += NEW_CONNECTION_PERCENT;
        place
    }

    /// A connection of this worker has a turn. The first in a window says whether it is to leave.
    pub fn turn(&self, now_us: u64, share: &mut Share) {
        self.observe(now_us);
        let number = self.number.get();
        if share.window != number {
            let target = self.target_of(share);
            *share = Share { window: number, spent_us: 0, target };
        }
    }

    /// What this window has for a connection that was last seen in an earlier one.
    fn target_of(&self, before: &Share) -> Option<usize> {
        match self.window.borrow_mut().leaving.as_mut()? {
            // It has only just come.
            _ if before.window == 0 => None,
            Leaving::All { target } => Some(*target),
            Leaving::Surplus { target, rest_us } => {
                // It waits for its last answers and does nothing else meanwhile.
                let is_about_to = before.target == Some(*target);
                let was_active = before.window + 1 == self.number.get() && before.spent_us > 0;
                if !is_about_to && (!was_active || before.spent_us > *rest_us) {
                    return None;
                }
                *rest_us = rest_us.saturating_sub(before.spent_us);
                Some(*target)
            }
        }
    }

    /// The turn of a connection was of this length.
    pub fn spent(&self, duration_us: u64, share: &mut Share) {
        share.spent_us += duration_us;
        self.spent_us.set(self.spent_us.get() + duration_us);
    }

    /// No further connection is told to leave in this window: there is no room for it where it was to go.
    pub fn stay(&self) {
        self.window.borrow_mut().leaving = None;
    }

    /// Ends the window if it is over.
    fn observe(&self, now_us: u64) {
        if now_us < self.window_ends_us.get() {
            return;
        }
        self.window_ends_us.set(now_us + WINDOW_DURATION_US);
        let window = &mut *self.window.borrow_mut();
        let duration_us = now_us - window.began_us;
        let percents = &mut window.expected_percents;
        for (worker, (busy_us, percent)) in
            self.workers.iter().zip(window.busy_us.iter_mut().zip(percents.iter_mut()))
        {
            let total_us = worker.total_us(now_us);
            *percent = total_us.saturating_sub(*busy_us) * 100 / duration_us;
            *busy_us = total_us;
        }
        let is_recent = duration_us <= MAX_WINDOW_DURATION_US;
        let spent_us = self.spent_us.take();
        let leaving = is_recent.then(|| leaving(self.index, percents, spent_us)).flatten();
        let is_calm = matches!(leaving, Some(Leaving::All { .. }));
        window.calm_count = if is_calm { window.calm_count.saturating_add(1) } else { 0 };
        window.leaving = leaving.filter(|_| !is_calm || window.calm_count >= CALM_WINDOWS);
        window.began_us = now_us;
        self.number.set(self.number.get() + 1);
    }
}

/// What is to leave the worker `index` after a window in which the workers were busy for so much of the time, and the turns
/// of its connections came to `spent_us`. They are not all that it does.
fn leaving(index: usize, percents: &[u64], spent_us: u64) -> Option<Leaving> {
    let own = percents[index];
    if own < BUSY_PERCENT {
        return merges_with(index, percents).map(|target| Leaving::All { target });
    }
    let target = least(percents);
    if percents[target] * 2 > own {
        return None;
    }
    // Both have the same to do afterwards. A connection that has more than that is as well where it is.
    Some(Leaving::Surplus { target, rest_us: spent_us * (own - percents[target]) / (2 * own) })
}

/// The worker on which the worker `index` finds room for all it does: each goes to the first that has room, and those
/// before it have gone already.
fn merges_with(index: usize, percents: &[u64]) -> Option<usize> {
    let mut filled: Vec<u64> = Vec::with_capacity(index);
    for percent in &percents[..index] {
        filled.push(0);
        let target = first_with_room(&filled, *percent).unwrap_or(filled.len() - 1);
        filled[target] += percent;
    }
    first_with_room(&filled, percents[index])
}

fn first_with_room(filled: &[u64], percent: u64) -> Option<usize> {
    filled.iter().position(|of_worker| of_worker + percent <= CALM_PERCENT)
}

/// The first of the least busy.
fn least(percents: &[u64]) -> usize {
    (0..percents.len()).min_by_key(|index| percents[*index]).expect("a server has at least one worker")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_depends_on_the_work_of_all() {
        let surplus = |target, rest_us| Some(Leaving::Surplus { target, rest_us });
        let all = |target| Some(Leaving::All { target });
        for (index, percents, expected) in [
            // A busy one gives half of what it has more than the least busy.
            (0, &[100, 0][..], surplus(1, 500)),
            (0, &[100, 50], surplus(1, 250)),
            (0, &[100, 51], None),
            (1, &[90, 80, 20, 20], surplus(2, 375)),
            // One that is not busy keeps what it has, unless an earlier one can do it too.
            (0, &[69, 0], None),
            (1, &[20, 10], all(0)),
            (1, &[20, 11], None),
            (2, &[29, 5, 2], all(1)),
            (0, &[10, 20], None),
            (0, &[100], None),
            // Each knows what those before it do.
            (1, &[15, 15, 15, 15, 10], all(0)),
            (2, &[15, 15, 15, 15, 10], all(1)),
            (3, &[15, 15, 15, 15, 10], all(1)),
            (4, &[15, 15, 15, 15, 10], all(2)),
        ] {
            assert_eq!(leaving(index, percents, 1000), expected, "{index} of {percents:?}");
        }
    }

    /// Two workers, and the view of one of them.
    fn balance(index: usize) -> (Arc<[BusyTime]>, Balance) {
        let workers: Arc<[BusyTime]> = Arc::new([BusyTime::default(), BusyTime::default()]);
        (workers.clone(), Balance::new(index, workers, 0))
    }

    /// Where a connection is to go that has a turn now.
    fn told(balance: &Balance, now_us: u64, share: &mut Share) -> Option<usize> {
        balance.turn(now_us, share);
        share.target()
    }

    /// Which of a worker's connections leave after a window of which it was busy for all, and they had so many percent of
    /// the half of it that went to turns.
    fn leave_a_busy_worker(percents: &[u64]) -> Vec<usize> {
        let (workers, balance) = balance(0);
        workers[0].wakes(0);
        let mut shares = vec![Share::default(); percents.len()];
        for now_us in [0, WINDOW_DURATION_US - 1] {
            for (share, percent) in shares.iter_mut().zip(percents) {
                assert_eq!(told(&balance, now_us, share), None, "nothing is known before the window ends");
                balance.spent(WINDOW_DURATION_US * percent / 400, share);
            }
        }
        let mut left = Vec::new();
        for (index, share) in shares.iter_mut().enumerate() {
            let target = told(&balance, WINDOW_DURATION_US, share);
            if target.inspect(|target| assert_eq!(*target, 1)).is_some() {
                left.push(index);
            }
            assert_eq!(
                told(&balance, WINDOW_DURATION_US, share),
                target,
                "a window says the same to the end"
            );
        }
        left
    }

    #[test]
    fn a_busy_worker_gives_away_what_makes_both_even() {
        assert_eq!(leave_a_busy_worker(&[12, 12, 12, 12, 12, 12, 12, 12]), [0, 1, 2, 3]);
        assert_eq!(leave_a_busy_worker(&[60, 0, 20, 10]), [2, 3], "the heavy one is as well where it is");
        assert_eq!(leave_a_busy_worker(&[98]), []);
    }

    #[test]
    fn who_could_not_leave_yet_does_so_unless_a_later_window_says_otherwise() {
        let (workers, balance) = balance(0);
        workers[0].wakes(0);
        let mut shares = [Share::default(); 2];
        let [leaving, other] = &mut shares;
        for (share, percent) in [(&mut *leaving, 10), (&mut *other, 80)] {
            balance.turn(0, share);
            balance.spent(WINDOW_DURATION_US * percent / 100, share);
        }
        for window in [1, 2, 4] {
            assert_eq!(
                told(&balance, window * WINDOW_DURATION_US, leaving),
                Some(1),
                "the last answer is due"
            );
        }
        workers[1].wakes(4 * WINDOW_DURATION_US);
        assert_eq!(told(&balance, 5 * WINDOW_DURATION_US, leaving), None, "the other worker has become busy");
    }

    #[test]
    fn who_cannot_leave_stays_for_a_window() {
        let (_, balance) = balance(1);
        let mut share = Share::default();
        balance.turn(0, &mut share);
        balance.observe(WINDOW_DURATION_US);
        assert_eq!(told(&balance, 2 * WINDOW_DURATION_US, &mut share), Some(0));
        share.stay();
        assert_eq!(told(&balance, 2 * WINDOW_DURATION_US, &mut share), None);
        assert_eq!(told(&balance, 3 * WINDOW_DURATION_US, &mut share), Some(0));
    }

    #[test]
    fn a_worker_that_is_held_up_is_busy_to_the_others() {
        let (workers, balance) = balance(1);
        workers[0].wakes(0);
        let mut share = Share::default();
        let targets = [0, 1, 2].map(|window| told(&balance, window * WINDOW_DURATION_US, &mut share));
        assert_eq!(targets, [None; 3]);
        workers[0].rests(2 * WINDOW_DURATION_US);
        let targets = [3, 4].map(|window| told(&balance, window * WINDOW_DURATION_US, &mut share));
        assert_eq!(targets, [None, Some(0)], "both have nothing to do for two windows");
    }

    #[test]
    fn a_pause_says_nothing_of_what_follows() {
        let (_, balance) = balance(1);
        let mut share = Share::default();
        for now_us in [0, MAX_WINDOW_DURATION_US + 1, MAX_WINDOW_DURATION_US + 1 + WINDOW_DURATION_US] {
            assert_eq!(told(&balance, now_us, &mut share), None);
        }
        assert_eq!(told(&balance, 2 * MAX_WINDOW_DURATION_US, &mut share), Some(0));
    }

    #[test]
    fn who_has_only_just_come_stays_and_so_does_everybody_without_room() {
        let (_, balance) = balance(1);
        let mut shares = [Share::default(); 3];
        for share in &mut shares[1..] {
            balance.turn(0, share);
        }
        balance.observe(WINDOW_DURATION_US);
        balance.observe(2 * WINDOW_DURATION_US);
        assert_eq!(told(&balance, 2 * WINDOW_DURATION_US, &mut shares[0]), None);
        assert_eq!(told(&balance, 2 * WINDOW_DURATION_US, &mut shares[1]), Some(0));
        balance.stay();
        assert_eq!(told(&balance, 2 * WINDOW_DURATION_US, &mut shares[2]), None);
    }

    #[test]
    fn new_connections_go_to_the_first_calm_worker_and_a_crowd_to_all() {
        let (workers, balance) = balance(0);
        let first: Vec<usize> = (0..200).map(|_| balance.place(0)).collect();
        assert_eq!(&first[..31], &[0; 31]);
        assert_eq!(&first[31..62], &[1; 31]);
        assert_eq!(first.iter().sum::<usize>(), 100, "half of them");
        workers[0].wakes(0);
        assert_eq!(balance.place(WINDOW_DURATION_US), 1, "the first one is busy");
    }

    #[test]
    fn busy_time_is_what_lies_between_waking_and_resting() {
        let time = BusyTime::default();
        time.wakes(100);
        assert_eq!(time.total_us(130), 30);
        time.rests(150);
        assert_eq!(time.total_us(900), 50);
        time.wakes(1000);
        assert_eq!(time.total_us(1001), 51);
        time.wakes(1010);
        time.rests(1020);
        time.rests(1030);
        assert_eq!(time.total_us(2000), 70);
    }
}
