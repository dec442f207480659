//! Log lines on standard output: `[time] LEVEL message key=value (module)`, in the order Kafka's log4j
//! pattern has, since people and test harnesses look for known sentences in them. Times are UTC.

use std::fmt;

use anyhow::Context;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::env::clock::Clock;
use crate::protocol::ids::Timestamp;
use crate::telemetry::loggers::Loggers;

/// What is logged when nothing else is asked for.
pub const DEFAULT_LEVELS: &str = "info,openraft=warn";

/// Starts logging for the process. `levels` is a level or a list as in `info,klamm::net=debug`; what is returned changes
/// them.
pub fn start(levels: &str, clock: Clock) -> anyhow::Result<Loggers> {
    let targets: Targets = levels.parse().with_context(|| {
        format!("cannot read log levels {levels:?}: use a level (error, warn, info, debug, trace) or info,klamm::net=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer().event_format(Lines { clock }).with_ansi(false);
    let (filter, handle) = reload::Layer::new(targets.clone());
    tracing_subscriber::registry().with(filter).with(lines).try_init().context("start logging")?;
    Ok(Loggers::new(targets, move |targets| {
        // Fails only when the subscriber is gone, and then there is nothing to filter.
        let _ = handle.reload(targets);
    }))
}

/// The format of a line.
struct Lines {
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        write!(writer, "[{}] {} ", LogTime(self.clock.now()), metadata.level())?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer, " ({})", metadata.target())
    }
}

/// A point in time as log4j writes it.
struct LogTime(Timestamp);

impl fmt::Display for LogTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        let (days, in_day_ms) = (self.0.0.div_euclid(DAY_MS), self.0.0.rem_euclid(DAY_MS));
        let (year, month, day) = civil_date(days);
        let (seconds, millis) = (in_day_ms / 1000, in_day_ms % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{millis:03}")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years begin in March
/// here, so that the leap day is the last of its year; an era is 400 years.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    const DAYS_FROM_ERA_START_TO_1970: i64 = 719_468;
    let days = days + DAYS_FROM_ERA_START_TO_1970;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::telemetry::loggers::Level;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_time_level_message_fields_and_module() {
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Lines { clock: Clock::manual(Timestamp(1_795_276_799_007)) })
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "klamm::broker", node_id = 1, "Kafka Server started");
        });
        let text = String::from_utf8(sink.0.lock().clone()).expect("text");
        assert_eq!(text, "[2026-11-21 15:59:59,007] INFO Kafka Server started node_id=1 (klamm::broker)\n");
    }

    #[test]
    fn a_level_that_is_set_counts_for_the_next_line() {
        let sink = Sink::default();
        let writer = sink.clone();
        let targets: Targets = "info".parse().expect("a level");
        let (filter, handle) = reload::Layer::new(targets.clone());
        let loggers = Loggers::new(targets, move |targets| handle.reload(targets).expect("it is in use"));
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Lines { clock: Clock::manual(Timestamp(0)) })
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let log = |word: &str| tracing::debug!(target: "klamm::net", "{word}");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter).with(lines), || {
            log("first");
            loggers.set("klamm::net", Level::Debug);
            log("second");
            loggers.unset("klamm::net");
            log("third");
        });
        let text = String::from_utf8(sink.0.lock().clone()).expect("text");
        assert_eq!(text, "[1970-01-01 00:00:00,000] DEBUG second (klamm::net)\n");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_512, (2026, 2, 28)),
            (20_513, (2026, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil_date(days), expected);
        }
    }

    #[test]
    fn levels_that_are_none_are_refused_by_name() {
        let error = start("info,klamm::net=loud", Clock::system()).err().expect("loud is no level");
        assert!(error.to_string().contains("klamm::net=loud"));
    }
}
