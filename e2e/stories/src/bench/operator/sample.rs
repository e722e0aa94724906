//! Counters of the operator and of the API server at one moment, and what two moments say of the time between. Touches the API server and the operator's admin port.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::api::Api;
use serde_json::json;

use super::super::idle;
use super::process::Operator;
use crate::cluster::Cluster;
use crate::helm::{DEPLOYMENT, NAMESPACE};

/// Marks the operator's requests, so that the API server counts them apart.
const FLOW: &str = "bench-operator";
/// The flow of administrators, which the bench is: the simulator, and what is looked at.
const ADMINISTRATORS: &str = "exempt";
/// How many kinds of request are told apart.
const KINDS: usize = 16;

/// Counters at one moment.
pub struct Sample {
    /// CPU seconds of the operator.
    pub cpu: f64,
    pub status_writes: f64,
    pub writes: f64,
    pub polls: f64,
    pub looks: f64,
    server_cpu: f64,
    server_bytes: f64,
    /// Requests by flow.
    flows: BTreeMap<[String; 1], f64>,
    /// Requests by verb, resource and subresource.
    kinds: BTreeMap<[String; 3], f64>,
}

impl Sample {
    pub async fn take(cluster: &Cluster, operator: &Operator) -> Result<Self> {
        let server = idle::counters(cluster).await?;
        let own = operator.counters().await?;
        Ok(Self {
            cpu: operator.usage()?.1,
            status_writes: idle::status_writes(&server),
            writes: own.sum("medallion_operator_writes_total", &[]),
            polls: own.sum("medallion_operator_progress_polls_total", &[]),
            looks: own.sum("medallion_operator_reconciles_total", &[]),
            server_cpu: server.sum("process_cpu_seconds_total", &[]),
            server_bytes: server.sum("process_resident_memory_bytes", &[]),
            flows: server.sums_by("apiserver_flowcontrol_dispatched_requests_total", ["flow_schema"]),
            kinds: server.sums_by("apiserver_request_total", ["verb", "resource", "subresource"]),
        })
    }

    fn requests(&self, of: impl Fn(&str) -> bool) -> f64 {
        let flows = self.flows.iter().filter(|([flow], _)| of(flow));
        flows.map(|(_, count)| count).sum()
    }
}

/// What the API server has done in so many seconds, and for whom: row, figure, limit.
pub fn of_server(before: &Sample, after: &Sample, took: f64) -> Vec<(String, String, String)> {
    let cpu = (after.server_cpu - before.server_cpu) / took;
    let of = |of: fn(&str) -> bool| (after.requests(of) - before.requests(of)) / took;
    let all = of(|_| true).max(1e-9);
    let row = |what: &str, figure: String, limit: String| (what.to_owned(), figure, limit);
    let client = |what: &str, count: f64| {
        row(
            what,
            format!("{count:.1}/s"),
            format!("{:.0} % of all", count / all * 100.0),
        )
    };
    vec![
        row(
            "CPU of the API server",
            format!("{:.1} s a minute", cpu * 60.0),
            format!("{:.0} % of a core", cpu * 100.0),
        ),
        row(
            "resident memory of the API server",
            format!("{:.0} MiB", after.server_bytes / f64::from(1 << 20)),
            String::new(),
        ),
        client("API requests of the operator", of(|flow| flow == FLOW)),
        client("API requests of the simulator", of(|flow| flow == ADMINISTRATORS)),
        client(
            "API requests of others",
            of(|flow| flow != FLOW && flow != ADMINISTRATORS),
        ),
    ]
}

/// The most frequent requests, whoever made them.
pub fn by_kind(before: &Sample, after: &Sample, took: f64) -> Vec<String> {
    let mut rates: Vec<_> = after
        .kinds
        .iter()
        .map(|(kind, count)| (kind, (count - before.kinds.get(kind).unwrap_or(&0.0)) / took))
        .filter(|(_, rate)| *rate >= 0.05)
        .collect();
    rates.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    rates.truncate(KINDS);
    rates
        .into_iter()
        .map(|([verb, resource, subresource], rate)| {
            let slash = if subresource.is_empty() { "" } else { "/" };
            format!("{rate:>7.1}/s {verb} {resource}{slash}{subresource}")
        })
        .collect()
}

/// The API server counts by flow, not by user: the operator gets one of its own.
pub async fn mark_requests(cluster: &Cluster) -> Result<()> {
    let api: Api<FlowSchema> = Api::all(cluster.client.clone());
    let object = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": FLOW},
        "spec": {
            "priorityLevelConfiguration": {"name": "workload-high"},
            "matchingPrecedence": 700,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{
                "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": DEPLOYMENT, "namespace": NAMESPACE}}],
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
                }],
            }],
        },
    });
    cluster.apply(&api, FLOW, &object).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(flows: [(&str, f64); 3], pods: f64) -> Sample {
        let flows = flows.map(|(flow, count)| ([flow.to_owned()], count));
        let kind = ["POST", "pods", ""].map(str::to_owned);
        Sample {
            cpu: 0.0,
            status_writes: 0.0,
            writes: 0.0,
            polls: 0.0,
            looks: 0.0,
            server_cpu: pods,
            server_bytes: 0.0,
            flows: flows.into(),
            kinds: [(kind, pods)].into(),
        }
    }

    #[test]
    fn requests_are_told_apart_by_who_made_them() {
        let before = sample([(FLOW, 0.0), (ADMINISTRATORS, 0.0), ("global-default", 0.0)], 0.0);
        let after = sample([(FLOW, 30.0), (ADMINISTRATORS, 20.0), ("global-default", 50.0)], 10.0);
        let rows = of_server(&before, &after, 10.0);
        let figures: Vec<_> = rows
            .iter()
            .map(|(_, figure, limit)| format!("{figure}, {limit}"))
            .collect();
        assert_eq!(
            figures,
            [
                "60.0 s a minute, 100 % of a core",
                "0 MiB, ",
                "3.0/s, 30 % of all",
                "2.0/s, 20 % of all",
                "5.0/s, 50 % of all"
            ]
        );
        assert_eq!(by_kind(&before, &after, 10.0), ["    1.0/s POST pods"]);
    }
}
