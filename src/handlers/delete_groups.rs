//! DeleteGroups (key 42), v0-3: groups without members go, with their offsets (KIP-229). v3 has room for a message beside
//! each error, which the codec crate lacks; Kafka leaves it null but for streams groups.
//! Kafka: `KafkaApis.handleDeleteGroupsRequest`.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::context::RequestContext;
use super::error_codes::ErrorCodes;
use super::groups::Groups;
use super::wire;
use crate::coordinator::group::command::{Command, Response};
use crate::coordinator::runtime::Submitted;
use crate::protocol::errors::ApiError;
use crate::protocol::wire::{put_count, put_string};

pub async fn handle(context: &RequestContext, request: DeleteGroupsRequest) -> anyhow::Result<Answer> {
    let groups = &context.services.groups;
    let named_once = wire::first_mentions(request.groups_names, GroupId::clone);
    let submitted = groups.submit_to_read(named_once.iter().map(deletion).collect()).await;
    let mut answer = Answer::default();
    for (group, submitted) in named_once.into_iter().zip(submitted) {
        let deleted = finish(groups, &group, submitted).await;
        if deleted.is_ok() {
            tracing::info!(group = group.as_str(), "group was deleted");
        }
        answer.response.results.push(
            DeletableGroupResult::default()
                .with_group_id(group)
                .with_error_code(deleted.err().map_or(0, |error| error.code.code())),
        );
    }
    Ok(answer)
}

fn deletion(group: &GroupId) -> (StrBytes, Command) {
    (group.0.clone(), Command::DeleteGroup { group: wire::shared(group) })
}

/// A group with very many offsets is deleted in parts.
async fn finish(
    groups: &Groups,
    group: &GroupId,
    mut submitted: Submitted<Response>,
) -> Result<(), ApiError> {
    loop {
        match submitted.await? {
            Response::Done => return Ok(()),
            Response::SomeDeleted => {
                submitted = groups.submit_to_read(vec![deletion(group)]).await.remove(0);
            }
            other => unreachable!("a deletion is answered as one, not with {other:?}"),
        }
    }
}

/// The response, written by hand where the codec crate ends.
#[derive(Default)]
pub struct Answer {
    response: DeleteGroupsResponse,
}

const CODEC_MAX_VERSION: i16 = 2;
const FLEXIBLE: bool = true;
const NO_TAGS: u8 = 0;
const NO_MESSAGE: Option<&str> = None;

impl Encodable for Answer {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        if version <= CODEC_MAX_VERSION {
            return self.response.encode(buffer, version);
        }
        let mut body = Vec::new();
        body.put_i32(self.response.throttle_time_ms);
        put_count(&mut body, FLEXIBLE, self.response.results.len());
        for result in &self.response.results {
            put_string(&mut body, FLEXIBLE, Some(&result.group_id));
            body.put_i16(result.error_code);
            put_string(&mut body, FLEXIBLE, NO_MESSAGE);
            body.put_u8(NO_TAGS);
        }
        body.put_u8(NO_TAGS);
        buffer.put_slice(&body);
        Ok(())
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        if version <= CODEC_MAX_VERSION {
            return self.response.compute_size(version);
        }
        let mut body = BytesMut::new();
        self.encode(&mut body, version)?;
        Ok(body.len())
    }
}

impl ErrorCodes for Answer {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.response.error_codes()
    }
}
