//! Quotas and credentials.

use super::*;
use crate::security::entity::{QuotaEntity, QuotaValue};
use crate::security::scram::{SaltedPassword, ScramMechanism};

pub(super) fn entity(parts: &[(&str, Option<&str>)]) -> QuotaEntity {
    QuotaEntity::new(parts.iter().map(|(kind, name)| (*kind, name.map(str::to_owned))))
}

pub(super) fn quotas(parts: &[(&str, Option<&str>)], operations: &[(&str, Option<f64>)]) -> QuotaAlteration {
    let operations = operations.iter().map(|(key, value)| (key.to_string(), value.map(QuotaValue)));
    QuotaAlteration { entity: entity(parts), operations: operations.collect() }
}

fn alter_quotas(
    cluster: &mut Cluster,
    alterations: Vec<QuotaAlteration>,
) -> Vec<(QuotaEntity, Result<(), ApiError>)> {
    match cluster.run(Command::AlterClientQuotas { alterations, validate_only: false }).unwrap() {
        Answer::AlterClientQuotas(results) => results,
        other => panic!("{other:?}"),
    }
}

fn quota(cluster: &Cluster, parts: &[(&str, Option<&str>)], key: &str) -> Option<f64> {
    Some(cluster.image.client_quotas.get(&entity(parts))?.get(key)?.0)
}

#[test]
fn quotas_are_set_changed_and_removed() {
    let mut cluster = Cluster::empty();
    let alice = [("user", Some("alice"))];
    let both = [("user", Some("alice")), ("client-id", None)];
    let set = vec![
        quotas(&alice, &[("producer_byte_rate", Some(100.0)), ("request_percentage", Some(0.5))]),
        quotas(&both, &[("consumer_byte_rate", Some(7.0))]),
        quotas(&[("ip", None)], &[("connection_creation_rate", Some(3.0))]),
    ];
    assert!(alter_quotas(&mut cluster, set).iter().all(|(_, result)| result.is_ok()));
    assert_eq!(quota(&cluster, &alice, "producer_byte_rate"), Some(100.0));
    assert_eq!(quota(&cluster, &both, "consumer_byte_rate"), Some(7.0));

    let change = [("producer_byte_rate", None), ("request_percentage", Some(0.5))];
    alter_quotas(&mut cluster, vec![quotas(&alice, &change)]);
    assert_eq!(cluster.log.last().unwrap().len(), 1, "what stays as it is is not written");
    assert_eq!(quota(&cluster, &alice, "producer_byte_rate"), None);
    alter_quotas(&mut cluster, vec![quotas(&alice, &[("request_percentage", None)])]);
    assert!(!cluster.image.client_quotas.contains_key(&entity(&alice)));
    alter_quotas(&mut cluster, vec![quotas(&alice, &[("request_percentage", None)])]);
    assert!(cluster.log.last().unwrap().is_empty());
}

#[test]
fn a_quota_that_is_only_validated_is_not_set() {
    let alterations = vec![quotas(&[("user", None)], &[("producer_byte_rate", Some(1.0))])];
    let command = Command::AlterClientQuotas { alterations, validate_only: true };
    assert!(Cluster::empty().decide(&command).unwrap().records.is_empty());
}

#[test]
fn quotas_that_make_no_sense_are_refused_in_kafkas_words() {
    let rate = [("producer_byte_rate", Some(1.0))];
    let user: &[(&str, Option<&str>)] = &[("user", None)];
    let long = "x".repeat(40_000);
    let unknown_host = quotas(&[("ip", Some("nowhere"))], &[]);
    let cases = [
        (quotas(&[], &rate), "Invalid empty client quota entity"),
        (quotas(&[("group", None)], &rate), "Unhandled client quota entity type: group"),
        (quotas(&[("user", Some(""))], &rate), "Empty user not supported"),
        (quotas(&[("user", Some(&long))], &rate), "The name of this user is too long"),
        (
            quotas(&[("ip", None), ("user", None)], &rate),
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ),
        (unknown_host, "nowhere is not a valid IP or resolvable host."),
        (quotas(&[("ip", None)], &rate), "Invalid configuration key producer_byte_rate"),
        (quotas(user, &[("bogus", Some(1.0))]), "Invalid configuration key bogus"),
        (
            quotas(user, &[("producer_byte_rate", Some(0.0))]),
            "Quota producer_byte_rate must be greater than 0",
        ),
        (
            quotas(user, &[("request_percentage", Some(f64::NAN))]),
            "Quota request_percentage must be a finite number",
        ),
        (
            quotas(user, &[("controller_mutation_rate", Some(f64::INFINITY))]),
            "Quota controller_mutation_rate must be a finite number",
        ),
        (
            quotas(user, &[("consumer_byte_rate", Some(1.5))]),
            "consumer_byte_rate cannot be a fractional value.",
        ),
        (
            quotas(user, &[("consumer_byte_rate", Some(1e19))]),
            "Proposed value for consumer_byte_rate is too large for a LONG.",
        ),
        (
            quotas(&[("ip", None)], &[("connection_creation_rate", Some(1e10))]),
            "Proposed value for connection_creation_rate is too large for an INT.",
        ),
        (
            quotas(user, &[("producer_byte_rate", None), ("producer_byte_rate", Some(1.0))]),
            "Ignoring duplicate entity ClientQuotaEntity(entries={user=null})",
        ),
    ];
    for (alteration, message) in cases {
        let mut results = alter_quotas(&mut Cluster::empty(), vec![alteration]);
        assert_eq!(refusal(results.remove(0).1), (ErrorCode::InvalidRequest, message.to_owned()));
    }
}

pub(super) fn upsertion(name: &str, mechanism: i8, iterations: i32) -> ScramUpsertion {
    ScramUpsertion {
        name: name.to_owned(),
        mechanism,
        iterations,
        salt: vec![1, 2, 3],
        salted_password: SaltedPassword(vec![4; 32]),
    }
}

fn deletion(name: &str, mechanism: i8) -> ScramDeletion {
    ScramDeletion { name: name.to_owned(), mechanism }
}

fn alter_credentials(
    cluster: &mut Cluster,
    deletions: Vec<ScramDeletion>,
    upsertions: Vec<ScramUpsertion>,
) -> Vec<(String, Result<(), ApiError>)> {
    match cluster.run(Command::AlterUserScramCredentials { deletions, upsertions }).unwrap() {
        Answer::AlterUserScramCredentials(results) => results,
        other => panic!("{other:?}"),
    }
}

#[test]
fn credentials_are_set_replaced_and_deleted() {
    let mut cluster = Cluster::empty();
    let upsertions = vec![upsertion("alice", 1, 4096), upsertion("bob", 2, 16384)];
    assert!(alter_credentials(&mut cluster, vec![], upsertions).iter().all(|(_, result)| result.is_ok()));
    alter_credentials(&mut cluster, vec![], vec![upsertion("alice", 2, 8192)]);
    alter_credentials(&mut cluster, vec![], vec![upsertion("alice", 1, 5000)]);
    let alice = |cluster: &Cluster, mechanism| {
        let key = ("alice".to_owned(), mechanism);
        cluster.image.scram_credentials.get(&key).map(|credential| credential.iterations)
    };
    assert_eq!(alice(&cluster, ScramMechanism::Sha256), Some(5000));
    assert_eq!(alice(&cluster, ScramMechanism::Sha512), Some(8192));
    alter_credentials(&mut cluster, vec![deletion("alice", 2)], vec![]);
    assert_eq!(alice(&cluster, ScramMechanism::Sha256), Some(5000));
    assert_eq!(alice(&cluster, ScramMechanism::Sha512), None);
}

#[test]
fn credentials_that_make_no_sense_are_refused_in_kafkas_words() {
    use ErrorCode::{ResourceNotFound, UnacceptableCredential, UnsupportedSaslMechanism};
    let mut cluster = Cluster::empty();
    let mut refused =
        |deletion: Option<ScramDeletion>, upsertion: Option<ScramUpsertion>, code, message: &str| {
            let deletions = deletion.into_iter().collect();
            let mut results = alter_credentials(&mut cluster, deletions, upsertion.into_iter().collect());
            assert_eq!(refusal(results.remove(0).1), (code, message.to_owned()));
            assert!(cluster.image.scram_credentials.is_empty());
        };
    let missing = "Attempt to delete a user credential that does not exist";
    refused(Some(deletion("alice", 1)), None, ResourceNotFound, missing);
    refused(Some(deletion("", 1)), None, UnacceptableCredential, "Username must not be empty");
    refused(Some(deletion("alice", 3)), None, UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    refused(None, Some(upsertion("alice", 0, 4096)), UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    refused(None, Some(upsertion("alice", 1, 4095)), UnacceptableCredential, "Too few iterations");
    let long = "x".repeat(40_000);
    refused(None, Some(upsertion(&long, 1, 4096)), UnacceptableCredential, "Username is too long");
    let salted = ScramUpsertion { salt: vec![1; 1025], ..upsertion("alice", 1, 4096) };
    refused(None, Some(salted), UnacceptableCredential, "Salt is too long");
    refused(None, Some(upsertion("alice", 2, 16385)), UnacceptableCredential, "Too many iterations");
}

#[test]
fn a_user_is_altered_once_in_a_request() {
    let mut cluster = Cluster::empty();
    alter_credentials(&mut cluster, vec![], vec![upsertion("alice", 1, 4096)]);
    let upsertions = vec![upsertion("alice", 2, 4096), upsertion("bob", 1, 4096)];
    let results = alter_credentials(&mut cluster, vec![deletion("alice", 1)], upsertions);
    let message = "A user credential cannot be altered twice in the same request";
    assert_eq!(refusal(results[0].1.clone()), (ErrorCode::DuplicateResource, message.to_owned()));
    assert_eq!(results[1], ("bob".to_owned(), Ok(())));
    assert!(cluster.image.scram_credentials.contains_key(&("alice".to_owned(), ScramMechanism::Sha256)));
}
