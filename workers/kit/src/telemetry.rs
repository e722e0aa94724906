//! Structured logs on standard output: JSON lines in a pod, readable text on a terminal. No network.

use std::io::IsTerminal;

use medallion_crds::Worker;
use medallion_crds::launch::environment;
use medallion_metrics::CountErrors;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The product's own libraries; its workers are [`Worker::ALL`].
const OWN_LIBRARIES: [&str; 5] = [
    "worker_kit",
    "medallion_contract",
    "medallion_lake",
    "medallion_metrics",
    "kafka_client",
];

/// Starts logging; a second call changes nothing.
pub(crate) fn start() {
    let wanted = std::env::var(environment::LOG).unwrap_or_default();
    let filter = filter(&wanted);
    // A failure means that a subscriber is there already, as in tests.
    let _ = if std::io::stdout().is_terminal() {
        let text = tracing_subscriber::fmt().with_env_filter(filter).compact();
        text.finish().with(CountErrors).try_init()
    } else {
        lines(filter).finish().with(CountErrors).try_init()
    };
}

/// A log in lines, each one JSON object with what is said of it at its top, where metric filters look.
pub(crate) fn lines(filter: EnvFilter) -> SubscriberBuilder<JsonFields, Format<Json>, EnvFilter> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    builder.json().flatten_event(true).with_current_span(false)
}

/// A single level is that of the product's own words; what libraries have to say is read at warn, for theirs would drown
/// them. Whoever wants more of a library names it, as in `info,delta_kernel=debug`.
fn filter(wanted: &str) -> EnvFilter {
    let directives: Vec<&str> = wanted
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let level = directives.iter().find_map(|part| part.parse::<LevelFilter>().ok());
    let own = level.unwrap_or(LevelFilter::INFO);
    let workers = Worker::ALL.map(|worker| worker.as_str().replace('-', "_"));
    let own = workers
        .iter()
        .map(String::as_str)
        .chain(OWN_LIBRARIES)
        .map(|target| format!("{target}={own}"));
    let named = directives
        .iter()
        .filter(|part| part.parse::<LevelFilter>().is_err())
        .map(|part| (*part).to_owned());
    // A level of off is for all.
    let libraries = LevelFilter::WARN.min(level.unwrap_or(LevelFilter::WARN)).to_string();
    let all: Vec<String> = [libraries].into_iter().chain(own).chain(named).collect();
    // What cannot be read is said on standard error and passed over: a misspelt filter must not stop a worker.
    EnvFilter::new(all.join(","))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    macro_rules! shown {
        ($filter:expr, $target:literal) => {
            tracing::subscriber::with_default(
                tracing_subscriber::fmt().with_env_filter(filter($filter)).finish(),
                || {
                    [
                        tracing::event_enabled!(target: $target, Level::DEBUG),
                        tracing::event_enabled!(target: $target, Level::INFO),
                        tracing::event_enabled!(target: $target, Level::WARN),
                        tracing::event_enabled!(target: $target, Level::ERROR),
                    ]
                    .map(|shown| if shown { 'x' } else { '-' })
                    .iter()
                    .collect::<String>()
                },
            )
        };
    }

    #[test]
    fn at_the_default_level_libraries_only_warn() {
        for wanted in ["", "info", "INFO"] {
            assert_eq!(shown!(wanted, "exporter::engine"), "-xxx");
            assert_eq!(shown!(wanted, "dbt_runner"), "-xxx");
            assert_eq!(shown!(wanted, "worker_kit::run"), "-xxx");
            assert_eq!(shown!(wanted, "medallion_lake::commit"), "-xxx");
            assert_eq!(shown!(wanted, "delta_kernel::snapshot"), "--xx");
            assert_eq!(shown!(wanted, "aws_smithy_runtime::client"), "--xx");
            assert_eq!(shown!(wanted, "aws_config::profile"), "--xx");
            assert_eq!(shown!(wanted, "librdkafka"), "--xx");
            assert_eq!(shown!(wanted, "object_store"), "--xx");
        }
    }

    #[test]
    fn a_level_is_that_of_the_product_and_a_library_is_named() {
        assert_eq!(shown!("debug", "exporter"), "xxxx");
        assert_eq!(shown!("debug", "delta_kernel"), "--xx");
        assert_eq!(shown!("warn", "exporter"), "--xx");
        assert_eq!(shown!("error", "delta_kernel"), "---x");
        assert_eq!(shown!("off", "exporter"), "----");
        assert_eq!(shown!("off", "delta_kernel"), "----");
        assert_eq!(shown!("info,delta_kernel=debug", "delta_kernel::log"), "xxxx");
        assert_eq!(shown!("consumer=debug", "consumer::poll"), "xxxx");
        assert_eq!(shown!("consumer=debug", "exporter"), "-xxx");
        assert_eq!(shown!("nonsense=loud", "exporter"), "-xxx");
    }
}
