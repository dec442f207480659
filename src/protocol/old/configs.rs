//! DescribeConfigs (key 32), v0: without synonyms, and without the sources of values (KIP-226, v1). Kafka:
//! `DescribeConfigsRequest.json`, `DescribeConfigsResponse.json` of 3.9.

use bytes::BufMut;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{FLEXIBLE, OldRequest, OldResponse};
use crate::protocol::body::Body;
use crate::protocol::wire::{Malformed, put_count, put_string};

const SOURCES_SINCE: i16 = 1;
/// What a resource takes at least, and the name of a key.
const LEAST_RESOURCE_SIZE_BYTES: usize = 7;
const LEAST_KEY_SIZE_BYTES: usize = 2;

impl OldRequest for DescribeConfigsRequest {
    const SAME_SINCE: i16 = SOURCES_SINCE;

    fn read_old(body: &mut Body<'_>, _version: i16) -> Result<DescribeConfigsRequest, Malformed> {
        let resources = body.array(LEAST_RESOURCE_SIZE_BYTES, |body| {
            Ok(DescribeConfigsResource::default()
                .with_resource_type(body.reader.i8()?)
                .with_resource_name(body.string()?)
                .with_configuration_keys(body.nullable_array(LEAST_KEY_SIZE_BYTES, Body::string)?))
        })?;
        Ok(DescribeConfigsRequest::default().with_resources(resources))
    }
}

impl OldResponse for DescribeConfigsResponse {
    const SAME_SINCE: i16 = SOURCES_SINCE;

    fn write_old(&self, out: &mut Vec<u8>, _version: i16) -> anyhow::Result<()> {
        out.put_i32(self.throttle_time_ms);
        put_count(out, FLEXIBLE, self.results.len());
        self.results.iter().for_each(|result| put_result(out, result));
        Ok(())
    }
}

fn put_result(out: &mut Vec<u8>, result: &DescribeConfigsResult) {
    /// Kafka has not set it since a value has a source, whatever the source is.
    const IS_DEFAULT: bool = false;
    out.put_i16(result.error_code);
    put_string(out, FLEXIBLE, result.error_message.as_deref());
    out.put_i8(result.resource_type);
    put_string(out, FLEXIBLE, Some(&result.resource_name));
    put_count(out, FLEXIBLE, result.configs.len());
    for config in &result.configs {
        put_string(out, FLEXIBLE, Some(&config.name));
        put_string(out, FLEXIBLE, config.value.as_deref());
        out.put_u8(u8::from(config.read_only));
        out.put_u8(u8::from(IS_DEFAULT));
        out.put_u8(u8::from(config.is_sensitive));
    }
}
