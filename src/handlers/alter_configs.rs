//! AlterConfigs (key 33), v0-2: replaces all of a resource's own values (KIP-133).
//! Kafka: `ConfigAdminManager`, `ConfigurationControlManager.legacyAlterConfigs`.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::config_changes::{self, Asked, Subject};
use super::context::RequestContext;
use super::logger_levels::BROKER_LOGGER;
use crate::controller::{Answer, Command, ConfigReplacement};
use crate::protocol::errors::{ApiError, ErrorCode};

pub async fn handle(
    context: &RequestContext,
    request: AlterConfigsRequest,
) -> anyhow::Result<AlterConfigsResponse> {
    let asked: Vec<Asked<'_>> = request
        .resources
        .iter()
        .map(|resource| Asked {
            resource_type: resource.resource_type,
            resource_name: &resource.resource_name,
            keys: resource.configs.iter().map(|config| (&config.name, config.value.as_ref(), true)).collect(),
        })
        .collect();
    // A logger has no set of values that could be replaced as a whole.
    let no_loggers = |subject: Subject| match subject {
        Subject::Metadata(resource) => Ok(Subject::Metadata(resource)),
        Subject::Loggers => {
            let sentence = format!("Unknown resource type {BROKER_LOGGER}");
            Err(ApiError::new(ErrorCode::InvalidRequest, sentence))
        }
    };
    let preprocessed: Vec<Result<Subject, ApiError>> =
        config_changes::preprocess(&asked, context.services.me)
            .into_iter()
            .map(|outcome| outcome.and_then(no_loggers))
            .collect();
    let replacements = preprocessed.iter().zip(&request.resources).filter_map(|(outcome, resource)| {
        let values = resource
            .configs
            .iter()
            .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
        Some(ConfigReplacement {
            resource: outcome.as_ref().ok()?.metadata()?.clone(),
            values: values.collect(),
        })
    });
    let command =
        Command::AlterConfigs { resources: replacements.collect(), validate_only: request.validate_only };
    let proposed = match context.services.quorum.propose(command).await {
        Ok(Answer::AlterConfigs(results)) => Ok(results),
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => Err(refusal),
    };
    let results = config_changes::merge(preprocessed, proposed);
    let responses =
        request.resources.iter().zip(results).map(|(resource, result)| describe(resource, result));
    Ok(AlterConfigsResponse::default().with_responses(responses.collect()))
}

fn describe(resource: &AlterConfigsResource, result: Result<(), ApiError>) -> AlterConfigsResourceResponse {
    let response = AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    match result {
        Ok(()) => response.with_error_message(None),
        Err(refusal) => {
            response.with_error_code(refusal.code.code()).with_error_message(refusal.wire_message())
        }
    }
}
