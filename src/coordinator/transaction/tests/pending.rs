//! What is not committed.

use super::world::World;
use crate::coordinator::transaction::command::{Command, InitProducerIdRequest, Transition};

#[test]
fn the_commit_of_one_record_says_nothing_of_the_next() {
    let mut world = World::new();
    world.lagging = true;
    let request = InitProducerIdRequest {
        transactional_id: "t".into(),
        timeout_ms: 60_000,
        expected: None,
        fresh_id: None,
    };
    world.submit("init", Command::InitProducerId(request));
    let appended = world.shard.transition_of(&world.shard.transactions["t"]);
    for (number, is_pending) in [(appended.number - 1, true), (appended.number, false)] {
        let transition = Transition { number, ..appended };
        world.submit("committed", Command::Committed { transactional_id: "t".into(), transition });
        assert_eq!(world.shard.transactions["t"].is_pending(), is_pending);
    }
}
