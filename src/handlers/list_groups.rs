//! ListGroups (key 16), v0-5: the groups that this broker coordinates. v4 filters by state (KIP-518), v5 by type (KIP-848).
//! Kafka: `GroupCoordinatorService.listGroups`.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::classic::describe;
use crate::protocol::errors::{ApiError, ErrorCode};

pub async fn handle(
    context: &RequestContext,
    request: ListGroupsRequest,
) -> anyhow::Result<ListGroupsResponse> {
    Ok(match list(context, &Filter::new(&request)).await {
        Ok(groups) => ListGroupsResponse::default().with_groups(groups),
        Err(error) => ListGroupsResponse::default().with_error_code(error.code.code()),
    })
}

async fn list(context: &RequestContext, filter: &Filter) -> Result<Vec<ListedGroup>, ApiError> {
    let runtime = &context.services.groups.runtime;
    let mut groups = Vec::new();
    for (partition, _) in runtime.led() {
        let listed = runtime.inspect(partition, |shard| {
            let wanted = shard.list().filter(|group| filter.takes(group));
            Ok(wanted.map(write).collect::<Vec<ListedGroup>>())
        });
        match listed.await {
            Ok(listed) => groups.extend(listed),
            // It moved in the meantime; another broker lists its groups.
            Err(error) if error.code == ErrorCode::NotCoordinator => {}
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}

/// Which groups are asked for. A state or type that does not exist matches none.
struct Filter {
    /// In lower case; empty: any.
    states: Vec<String>,
    /// Likewise.
    types: Vec<String>,
}

impl Filter {
    fn new(request: &ListGroupsRequest) -> Filter {
        let states = request.states_filter.iter().map(|state| state.to_lowercase().trim().to_owned());
        let types = request.types_filter.iter().map(|group_type| group_type.to_lowercase());
        Filter { states: states.collect(), types: types.collect() }
    }

    fn takes(&self, group: &describe::ListedGroup) -> bool {
        let takes = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        takes(&self.types, group.group_type) && takes(&self.states, group.state)
    }
}

fn write(group: describe::ListedGroup) -> ListedGroup {
    ListedGroup::default()
        .with_group_id(GroupId(wire::text(&group.group)))
        .with_protocol_type(wire::text(&group.protocol_type))
        .with_group_state(wire::text(group.state))
        .with_group_type(wire::text(group.group_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_ignore_case_and_what_they_do_not_know() {
        let group = describe::ListedGroup {
            group: "g".into(),
            protocol_type: "consumer".into(),
            state: "PreparingRebalance",
            group_type: "classic",
        };
        let takes = |states: &[&str], types: &[&str]| {
            let texts = |names: &[&str]| names.iter().copied().map(wire::text).collect::<Vec<_>>();
            let request = ListGroupsRequest::default()
                .with_states_filter(texts(states))
                .with_types_filter(texts(types));
            Filter::new(&request).takes(&group)
        };
        assert!(takes(&[], &[]));
        assert!(takes(&["Stable", " preparingREBALANCE "], &["Classic"]));
        assert!(takes(&[], &["consumer", "classic"]));
        assert!(!takes(&["Stable"], &[]));
        assert!(!takes(&["no such state"], &[]));
        assert!(!takes(&[], &["no such type"]));
        assert!(!takes(&[], &["consumer"]));
    }
}
