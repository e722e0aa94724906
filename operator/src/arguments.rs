//! Command line and configuration file. No network.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use hyper::Uri;
use medallion_crds::launch::ADMIN_PORT;
use medallion_plan::OperatorConfig;

use crate::function::FunctionArguments;

/// Runs the Pipelines of a Kubernetes cluster.
#[derive(Clone, Debug, Parser)]
#[command(name = "medallion-operator", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Something else than running Pipelines.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// Configuration file (YAML or JSON): images, resources, environment.
    #[arg(
        long,
        env = "MEDALLION_OPERATOR_CONFIG",
        default_value = "/etc/medallion/config.json"
    )]
    pub config: PathBuf,
    /// Namespaces whose Pipelines are run, separated by commas; none: all.
    #[arg(long, value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, default_value_t = SocketAddr::from(([0, 0, 0, 0], ADMIN_PORT)))]
    pub listen: SocketAddr,
    /// How many Pipelines are looked at side by side; each look waits for the API server most of the time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
}

/// Something else than running Pipelines.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// Looks whether an operator is ready, and whether the API server serves the kinds of its version.
    Check {
        /// The operator's /readyz; left out: only the kinds are looked at.
        #[arg(long)]
        url: Option<Uri>,
    },
    /// Packs a stage's function for AWS Lambda, with its settings and contract from a Pipeline's manifest.
    Function(FunctionArguments),
}

impl Arguments {
    /// The configuration in the file.
    pub fn configuration(&self) -> anyhow::Result<OperatorConfig> {
        let text = std::fs::read_to_string(&self.config)
            .with_context(|| format!("cannot read the configuration file {}", self.config.display()))?;
        parse(&text, &self.config)
    }

    /// What to watch: each namespace, or the whole cluster.
    pub fn namespaces(&self) -> Vec<Option<String>> {
        let mut named: Vec<_> = self
            .watch_namespaces
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        named.sort();
        named.dedup();
        if named.is_empty() {
            vec![None]
        } else {
            named.into_iter().map(Some).collect()
        }
    }
}

fn parse(text: &str, path: &Path) -> anyhow::Result<OperatorConfig> {
    serde_saphyr::from_str(text).with_context(|| format!("configuration file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use medallion_crds::Worker;

    use super::*;

    #[test]
    fn a_configuration_names_images_and_what_differs_per_worker() {
        let text = r#"
images: {workers: "medallion:1", dbtProjects: {purchases: "dbt:1"}}
environment: {AWS_ENDPOINT_URL_S3: "http://s3:7070"}
awsCredentialsSecret: aws
sizes: {large: {resources: {limits: {memory: 2Gi}}, nodeSelector: {pool: batch}}}
workers: {dbt-runner: {size: large}}
"#;
        let config = parse(text, Path::new("config.yaml")).unwrap();
        assert_eq!(config.images.dbt_projects["purchases"], "dbt:1");
        assert_eq!(config.size(Worker::DbtRunner, None).node_selector["pool"], "batch");
        assert_eq!(config.service_account_prefix, "medallion-");
    }

    #[test]
    fn a_misspelt_field_is_refused_by_name() {
        let error = parse("images: {workers: m}\nimagePullPolice: Never\n", Path::new("c.yaml")).unwrap_err();
        assert!(format!("{error:#}").contains("imagePullPolice"), "{error:#}");
    }

    #[test]
    fn a_check_needs_no_configuration() {
        let arguments = Arguments::parse_from(["operator", "check", "--url=http://operator:9090/readyz"]);
        let Some(Task::Check { url: Some(url) }) = &arguments.task else {
            panic!("no check: {arguments:?}");
        };
        assert_eq!(url.path(), "/readyz");
        assert!(Arguments::parse_from(["operator", "--config=c"]).task.is_none());
    }

    #[test]
    fn no_namespaces_mean_the_whole_cluster() {
        let arguments = |list: &str| Arguments::parse_from(["operator", "--config=c", list]);
        assert_eq!(arguments("--watch-namespaces=").namespaces(), [None]);
        assert_eq!(
            arguments("--watch-namespaces=b,a,b").namespaces(),
            [Some("a".to_owned()), Some("b".to_owned())]
        );
    }
}
