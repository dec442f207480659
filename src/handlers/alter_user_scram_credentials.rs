//! AlterUserScramCredentials (key 51), v0: sets and deletes SCRAM credentials (KIP-554). Nobody can authenticate with
//! them while only PLAINTEXT is built in. Kafka: `ScramControlManager`.

use std::collections::BTreeSet;

use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

use super::context::RequestContext;
use super::wire;
use crate::controller::{Answer, Command, ScramDeletion, ScramUpsertion};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::scram::SaltedPassword;

pub async fn handle(
    context: &RequestContext,
    request: AlterUserScramCredentialsRequest,
) -> anyhow::Result<AlterUserScramCredentialsResponse> {
    let deletions = request
        .deletions
        .iter()
        .map(|deletion| ScramDeletion { name: deletion.name.to_string(), mechanism: deletion.mechanism });
    let upsertions = request.upsertions.iter().map(|upsertion| ScramUpsertion {
        name: upsertion.name.to_string(),
        mechanism: upsertion.mechanism,
        iterations: upsertion.iterations,
        salt: upsertion.salt.to_vec(),
        salted_password: SaltedPassword(upsertion.salted_password.to_vec()),
    });
    let command = Command::AlterUserScramCredentials {
        deletions: deletions.collect(),
        upsertions: upsertions.collect(),
    };
    let results = match context.services.quorum.propose(command).await {
        Ok(Answer::AlterUserScramCredentials(results)) => {
            results.iter().map(|(user, result)| altered(user, result)).collect()
        }
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => {
            let deleted = request.deletions.iter().map(|deletion| deletion.name.as_str());
            let upserted = request.upsertions.iter().map(|upsertion| upsertion.name.as_str());
            let users: BTreeSet<&str> = deleted.chain(upserted).collect();
            users.into_iter().map(|user| altered(user, &Err(refusal.clone()))).collect()
        }
    };
    Ok(AlterUserScramCredentialsResponse::default().with_results(results))
}

fn altered(user: &str, result: &Result<(), ApiError>) -> AlterUserScramCredentialsResult {
    let answer = AlterUserScramCredentialsResult::default().with_user(wire::text(user));
    match result {
        Ok(()) => answer.with_error_code(ErrorCode::None.code()).with_error_message(None),
        Err(refusal) => {
            answer.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
        }
    }
}
