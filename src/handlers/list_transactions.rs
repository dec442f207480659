//! ListTransactions (key 66), v0-2: the transactional ids that this broker coordinates (KIP-664). v1 filters by duration
//! (KIP-994), v2 by a pattern of the whole id (KIP-1152). Kafka: `TransactionStateManager.listTransactionStates`.

use std::collections::BTreeSet;

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse, TransactionalId};

use super::context::RequestContext;
use super::wire;
use crate::coordinator::group::consumer::regex::TopicPattern;
use crate::coordinator::transaction::describe::{ListFilter, ListedTransaction, states_of};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::{ProducerId, Timestamp};

pub async fn handle(
    context: &RequestContext,
    request: ListTransactionsRequest,
) -> anyhow::Result<ListTransactionsResponse> {
    let (filter, unknown_states) = filter(&request, context.services.clock.now());
    Ok(match list(context, &filter, request.transactional_id_pattern.as_deref()).await {
        Ok(states) => {
            let unknown_states = unknown_states.into_iter().map(wire::text).collect();
            ListTransactionsResponse::default()
                .with_unknown_state_filters(unknown_states)
                .with_transaction_states(states)
        }
        Err(error) => ListTransactionsResponse::default().with_error_code(error.code.code()),
    })
}

async fn list(
    context: &RequestContext,
    filter: &ListFilter,
    pattern: Option<&str>,
) -> Result<Vec<TransactionState>, ApiError> {
    // RE2, as subscriptions have it.
    let pattern = pattern.filter(|pattern| !pattern.is_empty()).map(TopicPattern::parse).transpose()?;
    let fits = |id: &str| pattern.as_ref().is_none_or(|pattern| pattern.matches(id));
    let runtime = &context.services.transactions.runtime;
    let mut states = Vec::new();
    for (partition, _) in runtime.led() {
        let listed = runtime.inspect(partition, |shard| Ok(shard.list(filter, fits)));
        match listed.await {
            Ok(listed) => states.extend(listed.iter().map(write)),
            // It moved in the meantime; another broker lists its transactions.
            Err(error) if error.code == ErrorCode::NotCoordinator => {}
            Err(error) => return Err(error),
        }
    }
    Ok(states)
}

/// What is asked for, and the states that do not exist.
fn filter(request: &ListTransactionsRequest, now: Timestamp) -> (ListFilter, BTreeSet<&str>) {
    let (states, unknown) = states_of(request.state_filters.iter().map(|state| state.as_str()));
    let longer_than_ms = Some(request.duration_filter).filter(|duration_ms| *duration_ms >= 0);
    let filter = ListFilter {
        producer_ids: request.producer_id_filters.iter().map(|id| ProducerId(id.0)).collect(),
        // States that do not exist are a filter too, which lets nothing through.
        states: (!request.state_filters.is_empty()).then_some(states),
        begun_before: longer_than_ms.map(|duration_ms| Timestamp(now.0.saturating_sub(duration_ms))),
    };
    (filter, unknown.into_iter().collect())
}

fn write(listed: &ListedTransaction) -> TransactionState {
    TransactionState::default()
        .with_transactional_id(TransactionalId(wire::text(&listed.transactional_id)))
        .with_producer_id(wire::producer_id(listed.producer_id))
        .with_transaction_state(wire::text(listed.state.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::transaction::state::State;

    #[test]
    fn what_is_not_asked_for_filters_nothing() {
        let request = ListTransactionsRequest::default();
        let (filter, unknown) = filter(&request, Timestamp(10_000));
        assert!(filter.producer_ids.is_empty() && filter.states.is_none() && filter.begun_before.is_none());
        assert!(unknown.is_empty());
    }

    #[test]
    fn states_that_do_not_exist_are_told_once_and_let_nothing_through() {
        let states = |names: &[&str]| names.iter().copied().map(wire::text).collect::<Vec<_>>();
        let request = ListTransactionsRequest::default().with_state_filters(states(&["x", "Ongoing", "x"]));
        let (known, unknown) = filter(&request, Timestamp(10_000));
        assert_eq!((known.states, unknown), (Some(vec![State::Ongoing]), ["x"].into()));
        let request = ListTransactionsRequest::default().with_state_filters(states(&["Dead"]));
        let (known, unknown) = filter(&request, Timestamp(10_000));
        assert_eq!((known.states, unknown), (Some(vec![]), [].into()));
    }

    #[test]
    fn a_duration_is_counted_back_from_now() {
        let begun_before = |duration_ms| {
            let request = ListTransactionsRequest::default().with_duration_filter(duration_ms);
            filter(&request, Timestamp(10_000)).0.begun_before
        };
        assert_eq!(begun_before(3_000), Some(Timestamp(7_000)));
        assert_eq!(begun_before(0), Some(Timestamp(10_000)));
        assert_eq!(begun_before(i64::MAX), Some(Timestamp(10_000 - i64::MAX)));
        assert_eq!(begun_before(-1), None);
    }
}
