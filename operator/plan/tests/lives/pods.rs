//! What the pods of workers are given: labels, identities, authorities, credentials. No network.

use medallion_crds::pipeline::{DependencyState, StageState};
use medallion_crds::{Reason, Stage};
use serde_json::json;

use crate::world::{Step, World};
use crate::{YAML, happens};

#[test]
fn labels_annotations_and_secrets_of_a_worker_reach_its_pods() {
    let mut world = World::new(YAML);
    world.step(Step::Configured(json!({
        "awsCredentialsSecret": "aws",
        "imagePullSecrets": ["pull"],
        "environment": {"POD_NAME": "mine"},
        "workers": {
            "gateway": {"podLabels": {"mesh": "in", "medallion.dev/worker": "mine"}, "podAnnotations": {"inject": "yes"},
                "serviceAccountAnnotations": {"role": "arn"}, "imagePullSecrets": ["own", "pull"]},
            "consumer": {"awsCredentialsSecret": "aws-consumer"},
        },
    })));
    for step in [Step::Settle, Step::Provisioned] {
        happens(&mut world, step);
    }
    let template = |worker: &str| {
        let deployment = world.observed.deployment(&format!("purchase-orders-{worker}")).unwrap();
        deployment.spec.clone().unwrap().template
    };
    let gateway = template("gateway");
    let metadata = gateway.metadata.unwrap();
    assert_eq!(metadata.labels.as_ref().unwrap()["mesh"], "in");
    assert_eq!(
        metadata.labels.unwrap()["medallion.dev/worker"],
        "gateway",
        "ours are ours"
    );
    assert_eq!(metadata.annotations.unwrap()["inject"], "yes");
    let pod = gateway.spec.unwrap();
    let pull: Vec<_> = pod
        .image_pull_secrets
        .unwrap()
        .into_iter()
        .map(|secret| secret.name)
        .collect();
    assert_eq!(pull, ["pull", "own"], "each once");
    let variables = pod.containers[0].env.as_ref().unwrap().iter();
    let named: Vec<_> = variables.filter(|variable| variable.name == "POD_NAME").collect();
    assert!(
        named.len() == 1 && named[0].value.is_none(),
        "once, and ours: {named:?}"
    );
    assert_eq!(pod.containers[0].env_from, None);
    let secret = |worker: &str| {
        let pod = template(worker).spec.unwrap();
        pod.containers[0].env_from.clone().unwrap()[0]
            .secret_ref
            .clone()
            .unwrap()
            .name
    };
    assert_eq!(
        (secret("consumer").as_str(), secret("exporter").as_str()),
        ("aws-consumer", "aws")
    );
}

#[test]
fn every_worker_trusts_whom_the_administrator_names() {
    let mut world = World::new(YAML);
    world.step(Step::Configured(json!({
        "trustBundle": {"configMap": "authorities", "key": "all.pem"},
        "workers": {"exporter": {"environment": {"SSL_CERT_FILE": "/own"}}},
    })));
    happens(&mut world, Step::Settle);
    let provisioner = world.observed.jobs[0].spec.clone().unwrap().template;
    happens(&mut world, Step::Provisioned);
    let of = |worker: &str| {
        let deployment = world.observed.deployment(&format!("purchase-orders-{worker}"));
        deployment.unwrap().spec.clone().unwrap().template
    };
    let path = "/etc/medallion/trust-bundle/ca.pem";
    for (template, named) in [
        (provisioner, path),
        (of("gateway"), path),
        (of("consumer"), path),
        (of("exporter"), "/own"),
    ] {
        let pod = serde_json::to_value(template.spec.unwrap()).unwrap();
        let container = &pod["containers"][0];
        let found = |list: &serde_json::Value, name: &str| {
            let mut all = list.as_array().unwrap().iter();
            all.find(|one| one["name"] == name).cloned().expect(name)
        };
        let bundle = found(&pod["volumes"], "trust-bundle")["configMap"].clone();
        assert_eq!(bundle["name"], "authorities");
        assert_eq!(bundle["items"], json!([{"key": "all.pem", "path": "ca.pem"}]));
        let mount = found(&container["volumeMounts"], "trust-bundle");
        assert_eq!(mount["mountPath"], "/etc/medallion/trust-bundle");
        assert_eq!(found(&container["env"], "SSL_CERT_FILE")["value"], named);
    }
}

#[test]
fn whoever_speaks_to_the_brokers_is_given_the_certificates_that_theirs_are_signed_with() {
    let kinds = [
        (
            json!({"configMapKeyRef": {"name": "brokers", "key": "root.crt"}}),
            "configMap",
            "name",
        ),
        (
            json!({"secretKeyRef": {"name": "brokers", "key": "root.crt"}}),
            "secret",
            "secretName",
        ),
    ];
    for (ca, kind, name) in kinds {
        let mut world = World::new(YAML);
        world.start_from(json!({"kafka": {"tls": {"ca": ca}}}));
        happens(&mut world, Step::Settle);
        let provisioner = world.observed.jobs[0].spec.clone().unwrap().template;
        happens(&mut world, Step::Provisioned);
        let of = |worker: &str| {
            let deployment = world.observed.deployment(&format!("purchase-orders-{worker}"));
            deployment.unwrap().spec.clone().unwrap().template
        };
        for template in [provisioner, of("gateway"), of("consumer")] {
            let pod = serde_json::to_value(template.spec.unwrap()).unwrap();
            let found = |list: &serde_json::Value| {
                let mut all = list.as_array().unwrap().iter();
                all.find(|one| one["name"] == "kafka-ca")
                    .cloned()
                    .expect("the certificates")
            };
            let source = found(&pod["volumes"])[kind].clone();
            assert_eq!((&source[name], &source["optional"]), (&json!("brokers"), &json!(false)));
            assert_eq!(source["items"], json!([{"key": "root.crt", "path": "ca.pem"}]));
            let mount = found(&pod["containers"][0]["volumeMounts"]);
            assert_eq!(mount["mountPath"], "/etc/medallion/kafka-ca");
        }
        let exporter = serde_json::to_string(&of("exporter")).unwrap();
        assert!(!exporter.contains("kafka-ca"), "it does not speak to the brokers");
    }
}

/// Authentications with what is mounted for them: file, Secret, key.
fn mounted() -> Vec<(serde_json::Value, Vec<[&'static str; 3]>)> {
    let from = |name: &str, key: &str| json!({"secretKeyRef": {"name": name, "key": key}});
    let user = json!({"username": from("shop-user", "name"), "password": from("shop-password", "secret")});
    let user_files = vec![
        ["username", "shop-user", "name"],
        ["password", "shop-password", "secret"],
    ];
    let certificate = json!({"certificate": from("shop-tls", "tls.crt"), "key": from("shop-tls", "tls.key")});
    let certificate_files = vec![["tls.crt", "shop-tls", "tls.crt"], ["tls.key", "shop-tls", "tls.key"]];
    vec![
        (json!({"type": "Plain", "plain": user}), user_files.clone()),
        (json!({"type": "Scram", "scram": user}), user_files),
        (
            json!({"type": "MutualTls", "mutualTls": certificate}),
            certificate_files,
        ),
    ]
}

#[test]
fn whoever_speaks_to_the_brokers_is_given_what_proves_who_it_is_and_nobody_else() {
    for (authentication, files) in mounted() {
        let mut world = World::new(YAML);
        world.start_from(json!({"kafka": {"tls": {}, "authentication": authentication}}));
        happens(&mut world, Step::Settle);
        let provisioner = world.observed.jobs[0].spec.clone().unwrap().template;
        happens(&mut world, Step::Provisioned);
        let of = |worker: &str| {
            let deployment = world.observed.deployment(&format!("purchase-orders-{worker}"));
            deployment.unwrap().spec.clone().unwrap().template
        };
        for template in [provisioner, of("gateway"), of("consumer")] {
            let pod = template.spec.unwrap();
            let volume = pod
                .volumes
                .unwrap()
                .into_iter()
                .find(|volume| volume.name == "kafka-credentials");
            let projected = volume.expect("the credentials").projected.expect("one folder");
            assert_eq!(projected.default_mode, Some(0o440));
            let found: Vec<[String; 3]> = projected
                .sources
                .unwrap()
                .into_iter()
                .map(|source| {
                    let secret = source.secret.unwrap();
                    assert_eq!(secret.optional, Some(false));
                    let item = secret.items.unwrap().remove(0);
                    [item.path, secret.name, item.key]
                })
                .collect();
            assert_eq!(found, files);
            let mounts = pod.containers[0].volume_mounts.clone().unwrap();
            let mount = mounts
                .into_iter()
                .find(|mount| mount.name == "kafka-credentials")
                .unwrap();
            assert_eq!(mount.mount_path, "/etc/medallion/kafka-credentials");
            assert_eq!(mount.sub_path, None, "a subPath is never remounted");
        }
        let exporter = serde_json::to_string(&of("exporter")).unwrap();
        assert!(
            !exporter.contains("kafka-credentials"),
            "it does not speak to the brokers"
        );
        let settings = world.plan().children.into_iter().filter_map(|child| match child {
            medallion_plan::Child::ConfigMap(map) => map.data,
            _ => None,
        });
        for text in settings.flat_map(std::collections::BTreeMap::into_values) {
            let named = files.iter().any(|[_, secret, _]| text.contains(secret));
            assert!(!named, "settings name files, not Secrets: {text}");
        }
    }
}

#[test]
fn brokers_with_iam_are_met_by_pods_with_an_identity() {
    let mut world = World::new(YAML);
    world.config.aws_credentials_secret = Some("aws".to_owned());
    world.start_from(json!({"kafka": {
        "bootstrapServers": ["b-1.shop.a1.c2.kafka.us-east-2.amazonaws.com:9098"],
        "tls": {},
        "authentication": {"type": "MskIam"},
    }}));
    for step in [Step::Settle, Step::Provisioned] {
        happens(&mut world, step);
    }
    let deployment = world.observed.deployment("purchase-orders-gateway");
    let pod = deployment.unwrap().spec.clone().unwrap().template.spec.unwrap();
    let secret = pod.containers[0].env_from.clone().expect("credentials")[0]
        .secret_ref
        .clone();
    assert_eq!(secret.unwrap().name, "aws");
    let volumes = serde_json::to_string(&pod.volumes).unwrap();
    assert!(!volumes.contains("kafka-credentials"), "there is no Secret to mount");
}

#[test]
fn credentials_for_the_brokers_that_are_not_there_are_named_and_not_taken_for_the_tokens() {
    let (authentication, _) = mounted().remove(1);
    for (message, reason) in [
        ("secret \"shop-password\" not found", Reason::SecretMissing),
        ("references non-existent secret key: secret", Reason::SecretKeyMissing),
    ] {
        let mut world = World::new(YAML);
        world.start_from(json!({"kafka": {"tls": {}, "authentication": authentication}}));
        for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
            happens(&mut world, step);
        }
        let event = format!("MountVolume.SetUp failed for volume \"kafka-credentials\" : {message}");
        let stage = Stage::Ingest;
        happens(&mut world, Step::PodsWait { stage, event });
        let ingest = world.stage(Stage::Ingest);
        assert_eq!((ingest.state, ingest.reason), (StageState::Blocked, Some(reason)));
        assert!(ingest.message.unwrap().contains(message));
        let dependencies = world.pipeline.status.unwrap().dependencies;
        let tokens = dependencies
            .iter()
            .find(|one| one.name == "Secret/shop-gateway")
            .unwrap();
        assert_ne!(tokens.state, DependencyState::Missing);
    }
}

#[test]
fn certificates_that_are_not_there_are_named_and_not_taken_for_the_tokens() {
    let mut world = World::new(YAML);
    let ca = json!({"secretKeyRef": {"name": "brokers", "key": "root.crt"}});
    world.start_from(json!({"kafka": {"tls": {"ca": ca}}}));
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
        happens(&mut world, step);
    }
    let event = "MountVolume.SetUp failed for volume \"kafka-ca\" : secret \"brokers\" not found".to_owned();
    let stage = Stage::Ingest;
    happens(&mut world, Step::PodsWait { stage, event });
    let ingest = world.stage(Stage::Ingest);
    assert_eq!(
        (ingest.state, ingest.reason),
        (StageState::Blocked, Some(Reason::SecretMissing))
    );
    assert!(ingest.message.unwrap().contains("brokers"));
    let dependencies = world.pipeline.status.unwrap().dependencies;
    let tokens = dependencies
        .iter()
        .find(|one| one.name == "Secret/shop-gateway")
        .unwrap();
    assert_ne!(tokens.state, DependencyState::Missing);
}

#[test]
fn tokens_that_are_not_there_are_missed_whatever_the_secret_is_called() {
    let mut world = World::new(YAML);
    let tokens = json!({"secretKeyRef": {"name": "kafka-ca-tokens"}});
    world.start_from(json!({"stages": {"ingest": {"authentication": {"bearerTokens": tokens}}}}));
    for step in [Step::Settle, Step::Provisioned, Step::WorkersReady] {
        happens(&mut world, step);
    }
    let event = "MountVolume.SetUp failed for volume \"tokens\" : secret \"kafka-ca-tokens\" not found".to_owned();
    let stage = Stage::Ingest;
    happens(&mut world, Step::PodsWait { stage, event });
    let dependencies = world.pipeline.status.unwrap().dependencies;
    let tokens = dependencies
        .iter()
        .find(|one| one.name == "Secret/kafka-ca-tokens")
        .unwrap();
    assert_eq!(tokens.state, DependencyState::Missing);
}
