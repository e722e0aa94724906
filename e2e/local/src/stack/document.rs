//! Writes `stack.json`, what tests and people read about a running stack. Touches no network.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    ACCESS_KEY, DATABASE, Extent, KAFKA_LISTENERS, KAFKA_USERS, NODE_NAME, POSTGRES_PASSWORD, POSTGRES_USER,
    REDSHIFT_PROGRAM, REGION, SECRET_KEY, Stack, WORKER_KEYS,
};
use crate::run;

/// Image references, filled in when the images were built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    pub medallion: Option<String>,
    pub dbt_purchases: Option<String>,
}

/// Programs of functions as AWS Lambda starts them, filled in when they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Functions {
    pub gateway: Option<PathBuf>,
    #[serde(default)]
    pub exporter: Option<PathBuf>,
}

/// The format is described in the README beside this crate.
pub fn publish(stack: &Stack, images: &Images, functions: &Functions) -> Result<()> {
    let warehouse = stack.own_program(REDSHIFT_PROGRAM).exists().then(|| {
        json!({
            "endpoint": format!("http://{}", stack.redshift()),
            "workgroupName": "shop",
            "database": DATABASE,
        })
    });
    let workers = WORKER_KEYS
        .iter()
        .map(|(worker, key)| ((*worker).to_owned(), json!(key)));
    let workers = workers.collect::<Map<_, _>>();
    let document = json!({
        "name": stack.name,
        "nodeIp": stack.node_ip(),
        "hostIp": stack.host_ip(),
        "kubeconfig": stack.kubeconfig(),
        "kubernetes": {"server": stack.api_server(), "version": stack.kubernetes_version, "nodeName": NODE_NAME},
        "kafka": kafka(stack),
        "dynamodb": {"endpoint": format!("http://{}", stack.dynamodb())},
        "s3": {"endpoint": format!("http://{}", stack.s3())},
        "redshift": warehouse,
        "moto": {"endpoint": format!("http://{}", stack.moto())},
        "postgres": {
            "url": stack.postgres_url(),
            "host": stack.node_ip(),
            "port": 5432,
            "user": POSTGRES_USER,
            "password": POSTGRES_PASSWORD,
            "database": DATABASE,
        },
        "aws": {"region": REGION, "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, "workers": workers},
        "images": images,
        "functions": functions,
        "bin": {
            "local": stack.own_program("local"),
            "kubectl": stack.kubernetes("kubectl"),
            "helm": stack.fetched.helm.join("helm"),
            "ctr": stack.fetched.containerd.join("ctr"),
            "python": stack.fetched.python.join("bin/python"),
            "dbt": stack.fetched.python.join("bin/dbt"),
            "lambdaRie": stack.fetched.lambda_emulator.join("aws-lambda-rie"),
        },
        "garbageCollector": (stack.extent == Extent::ControlPlane).then(|| stack.garbage_collector()),
        "logs": stack.logs(),
        "status": stack.home.join("status.json"),
    });
    run::write_if_changed(&stack.json(), serde_json::to_vec_pretty(&document)?)
}

/// The brokers, and what it takes to speak to their secure listeners.
fn kafka(stack: &Stack) -> Value {
    let listeners = KAFKA_LISTENERS
        .iter()
        .map(|(name, port)| ((*name).to_owned(), json!(format!("{}:{port}", stack.node_ip()))));
    let users = KAFKA_USERS
        .iter()
        .map(|(name, password)| ((*name).to_owned(), json!(password)));
    json!({
        "bootstrapServers": stack.kafka(),
        "listeners": listeners.collect::<Map<_, _>>(),
        "users": users.collect::<Map<_, _>>(),
        "certificates": stack.kafka_certificates(),
    })
}
