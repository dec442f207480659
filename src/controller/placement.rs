//! Where replicas go: over brokers and racks as Kafka's `StripedReplicaPlacer` lays them, and inside a broker
//! over its log directories.
//!
//! Pure. Randomness comes in as a seed; the same seed places the same way.

use std::collections::BTreeMap;

use crate::controller::image::ClusterImage;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{BrokerId, PartitionIndex, TopicId, Uuid};

/// Reproducible pseudo-random values (SplitMix64); its seed is drawn by the shell.
#[derive(Clone, Debug)]
pub struct Randomness {
    state: u64,
}

impl Randomness {
    pub fn seeded(seed: u64) -> Randomness {
        Randomness { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }

    /// An id that no topic of `image` has, and that Kafka accepts: its text does not begin with `-`.
    pub(super) fn topic_id(&mut self, image: &ClusterImage) -> TopicId {
        loop {
            let id = TopicId(Uuid::from_u64_pair(self.next(), self.next()));
            let first_sextet = id.0.as_bytes()[0] >> 2;
            if id.0.as_u128() >= 100 && first_sextet != 62 && !image.topic_names.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Brokers of one rack that are in the same state, walked in a circle.
#[derive(Debug, Default)]
struct BrokerRing {
    brokers: Vec<BrokerId>,
    index: usize,
    offset: usize,
    epoch: usize,
}

impl BrokerRing {
    fn start_at_random(&mut self, randomness: &mut Randomness) {
        if !self.brokers.is_empty() {
            self.brokers.sort_unstable();
            self.offset = randomness.below(self.brokers.len());
        }
    }

    /// The next broker of this ring in round `epoch`; each round begins one broker further.
    fn next(&mut self, epoch: usize) -> Option<BrokerId> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.index = 0;
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.index >= self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.index + self.offset) % self.brokers.len()];
        self.index += 1;
        Some(broker)
    }
}

#[derive(Debug, Default)]
struct Rack {
    fenced: BrokerRing,
    unfenced: BrokerRing,
}

impl Rack {
    fn next(&mut self, epoch: usize) -> Option<BrokerId> {
        self.unfenced.next(epoch).or_else(|| self.fenced.next(epoch))
    }
}

/// `StripedReplicaPlacer.RackList`.
#[derive(Debug)]
struct Racks {
    racks: Vec<Rack>,
    broker_count: usize,
    unfenced_count: usize,
    epoch: usize,
    offset: usize,
}

impl Racks {
    fn new(image: &ClusterImage, randomness: &mut Randomness) -> Racks {
        let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let mut unfenced_count = 0;
        for broker in image.brokers.values() {
            let rack = by_name.entry(broker.rack.as_deref()).or_default();
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                rack.unfenced.brokers.push(broker.id);
                unfenced_count += 1;
            }
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        for rack in &mut racks {
            rack.fenced.start_at_random(randomness);
            rack.unfenced.start_at_random(randomness);
        }
        let offset = if racks.is_empty() { 0 } else { randomness.below(racks.len()) };
        Racks { racks, broker_count: image.brokers.len(), unfenced_count, epoch: 0, offset }
    }

    /// Replicas of one partition; the first one, who will lead, is not fenced.
    fn place(&mut self, replication_factor: usize, randomness: &mut Randomness) -> Vec<BrokerId> {
        // After as many assignments as there are unfenced brokers the order is shuffled, so that it does not repeat.
        if self.epoch == self.unfenced_count && self.unfenced_count > 1 {
            randomness.shuffle(&mut self.racks);
            for rack in &mut self.racks {
                randomness.shuffle(&mut rack.fenced.brokers);
                randomness.shuffle(&mut rack.unfenced.brokers);
            }
            self.epoch = 0;
        }
        self.offset %= self.racks.len();
        let (leader_rack, leader) = self.leader();
        let mut replicas = Vec::with_capacity(replication_factor);
        replicas.push(leader);
        // The leader's rack is passed over once: it has given its replica of the first round.
        let mut passed_over = Some(leader_rack);
        let mut rack = self.offset;
        while replicas.len() < replication_factor {
            if passed_over == Some(rack) {
                passed_over = None;
            } else if let Some(broker) = self.racks[rack].next(self.epoch) {
                replicas.push(broker);
            }
            rack = (rack + 1) % self.racks.len();
        }
        self.epoch += 1;
        self.offset += 1;
        replicas
    }

    fn leader(&mut self) -> (usize, BrokerId) {
        let mut rack = self.offset;
        loop {
            if let Some(broker) = self.racks[rack].unfenced.next(self.epoch) {
                return (rack, broker);
            }
            rack = (rack + 1) % self.racks.len();
        }
    }
}

/// Replicas for `count` partitions.
pub(super) fn place(
    image: &ClusterImage,
    count: usize,
    replication_factor: i16,
    randomness: &mut Randomness,
) -> Result<Vec<Vec<BrokerId>>, ApiError> {
    let refuse = |message: String| ApiError::new(ErrorCode::InvalidReplicationFactor, message);
    if replication_factor <= 0 {
        return Err(refuse(format!(
            "Invalid replication factor {replication_factor}: the replication factor must be positive."
        )));
    }
    let mut racks = Racks::new(image, randomness);
    if racks.unfenced_count == 0 {
        return Err(refuse("All brokers are currently fenced.".to_owned()));
    }
    if replication_factor as usize > racks.broker_count {
        return Err(refuse(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) \
             are registered or some brokers have all their log directories cordoned.",
            racks.broker_count
        )));
    }
    Ok((0..count).map(|_| racks.place(replication_factor as usize, randomness)).collect())
}

/// The log directory for each replica. A broker's directories take its partitions in turn, beginning where
/// the topic's id says, so that many topics of one partition spread as well.
pub(super) fn directories(
    image: &ClusterImage,
    topic_id: TopicId,
    partition: PartitionIndex,
    replicas: &[BrokerId],
) -> Vec<Uuid> {
    let start = topic_id.0.as_u64_pair().1 as usize;
    let turn = start.wrapping_add(partition.0 as usize);
    replicas
        .iter()
        .map(|replica| {
            let directories = image.broker(*replica).map_or(&[][..], |broker| &broker.directories[..]);
            match directories.len() {
                // `DirectoryId.UNASSIGNED`: the broker chooses and tells.
                0 => Uuid::nil(),
                count => directories[turn % count],
            }
        })
        .collect()
}
