//! Ids that expire together.

use super::world::World;
use crate::coordinator::shard::Shard;
use crate::coordinator::transaction::command::{Command, InitProducerIdRequest};
use crate::coordinator::transaction::expire::MOST_EXPIRED_AT_ONCE;

#[test]
fn requests_have_their_turn_while_many_ids_expire() {
    let mut world = World::new();
    for number in 0..2 * MOST_EXPIRED_AT_ONCE + 1 {
        let transactional_id = format!("t{number}").into();
        let request =
            InitProducerIdRequest { transactional_id, timeout_ms: 60_000, expected: None, fresh_id: None };
        world.submit("init", Command::InitProducerId(request));
    }
    let mut left = Vec::new();
    world.advance(world.settings.transactional_id_expiration_ms.into());
    while !world.shard.transactions.is_empty() {
        left.push(world.shard.transactions.len());
        assert!(world.shard.next_deadline().is_some_and(|next_ms| next_ms > world.now.uptime_ms));
        world.advance(5);
    }
    assert_eq!(left, [MOST_EXPIRED_AT_ONCE + 1, 1]);
}
