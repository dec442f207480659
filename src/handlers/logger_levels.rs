//! The BROKER_LOGGER resource of DescribeConfigs and IncrementalAlterConfigs: the levels of this process's loggers
//! (KIP-412). They are nobody's metadata, so the controller is not asked. Kafka: `RuntimeLoggerManager`.

use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;

use super::wire;
use crate::config::describe::Wanted;
use crate::protocol::errors::{ApiError, ErrorCode};
use crate::protocol::ids::BrokerId;
use crate::telemetry::loggers::{Level, Loggers, ROOT};

/// `ConfigResource.Type.BROKER_LOGGER`
pub const BROKER_LOGGER: i8 = 8;
/// `ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG`
const SOURCE: i8 = 6;

/// The loggers that are asked for, with the levels that count.
pub fn describe(
    loggers: &Loggers,
    me: BrokerId,
    resource_name: &str,
    wanted: &Wanted<'_>,
) -> Result<Vec<DescribeConfigsResourceResult>, ApiError> {
    if resource_name.is_empty() {
        return Err(invalid("Broker id must not be empty"));
    }
    match resource_name.parse::<i32>() {
        Ok(id) if id == me.0 => {}
        Ok(_) => {
            let message = format!("Unexpected broker id, expected {me} but received {resource_name}");
            return Err(invalid(message));
        }
        Err(_) => return Err(invalid(format!("Broker id must be an integer, but it is: {resource_name}"))),
    }
    let asked = loggers.levels().into_iter().filter(|(name, _)| wanted.wants(name));
    let described = asked.map(|(name, level)| {
        DescribeConfigsResourceResult::default()
            .with_name(name.into())
            .with_value(Some(wire::text(level.name())))
            .with_config_source(SOURCE)
            .with_documentation(Some(wire::text("")))
    });
    Ok(described.collect())
}

/// Checks all of the operations, and then does them.
pub fn alter(
    loggers: &Loggers,
    me: BrokerId,
    resource_name: &str,
    operations: &[AlterableConfig],
    validate_only: bool,
) -> Result<(), ApiError> {
    match resource_name.parse::<i32>() {
        Ok(id) if id == me.0 => {}
        Ok(_) => {
            let message = format!("Unexpected node id. Expected {me}, but received {resource_name}");
            return Err(invalid(message));
        }
        Err(_) => return Err(invalid(format!("Node id must be an integer, but it is: {resource_name}"))),
    }
    let changes: Vec<(&str, Option<Level>)> =
        operations.iter().map(|operation| check(loggers, operation)).collect::<Result<_, _>>()?;
    if validate_only {
        return Ok(());
    }
    for (logger, level) in changes {
        match level {
            Some(level) => loggers.set(logger, level),
            None => loggers.unset(logger),
        }
        tracing::warn!(logger, level = level.map(Level::name), "changed the level of a logger");
    }
    Ok(())
}

/// The logger and its new level; `None` takes its own away.
fn check<'a>(
    loggers: &Loggers,
    operation: &'a AlterableConfig,
) -> Result<(&'a str, Option<Level>), ApiError> {
    let name = operation.name.as_str();
    let invalid_config = |message: String| Err(ApiError::new(ErrorCode::InvalidConfig, message));
    let forbidden =
        |what: String| Err(invalid(format!("{what} is not allowed for the BROKER_LOGGER resource")));
    match operation.config_operation {
        2 => return forbidden("APPEND operation".to_owned()),
        3 => return forbidden("SUBTRACT operation".to_owned()),
        0 | 1 => {}
        unknown => return forbidden(format!("Unknown operation type {unknown}")),
    }
    if !loggers.exists(name) {
        return invalid_config(format!("Logger {name} does not exist!"));
    }
    if operation.config_operation == 1 {
        if name == ROOT {
            return Err(invalid("Removing the log level of the root logger is not allowed"));
        }
        return Ok((name, None));
    }
    let text = operation.value.as_deref().unwrap_or_default();
    match Level::from_name(text) {
        Some(level) => Ok((name, Some(level))),
        None => {
            let valid = Level::SETTABLE.map(Level::name).join(", ");
            invalid_config(format!(
                "Cannot set the log level of {name} to {text} as it is not a supported log level. Valid log levels \
                 are {valid}"
            ))
        }
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}
