//! Values of the operator's chart under which every template has something to say. No network.

use serde_json::{Value, json};

/// No value is the default, as far as there is another that goes with the rest.
pub fn everything() -> Value {
    json!({
        "watchNamespaces": ["shop", "team-a"],
        "installation": "test",
        "commonLabels": {"team": "data"},
        "imagePullSecrets": ["registry"],
        "replicas": 2,
        "dbtProjects": {"purchases": "dbt:1"},
        "sizes": {"tiny": {"resources": {"limits": {"cpu": 1, "memory": "256Mi"}}, "tolerations": [{"operator": "Exists"}]}},
        "workers": {
            "environment": {"AWS_ENDPOINT_URL_S3": "http://s3:7070"},
            "awsCredentialsSecret": "aws",
            "trustBundle": {"configMap": "authorities", "key": "all.pem"},
            "gateway": {
                "size": "tiny",
                "podLabels": {"mesh": "on"},
                "podAnnotations": {"a": "b"},
                "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/gateway"},
                "awsCredentialsSecret": "gateway-aws",
                "imagePullSecrets": ["other"],
                "environment": {"A": "b"},
            },
        },
        "limits": [
            {
                "namespaces": ["shop", "shop-*"],
                "topics": ["purchase*"],
                "buckets": ["shop-*"],
                "schemas": ["gold"],
                "roles": ["arn:aws:iam::*:role/shop-*"],
                "brokers": ["kafka:9092"],
                "dbtProjects": ["purchases"],
            },
            {"namespaces": ["team-*"], "buckets": []},
        ],
        "networkPolicies": {
            "enabled": true,
            "defaultDeny": true,
            "apiServer": {"cidrs": ["10.0.0.5/32", "fd00::5/128"]},
            "scrapers": [{"namespaceSelector": {}}, {"podSelector": {}}],
            "gatewayClients": [{"podSelector": {}}],
        },
        "metrics": {
            "serviceMonitor": {"enabled": true, "interval": "30s"},
            "podMonitor": {"enabled": true, "labels": {"a": "b"}},
            "prometheusRule": {"enabled": true, "labels": {"a": "b"}, "limits": {"ageSeconds": {"gold": 600}}},
            "cloudWatch": {"enabled": true},
        },
        "serviceAccount": {"annotations": {"a": "b"}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"mesh": "off"},
        "podAnnotations": {"a": "b"},
        "priorityClassName": "system-cluster-critical",
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-map"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-text}",
        ],
    })
}
