//! Raft's messages to other members. A node that is the only member never sends one, and every attempt
//! fails as unreachable; members that come later are reached over the controller listener.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use crate::protocol::ids::BrokerId;
use crate::raft::checkpoint::Checkpoint;
use crate::raft::types::{Snapshot, TypeConfig, Vote};

/// Makes connections to members.
pub struct Network;

/// The way to one member.
pub struct Connection {
    target: BrokerId,
}

impl Connection {
    fn unreachable(&self) -> Unreachable<TypeConfig> {
        let message = format!("no connection to the controller of node {}", self.target);
        Unreachable::new(&AnyError::error(message))
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: BrokerId, _node: &BasicNode) -> Connection {
        Connection { target }
    }
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = Checkpoint;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    // The default grants every pre-vote, also of a member that cannot be reached.
    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(self.unreachable().into())
    }
}
