//! Randomness: topic ids, directory ids, placement, jitter. Nothing here is a secret.

use parking_lot::Mutex;

use crate::protocol::ids::Uuid;

/// A source of random values; seeded ones repeat.
#[derive(Debug)]
pub struct Rng(Mutex<fastrand::Rng>);

impl Rng {
    /// Seeded from the operating system.
    pub fn system() -> Rng {
        Rng(Mutex::new(fastrand::Rng::with_seed(Uuid::new_v4().as_u64_pair().0)))
    }

    /// The same values at each run.
    pub fn seeded(seed: u64) -> Rng {
        Rng(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A random UUID that Kafka accepts: not reserved, and its text does not begin with `-`
    /// (`org.apache.kafka.common.Uuid.randomUuid`).
    pub fn uuid(&self) -> Uuid {
        loop {
            let uuid = Uuid::from_u128(self.0.lock().u128(..));
            let first_sextet = uuid.as_bytes()[0] >> 2;
            // Kafka reserves the UUIDs whose high half is 0 and low half below 100; `-` is sextet 62.
            if uuid.as_u128() >= 100 && first_sextet != 62 {
                return uuid;
            }
        }
    }

    /// A value in `0..bound`; `bound` must not be 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().u64(0..bound)
    }
}
