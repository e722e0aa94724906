//! The connections that the product needs and those that it forbids, judged on the rendered `NetworkPolicies`. Touches no network.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::helm::{Helm, Render};
use super::networks::{End, Port, allowed};

const RELEASE: &str = "medallion-system";
const SHOP: &str = "shop";
const WORKERS: [&str; 7] = [
    "provisioner",
    "gateway",
    "consumer",
    "exporter",
    "dbt-runner",
    "loader",
    "cataloger",
];
/// Where the API server is, as the values say.
const API_SERVER: &str = "10.0.0.5";
const AWS: &str = "52.95.110.1";
/// The agent that hands out pod identities on EKS.
const IDENTITIES: &str = "169.254.170.23";

pub async fn check(helm: &Helm, operator: &Path) -> Result<()> {
    let policies = json!({
        "enabled": true,
        "apiServer": {"cidrs": [format!("{API_SERVER}/32")]},
        "scrapers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    });
    let with = |more: Value| {
        let mut all = policies.clone();
        if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        all
    };
    let watched = json!({"watchNamespaces": [SHOP], "networkPolicies": policies});
    let everywhere = json!({"networkPolicies": with(json!({"namespaces": [SHOP]}))});
    let denied = json!({"watchNamespaces": [SHOP], "networkPolicies": with(json!({"defaultDeny": true}))});
    for values in [watched, everywhere, denied.clone()] {
        let world = World::render(helm, operator, values).await?;
        world.needed()?;
        world.forbidden()?;
        world.judge(true, &World::stranger(), &World::worker("gateway"), tcp(8080))?;
        world.judge(true, &outside(AWS), &World::worker("gateway"), tcp(8080))?;
    }
    // Beside them, what no policy names is closed.
    let world = World::render(helm, operator, denied).await?;
    for port in [53, 443, 8080] {
        world.judge(false, &World::stranger_here(), &outside(AWS), tcp(port))?;
        world.judge(false, &outside(AWS), &World::stranger_here(), tcp(port))?;
    }
    // Ports are of the protocol that they name.
    let ports = json!({"ports": [{"port": 443}, {"port": 5000, "endPort": 5009, "protocol": "UDP"}]});
    let values = json!({"watchNamespaces": [SHOP], "networkPolicies": with(json!({"egress": ports}))});
    let world = World::render(helm, operator, values).await?;
    let udp = Port {
        protocol: "UDP",
        number: 5001,
    };
    world.judge(true, &World::worker("loader"), &outside(AWS), udp)?;
    world.judge(false, &World::worker("loader"), &outside(AWS), tcp(5001))?;
    world.judge(true, &World::worker("loader"), &outside(AWS), tcp(443))?;
    // Clients of the gateway can be named.
    let clients = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}]);
    let values = json!({"watchNamespaces": [SHOP], "networkPolicies": with(json!({"gatewayClients": clients}))});
    let world = World::render(helm, operator, values).await?;
    world.judge(true, &pod("edge", &[]), &World::worker("gateway"), tcp(8080))?;
    world.judge(false, &World::stranger(), &World::worker("gateway"), tcp(8080))?;
    world.judge(false, &outside(AWS), &World::worker("gateway"), tcp(8080))
}

/// What is rendered, and the pods around it.
struct World {
    said: String,
    policies: Vec<Value>,
    operator: End,
    test: End,
}

impl World {
    async fn render(helm: &Helm, chart: &Path, values: Value) -> Result<Self> {
        let said = values.to_string();
        let objects = helm.objects(&Render::new(chart, values)).await?;
        let labels = |kind: &str, of: fn(&Value) -> &Value| {
            let object = objects
                .iter()
                .find(|object| object["kind"] == kind)
                .with_context(|| format!("no {kind} was rendered"))?;
            let labels = of(object)["metadata"]["labels"].clone();
            Ok::<_, anyhow::Error>(End::Pod {
                namespace: RELEASE.to_owned(),
                labels: serde_json::from_value(labels)?,
            })
        };
        Ok(Self {
            said,
            operator: labels("Deployment", |object| &object["spec"]["template"])?,
            test: labels("Pod", |object| object)?,
            policies: objects
                .into_iter()
                .filter(|object| object["kind"] == "NetworkPolicy")
                .collect(),
        })
    }

    fn worker(worker: &str) -> End {
        pod(
            SHOP,
            &[
                ("medallion.dev/worker", worker),
                ("medallion.dev/pipeline", "purchase-orders"),
            ],
        )
    }

    /// Some pod elsewhere.
    fn stranger() -> End {
        pod("elsewhere", &[("app", "stranger")])
    }

    /// Some pod beside the workers.
    fn stranger_here() -> End {
        pod(SHOP, &[("app", "stranger")])
    }

    fn needed(&self) -> Result<()> {
        let dns = pod("kube-system", &[("k8s-app", "kube-dns")]);
        let broker = pod("kafka", &[("app", "broker")]);
        let scraper = pod("monitoring", &[("app", "prometheus")]);
        let api_server = outside(API_SERVER);
        for from in [&self.operator, &self.test] {
            self.judge(true, from, &api_server, tcp(443))?;
            self.judge(true, from, &api_server, tcp(6443))?;
            self.judge(
                true,
                from,
                &dns,
                Port {
                    protocol: "UDP",
                    number: 53,
                },
            )?;
        }
        self.judge(true, &self.test, &self.operator, tcp(9090))?;
        self.judge(true, &scraper, &self.operator, tcp(9090))?;
        for worker in WORKERS {
            let worker = Self::worker(worker);
            self.judge(true, &self.operator, &worker, tcp(9090))?;
            self.judge(true, &scraper, &worker, tcp(9090))?;
            self.judge(true, &worker, &dns, tcp(53))?;
            self.judge(
                true,
                &worker,
                &dns,
                Port {
                    protocol: "UDP",
                    number: 53,
                },
            )?;
            self.judge(
                true,
                &worker,
                &outside("169.254.20.10"),
                Port {
                    protocol: "UDP",
                    number: 53,
                },
            )?;
            self.judge(true, &worker, &broker, tcp(9092))?;
            self.judge(true, &worker, &outside("10.0.8.8"), tcp(9098))?;
            self.judge(true, &worker, &outside(AWS), tcp(443))?;
            self.judge(true, &worker, &outside("2600:1f00::1"), tcp(443))?;
            self.judge(true, &worker, &outside(IDENTITIES), tcp(80))?;
        }
        Ok(())
    }

    fn forbidden(&self) -> Result<()> {
        // Another namespace's pod with the operator's labels.
        let End::Pod { labels, .. } = &self.operator else {
            unreachable!("the operator is a pod");
        };
        let imitator = End::Pod {
            namespace: "elsewhere".to_owned(),
            labels: labels.clone(),
        };
        let strangers = [Self::stranger(), Self::stranger_here(), imitator, outside(AWS)];
        for worker in WORKERS {
            let end = Self::worker(worker);
            self.judge(false, &end, &outside(API_SERVER), tcp(443))?;
            self.judge(false, &end, &outside(API_SERVER), tcp(6443))?;
            // Nor the node's own identity.
            self.judge(false, &end, &outside("169.254.169.254"), tcp(80))?;
            self.judge(false, &end, &outside(AWS), tcp(25))?;
            for from in strangers.iter().chain(&WORKERS.map(Self::worker)) {
                self.judge(false, from, &end, tcp(9090))?;
                if worker != "gateway" {
                    self.judge(false, from, &end, tcp(8080))?;
                }
            }
        }
        for from in &strangers {
            self.judge(false, from, &self.operator, tcp(9090))?;
        }
        self.judge(false, &self.operator, &outside(AWS), tcp(443))?;
        self.judge(false, &self.operator, &Self::worker("gateway"), tcp(8080))?;
        self.judge(false, &self.operator, &Self::stranger(), tcp(9090))?;
        self.judge(false, &self.operator, &Self::stranger_here(), tcp(9090))
    }

    fn judge(&self, wanted: bool, from: &End, to: &End, port: Port) -> Result<()> {
        let found = allowed(&self.policies, from, to, port)?;
        ensure!(
            found == wanted,
            "{from:?} to {to:?}, {port:?}, must {}be let through, with {}",
            if wanted { "" } else { "not " },
            self.said
        );
        Ok(())
    }
}

fn pod(namespace: &str, labels: &[(&str, &str)]) -> End {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    End::Pod {
        namespace: namespace.to_owned(),
        labels: labels.collect::<BTreeMap<_, _>>(),
    }
}

/// # Panics
/// On what is no address: they are written above.
fn outside(address: &str) -> End {
    End::Address(address.parse().unwrap_or_else(|error| panic!("{address}: {error}")))
}

const fn tcp(number: u64) -> Port {
    Port {
        protocol: "TCP",
        number,
    }
}
