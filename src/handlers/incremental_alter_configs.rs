//! IncrementalAlterConfigs (key 44), v0-1: sets, deletes, appends to and subtracts from keys (KIP-339), and sets the
//! levels of loggers (KIP-412).
//! Kafka: `ConfigAdminManager`, `ConfigurationControlManager`.

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::config_changes::{self, Asked, Subject};
use super::context::RequestContext;
use super::logger_levels;
use crate::config::dynamic::AlterOperation;
use crate::controller::{Answer, Command, ConfigAlteration};
use crate::protocol::errors::{ApiError, ErrorCode};

const DELETE: i8 = 1;

pub async fn handle(
    context: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> anyhow::Result<IncrementalAlterConfigsResponse> {
    let asked: Vec<Asked<'_>> = request
        .resources
        .iter()
        .map(|resource| Asked {
            resource_type: resource.resource_type,
            resource_name: &resource.resource_name,
            keys: resource
                .configs
                .iter()
                .map(|config| (&config.name, config.value.as_ref(), config.config_operation != DELETE))
                .collect(),
        })
        .collect();
    let services = &context.services;
    let preprocessed: Vec<Result<Subject, ApiError>> = config_changes::preprocess(&asked, services.me)
        .into_iter()
        .zip(&request.resources)
        .map(|(outcome, resource)| {
            let subject = outcome?;
            match subject {
                Subject::Metadata(_) => drop(operations(resource)?),
                Subject::Loggers => {
                    let (name, operations) = (&resource.resource_name, &resource.configs);
                    let validate_only = request.validate_only;
                    logger_levels::alter(&services.loggers, services.me, name, operations, validate_only)?;
                }
            }
            Ok(subject)
        })
        .collect();
    let alterations = preprocessed.iter().zip(&request.resources).filter_map(|(outcome, resource)| {
        let known = outcome.as_ref().ok()?.metadata()?;
        Some(ConfigAlteration { resource: known.clone(), operations: operations(resource).ok()? })
    });
    let command = Command::IncrementalAlterConfigs {
        resources: alterations.collect(),
        validate_only: request.validate_only,
    };
    let proposed = match context.services.quorum.propose(command).await {
        Ok(Answer::AlterConfigs(results)) => Ok(results),
        Ok(_) => anyhow::bail!("the controller answers another command"),
        Err(refusal) => Err(refusal),
    };
    let results = config_changes::merge(preprocessed, proposed);
    let responses =
        request.resources.iter().zip(results).map(|(resource, result)| describe(resource, result));
    Ok(IncrementalAlterConfigsResponse::default().with_responses(responses.collect()))
}

fn operations(resource: &AlterConfigsResource) -> Result<Vec<(String, AlterOperation)>, ApiError> {
    resource.configs.iter().map(|config| Ok((config.name.to_string(), operation(config)?))).collect()
}

fn operation(config: &AlterableConfig) -> Result<AlterOperation, ApiError> {
    let value = || config.value.as_ref().map(|value| value.to_string()).unwrap_or_default();
    match config.config_operation {
        0 => Ok(AlterOperation::Set(value())),
        DELETE => Ok(AlterOperation::Delete),
        2 => Ok(AlterOperation::Append(value())),
        3 => Ok(AlterOperation::Subtract(value())),
        unknown => {
            Err(ApiError::new(ErrorCode::InvalidRequest, format!("Unknown operations type {unknown}")))
        }
    }
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
