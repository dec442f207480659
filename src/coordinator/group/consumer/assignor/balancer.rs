//! In what order the subscribers of one topic give and take partitions, so that their numbers even out. Kafka:
//! `UniformHeterogeneousAssignmentBuilder.MemberAssignmentBalancer`.
//!
//! Subscribers stand sorted by how many partitions they own. Those with the fewest take in turn: once round, all of
//! them own one more, and those who owned that many before join in. Those with the most give likewise, from
//! the other end. So each turn takes constant time, and nothing is sorted twice.
//!
//! ```text
//!           ^ takers       givers
//! partition |                [##  ]#
//! count     |            ####[####]#  <- has none of this topic to give
//!           | [#######]######[####]#
//!           +------------------------>
//!             members
//! ```

/// A range of members that began with the same number of partitions, or were reached by those who did.
struct Turn {
    /// Members `start..end` of the sorted ones.
    start: usize,
    end: usize,
    /// How many partitions each had when the round began.
    level: i64,
    /// Where the round has got to: the next taker, or just behind the next giver.
    next: usize,
}

pub(super) struct Balancer {
    /// By number of partitions, then by number of the member.
    sorted: Vec<usize>,
    takers: Turn,
    givers: Turn,
}

impl Balancer {
    /// `subscribers` are at least one; `sizes` are how many partitions each member owns, of all topics.
    pub fn new(subscribers: &[usize], sizes: &[i64]) -> Balancer {
        let mut sorted = subscribers.to_vec();
        sorted.sort_by_key(|&member| (sizes[member], member));
        let end = sorted.len();
        // Both levels stand one outside: the first turn brings them to the members that are there.
        let takers = Turn { start: 0, end: 0, level: sizes[sorted[0]] - 1, next: 0 };
        let givers = Turn { start: end, end, level: sizes[sorted[end - 1]] + 1, next: end };
        Balancer { sorted, takers, givers }
    }

    /// Who takes the next partition; the caller gives it to them.
    pub fn next_least_loaded(&mut self, sizes: &[i64]) -> usize {
        let takers = &mut self.takers;
        if takers.next == takers.end {
            takers.level += 1;
            while takers.end < self.sorted.len() && sizes[self.sorted[takers.end]] == takers.level {
                takers.end += 1;
            }
            takers.next = takers.start;
        }
        let member = self.sorted[takers.next];
        takers.next += 1;
        member
    }

    /// Who gives the next partition; the caller takes it from them, or excludes them.
    pub fn next_most_loaded(&mut self, sizes: &[i64]) -> Option<usize> {
        let givers = &mut self.givers;
        if givers.next <= givers.start {
            if givers.start == givers.end && givers.start > 0 {
                // Everybody was excluded; the next ones are where the next member stands.
                givers.level = sizes[self.sorted[givers.start - 1]];
            } else {
                givers.level -= 1;
            }
            while givers.start > 0 && sizes[self.sorted[givers.start - 1]] == givers.level {
                givers.start -= 1;
            }
            givers.next = givers.end;
        }
        givers.next = givers.next.checked_sub(1)?;
        Some(self.sorted[givers.next])
    }

    /// The member that [`Balancer::next_most_loaded`] said has nothing of this topic to give.
    pub fn exclude_most_loaded(&mut self) {
        self.givers.end -= 1;
        self.sorted.swap(self.givers.next, self.givers.end);
    }

    /// How far the subscribers are apart before anybody's turn.
    pub fn imbalance(&self, sizes: &[i64]) -> i64 {
        sizes[self.sorted[self.sorted.len() - 1]] - sizes[self.sorted[0]]
    }

    /// Whether one who gives would then have fewer partitions than one who takes.
    pub fn is_balanced(&self) -> bool {
        self.givers.level - self.takers.level <= 1
    }
}
