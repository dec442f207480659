//! What was committed for deleted topics goes with them (`GroupCoordinator.onPartitionsDeleted`).

use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::runtime::Runtime;
use crate::protocol::errors::ApiError;
use crate::protocol::ids::{PartitionIndex, TopicId};

/// How often a part of a deletion is tried again, and after how long: the log may be full, or replicas away.
const MOST_REFUSALS: u32 = 60;
const PAUSE_WHEN_REFUSED: Duration = Duration::from_secs(1);

/// In every partition that this broker leads.
pub async fn forget_offsets(groups: Arc<Runtime<GroupShard>>, topics: Arc<[(TopicId, Arc<str>)]>) {
    for (partition, _) in groups.led() {
        if let Err(error) = forget_offsets_of(&groups, partition, &topics).await {
            tracing::warn!(%partition, %error, "forget the offsets of deleted topics");
        }
    }
}

/// Part by part, each on a thread that may block; a part that is refused is tried again.
async fn forget_offsets_of(
    groups: &Arc<Runtime<GroupShard>>,
    partition: PartitionIndex,
    topics: &Arc<[(TopicId, Arc<str>)]>,
) -> Result<(), ApiError> {
    let mut refusal_count = 0;
    let mut next = Some(Vec::new());
    while let Some(from) = next.take() {
        groups.loaded(partition).await;
        let command = Command::TopicsDeleted { topics: topics.clone(), from: from.clone() };
        let of_part = groups.clone();
        let submitted = tokio::task::spawn_blocking(move || of_part.submit(partition, command));
        match submitted.await.expect("a panic ends the process").await {
            Ok(Response::TopicsDeleted { next: behind }) => {
                refusal_count = 0;
                next = behind;
            }
            Ok(other) => unreachable!("a deletion of topics is answered as one, not with {other:?}"),
            // The partition has another leader, which has been told as well.
            Err(_) if groups.led().iter().all(|(led, _)| *led != partition) => {}
            Err(error) if refusal_count == MOST_REFUSALS => return Err(error),
            Err(_) => {
                refusal_count += 1;
                tokio::time::sleep(PAUSE_WHEN_REFUSED).await;
                next = Some(from);
            }
        }
    }
    Ok(())
}
