//! Changes of SCRAM credentials (`ScramControlManager`, KIP-554). Pure.

use std::collections::BTreeMap;

use crate::controller::command::{Answer, Outcome, ScramDeletion, ScramUpsertion};
use crate::controller::image::ClusterImage;
use crate::controller::limits;
use crate::controller::records::{
    MetadataRecord, RemoveUserScramCredentialRecord, UserScramCredentialRecord,
};
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::security::scram::{MAX_ITERATIONS, MIN_ITERATIONS, ScramCredential, ScramMechanism};

/// Far above any salt in use; Kafka's tools make 26 bytes.
const MAX_SALT_SIZE_BYTES: usize = 1024;

/// AlterUserScramCredentials: a user is altered at most once in a request, by whatever mechanism.
pub(super) fn alter(
    image: &ClusterImage,
    deletions: &[ScramDeletion],
    upsertions: &[ScramUpsertion],
) -> Result<Outcome, ApiError> {
    let mut results: BTreeMap<&str, Result<MetadataRecord, ApiError>> = BTreeMap::new();
    let deletions = deletions.iter().map(|deletion| (deletion.name.as_str(), delete(image, deletion)));
    let upsertions = upsertions.iter().map(|upsertion| (upsertion.name.as_str(), upsert(upsertion)));
    for (name, result) in deletions.chain(upsertions) {
        match results.get(name) {
            None => {
                results.insert(name, result);
            }
            Some(Ok(_)) => {
                let message = "A user credential cannot be altered twice in the same request";
                results.insert(name, Err(ApiError::new(ErrorCode::DuplicateResource, message)));
            }
            // The first refusal stands.
            Some(Err(_)) => {}
        }
    }
    let mut records = Vec::new();
    let answers = results.into_iter().map(|(name, result)| {
        let answer = result.map(|record| records.push(record));
        (name.to_owned(), answer)
    });
    let answer = Answer::AlterUserScramCredentials(answers.collect());
    limits::check_record_count(records.len())?;
    Ok(Outcome { records, answer })
}

fn delete(image: &ClusterImage, deletion: &ScramDeletion) -> Result<MetadataRecord, ApiError> {
    let mechanism = check(&deletion.name, deletion.mechanism)?;
    let key = (deletion.name.clone(), mechanism);
    if !image.scram_credentials.contains_key(&key) {
        let message = "Attempt to delete a user credential that does not exist";
        return Err(ApiError::new(ErrorCode::ResourceNotFound, message));
    }
    Ok(MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredentialRecord { name: key.0, mechanism }))
}

fn upsert(upsertion: &ScramUpsertion) -> Result<MetadataRecord, ApiError> {
    let mechanism = check(&upsertion.name, upsertion.mechanism)?;
    let refuse = |message: &str| Err(ApiError::new(ErrorCode::UnacceptableCredential, message));
    if upsertion.iterations < MIN_ITERATIONS {
        return refuse("Too few iterations");
    }
    if upsertion.iterations > MAX_ITERATIONS {
        return refuse("Too many iterations");
    }
    if upsertion.salted_password.0.is_empty() {
        return refuse("Salted password must not be empty");
    }
    if upsertion.salt.len() > MAX_SALT_SIZE_BYTES {
        return refuse("Salt is too long");
    }
    let credential =
        ScramCredential::new(mechanism, &upsertion.salt, &upsertion.salted_password, upsertion.iterations);
    let name = upsertion.name.clone();
    Ok(MetadataRecord::UserScramCredential(UserScramCredentialRecord { name, mechanism, credential }))
}

fn check(name: &str, mechanism: i8) -> Result<ScramMechanism, ApiError> {
    let refuse = |message: &str| Err(ApiError::new(ErrorCode::UnacceptableCredential, message));
    if name.is_empty() {
        return refuse("Username must not be empty");
    }
    if name.len() > limits::MAX_NAME_SIZE_BYTES {
        return refuse("Username is too long");
    }
    ScramMechanism::from_code(mechanism)
        .ok_or_else(|| ApiError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"))
}
