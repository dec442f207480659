//! ApiVersions (key 18), v0-5: what is served, and which protocol features are on.
//!
//! KIP-35, KIP-511 (client software), KIP-584 (features), KIP-1022 (features whose minimum is 0), KIP-1242
//! (v5 names the cluster and node the client expects). Written by hand for v5, which the codec crate lacks.
//! Kafka: `ApiVersionManager`, `ApiVersionsRequest`.

use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::context::RequestContext;
use super::releases::Release;
use super::reply::Output;
use super::table::Api;
use super::wire;
use crate::controller::ClusterImage;
use crate::protocol::errors::ErrorCode;
use crate::protocol::wire::{Reader, text as wire_text};

/// What v5 says about whom the client believes to talk to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    cluster_id: Option<String>,
    /// -1 when the client does not know.
    node_id: i32,
}

const UNKNOWN_NODE: i32 = -1;

impl Expected {
    /// KIP-1242: cluster and node are both named, or neither is.
    fn is_whole(&self) -> bool {
        self.cluster_id.is_some() == (self.node_id != UNKNOWN_NODE)
    }

    fn is_met(&self, cluster_id: &str, node_id: i32) -> bool {
        self.cluster_id.as_deref().is_none_or(|id| id == cluster_id && self.node_id == node_id)
    }
}

/// Answers into `out`. `body` has passed the shape check.
pub fn handle(context: &RequestContext, body: &[u8], out: &mut Output) -> anyhow::Result<()> {
    let (request, expected) = decode(body, context.version)?;
    let image = context.services.image();
    let response = if !valid_software(&request, context.version) || !expected.is_whole() {
        ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code())
    } else if !expected.is_met(&image.cluster_id, context.services.me.0) {
        ApiVersionsResponse::default().with_error_code(ErrorCode::RebootstrapRequired.code())
    } else {
        respond(context.version, context.services.release, &image)
    };
    context.count_errors(&response);
    out.throttle_ms = context.throttle_request();
    let response = response.with_throttle_time_ms(out.throttle_ms as i32);
    // v5 answers with the fields of v4.
    let encoded_version = context.version.min(4);
    context.respond_with(out, &response, encoded_version)
}

/// The answer to a version of ours that does not exist: v0 with the range that does, so that any client can
/// read it and ask again. Releases before KIP-511 leave the range out.
pub fn refuse(known: Option<&Api>, correlation_id: i32, out: &mut Output) -> anyhow::Result<()> {
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(known.into_iter().map(advertise).collect());
    let mut result = Ok(());
    out.respond(correlation_id, false, |out| result = response.encode(&mut out.bytes, 0));
    result
}

fn decode(body: &[u8], version: i16) -> anyhow::Result<(ApiVersionsRequest, Expected)> {
    if version < 5 {
        let request = ApiVersionsRequest::decode(&mut { body }, version)?;
        return Ok((request, Expected { cluster_id: None, node_id: UNKNOWN_NODE }));
    }
    let mut reader = Reader::new(body, 0, true);
    let name = reader.owned_string()?;
    let software_version = reader.owned_string()?;
    let cluster_id = reader.nullable_string()?.map(|range| wire_text(body, range).to_owned());
    let node_id = reader.i32()?;
    let request = ApiVersionsRequest::default()
        .with_client_software_name(name.into())
        .with_client_software_version(software_version.into());
    Ok((request, Expected { cluster_id, node_id }))
}

/// KIP-511: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, both for name and version.
fn valid_software(request: &ApiVersionsRequest, version: i16) -> bool {
    let valid = |text: &str| {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
        first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric()
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'.')
    };
    version < 3 || (valid(&request.client_software_name) && valid(&request.client_software_version))
}

fn advertise(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key)
        .with_min_version(api.advertised_min_version)
        .with_max_version(api.max_version)
}

fn respond(version: i16, release: &Release, image: &ClusterImage) -> ApiVersionsResponse {
    let supported = release
        .supported
        .iter()
        // KIP-1022: clients that speak v3 or less take a minimum of 0 for an error.
        .filter(|feature| version >= 4 || feature.min_version > 0)
        .map(|feature| {
            SupportedFeatureKey::default()
                .with_name(wire::text(feature.name))
                .with_min_version(feature.min_version)
                .with_max_version(feature.max_version)
        });
    let (epoch, finalized) = release.finalized(image);
    let finalized = finalized.into_iter().map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(wire::text(name))
            .with_min_version_level(level)
            .with_max_version_level(level)
    });
    ApiVersionsResponse::default()
        .with_api_keys(release.apis.iter().map(advertise).collect())
        .with_supported_features(supported.collect())
        .with_finalized_features_epoch(epoch)
        .with_finalized_features(finalized.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_follow_kip_511() {
        let request = |name: &'static str, version: &'static str| {
            ApiVersionsRequest::default()
                .with_client_software_name(name.into())
                .with_client_software_version(version.into())
        };
        assert!(valid_software(&request("apache-kafka-java", "4.4.0"), 3));
        assert!(!valid_software(&request("", "4.4.0"), 3));
        assert!(!valid_software(&request("librdkafka", "-1"), 4));
        assert!(valid_software(&request("", ""), 2), "versions below 3 have no such fields");
    }

    #[test]
    fn version_5_names_cluster_and_node() {
        let body = [b"\x05java".as_slice(), b"\x044.4", b"\x04abc", &[0, 0, 0, 7], &[0]].concat();
        let (request, expected) = decode(&body, 5).unwrap();
        assert_eq!(request.client_software_name.as_str(), "java");
        assert_eq!(expected, Expected { cluster_id: Some("abc".into()), node_id: 7 });
        assert!(expected.is_met("abc", 7));
        assert!(!expected.is_met("abd", 7));
        assert!(!expected.is_met("abc", 8));
        assert!(decode(&body[..10], 5).is_err());
    }

    #[test]
    fn a_client_names_cluster_and_node_or_neither() {
        let expected =
            |cluster_id: Option<&str>, node_id| Expected { cluster_id: cluster_id.map(Into::into), node_id };
        assert!(expected(Some("abc"), 7).is_whole());
        assert!(expected(None, UNKNOWN_NODE).is_whole());
        assert!(expected(None, UNKNOWN_NODE).is_met("abc", 7), "nothing is expected");
        assert!(!expected(None, 7).is_whole());
        assert!(!expected(Some("abc"), UNKNOWN_NODE).is_whole());
    }
}
