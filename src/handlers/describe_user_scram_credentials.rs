//! DescribeUserScramCredentials (key 50), v0: by which mechanisms users can prove who they are (KIP-554). Secrets are
//! never told. Kafka: `ScramImage.describe`.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};

use super::context::RequestContext;
use super::wire;
use crate::controller::ClusterImage;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::scram::ScramMechanism;

pub async fn handle(
    context: &RequestContext,
    request: DescribeUserScramCredentialsRequest,
) -> anyhow::Result<DescribeUserScramCredentialsResponse> {
    let image = context.services.image();
    // How often each user is asked for; all of them are when none is named.
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    match request.users.as_deref() {
        Some(users) if !users.is_empty() => {
            users.iter().for_each(|user| *asked.entry(user.name.as_str()).or_default() += 1);
        }
        Some(_) | None => asked.extend(image.scram_credentials.keys().map(|(name, _)| (name.as_str(), 1))),
    }
    let results = asked.into_iter().map(|(user, count)| {
        let answer = DescribeUserScramCredentialsResult::default().with_user(wire::text(user));
        match describe(&image, user, count) {
            Ok(credentials) => answer.with_credential_infos(credentials),
            Err(refusal) => {
                answer.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
            }
        }
    });
    // Where there is no error Kafka has empty messages here, not null ones.
    Ok(DescribeUserScramCredentialsResponse::default().with_results(results.collect()))
}

fn describe(image: &ClusterImage, user: &str, count: usize) -> Result<Vec<CredentialInfo>, ApiError> {
    if count > 1 {
        let message =
            format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
        return Err(ApiError::new(ErrorCode::DuplicateResource, message));
    }
    let found: Vec<CredentialInfo> = [ScramMechanism::Sha256, ScramMechanism::Sha512]
        .into_iter()
        .filter_map(|mechanism| {
            let credential = image.scram_credentials.get(&(user.to_owned(), mechanism))?;
            let info = CredentialInfo::default().with_mechanism(mechanism.code());
            Some(info.with_iterations(credential.iterations))
        })
        .collect();
    if found.is_empty() {
        let message = format!("Attempt to describe a user credential that does not exist: {user}");
        return Err(ApiError::new(ErrorCode::ResourceNotFound, message));
    }
    Ok(found)
}
