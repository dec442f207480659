//! The values of records: bytes that do not compress, or text that does. The same in every run.

const ACTIONS: [&str; 8] =
    ["view", "search", "add_to_cart", "remove_from_cart", "checkout", "pay", "return", "review"];
const PLACES: [&str; 6] = ["Oslo", "Lisbon", "Innsbruck", "Nairobi", "Montevideo", "Sapporo"];

/// What values are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Does not compress.
    Noise,
    /// Events in JSON with ids, times and prices of their own. In batches of 64 KiB on the wire they take 2.7 times less
    /// with lz4 and 4.6 times less with zstd.
    Events,
}

/// Makes one value after another.
pub struct Values {
    content: Content,
    state: u64,
    event_count: u64,
}

impl Values {
    pub fn new(content: Content) -> Values {
        Values { content, state: 0x9e37_79b9_7f4a_7c15, event_count: 0 }
    }

    pub fn append(&mut self, out: &mut Vec<u8>, size_bytes: usize) {
        match self.content {
            Content::Noise => out.extend((0..size_bytes).map(|_| self.draw() as u8)),
            Content::Events => {
                let end = out.len() + size_bytes;
                while out.len() < end {
                    let event = self.event();
                    out.extend_from_slice(event.as_bytes());
                }
                out.truncate(end);
            }
        }
    }

    fn event(&mut self) -> String {
        self.event_count += 1;
        let (user, session, article) = (self.draw(), self.draw(), self.draw());
        let (action, place, trace) = (self.draw() as usize, self.draw() as usize, self.draw());
        format!(
            concat!(
                r#"{{"time":{},"user":"{:08x}","session":"{:016x}","action":"{}","place":"{}","#,
                r#""article":{},"price":{{"amount":{}.{:02},"currency":"EUR"}},"trace":"{:016x}","mobile":{}}}"#
            ),
            1_790_000_000_000 + self.event_count * 7,
            user & 0xffff_ffff,
            session,
            ACTIONS[action % ACTIONS.len()],
            PLACES[place % PLACES.len()],
            article % 100_000,
            article >> 32 & 0xff,
            article >> 40 & 0x3f,
            trace,
            user >> 32 & 1 == 0
        )
    }

    /// xorshift: the next of a fixed sequence without a pattern.
    fn draw(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    /// How many times smaller `codec` makes a batch's worth of values.
    fn ratio(content: Content, codec: Codec) -> f64 {
        let (mut values, mut bytes) = (Values::new(content), Vec::new());
        for _ in 0..192 {
            values.append(&mut bytes, 1024);
        }
        bytes.len() as f64 / codec.compress(bytes.clone()).unwrap().len() as f64
    }

    #[test]
    fn a_value_has_the_size_that_is_asked_for() {
        for content in [Content::Noise, Content::Events] {
            let mut bytes = vec![1, 2, 3];
            Values::new(content).append(&mut bytes, 1000);
            assert_eq!(bytes.len(), 1003);
        }
    }

    #[test]
    fn events_compress_as_real_ones_do_and_noise_does_not() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let (events, noise) = (ratio(Content::Events, codec), ratio(Content::Noise, codec));
            assert!((2.0..5.0).contains(&events), "{codec:?} compresses events {events:.2} times");
            assert!((0.9..1.1).contains(&noise), "{codec:?} compresses noise {noise:.2} times");
        }
    }
}
