//! What `NetworkPolicies` let through, by the rules of `networking.k8s.io/v1`. No network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// One end of a connection.
#[derive(Clone, Debug)]
pub enum End {
    Pod {
        namespace: String,
        labels: BTreeMap<String, String>,
    },
    /// Outside of all pods: a node, another network, the API server.
    Address(IpAddr),
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub protocol: &'static str,
    pub number: u64,
}

/// Whether the policies let `from` connect to `to`: its own must let it out, the other's let it in.
pub fn allowed(policies: &[Value], from: &End, to: &End, port: Port) -> Result<bool> {
    Ok(passes(policies, "Egress", from, to, port)? && passes(policies, "Ingress", to, from, port)?)
}

/// One direction, judged by the policies of the pod `own`. A pod that no policy of the direction selects is open.
fn passes(policies: &[Value], direction: &str, own: &End, other: &End, port: Port) -> Result<bool> {
    let End::Pod { namespace, labels } = own else {
        return Ok(true);
    };
    let mut selected = false;
    for policy in policies {
        let spec = &policy["spec"];
        if policy["metadata"]["namespace"] != namespace.as_str()
            || !selects(&spec["podSelector"], labels)?
            || !has_type(spec, direction)
        {
            continue;
        }
        selected = true;
        let (rules, peers) = if direction == "Ingress" {
            (&spec["ingress"], "from")
        } else {
            (&spec["egress"], "to")
        };
        for rule in rules.as_array().into_iter().flatten() {
            if names_port(&rule["ports"], port)? && names_peer(&rule[peers], namespace, other)? {
                return Ok(true);
            }
        }
    }
    Ok(!selected)
}

/// Policies that name no types are of ingress, and of egress if they have such rules.
fn has_type(spec: &Value, direction: &str) -> bool {
    match spec["policyTypes"].as_array() {
        Some(types) => types.iter().any(|named| named == direction),
        None => direction == "Ingress" || spec["egress"].is_array(),
    }
}

/// No ports are all ports.
fn names_port(ports: &Value, port: Port) -> Result<bool> {
    let Some(ports) = ports.as_array().filter(|ports| !ports.is_empty()) else {
        return Ok(true);
    };
    for named in ports {
        let protocol = named["protocol"].as_str().unwrap_or("TCP");
        let matches = match (&named["port"], named["endPort"].as_u64()) {
            (Value::Null, _) => true,
            (Value::Number(first), last) => {
                let first = first.as_u64().context("a port is no number")?;
                (first..=last.unwrap_or(first)).contains(&port.number)
            }
            (other, _) => bail!("port {other}: a name means another number in each pod"),
        };
        if protocol == port.protocol && matches {
            return Ok(true);
        }
    }
    Ok(false)
}

/// No peers are everybody.
fn names_peer(peers: &Value, namespace: &str, other: &End) -> Result<bool> {
    let Some(peers) = peers.as_array().filter(|peers| !peers.is_empty()) else {
        return Ok(true);
    };
    for peer in peers {
        let named = match (peer.get("ipBlock"), other) {
            (Some(block), End::Address(address)) => within_block(block, *address)?,
            // Address ranges are for what is outside; whether they hold pods is the network's own choice.
            (Some(_), End::Pod { .. }) | (None, End::Address(_)) => false,
            (None, End::Pod { namespace: of, labels }) => {
                let here = match peer.get("namespaceSelector") {
                    Some(selector) => selects(
                        selector,
                        &BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), of.clone())]),
                    )?,
                    None => of == namespace,
                };
                here && peer
                    .get("podSelector")
                    .map_or(Ok(true), |selector| selects(selector, labels))?
            }
        };
        if named {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An empty selector selects everything.
fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> Result<bool> {
    for (name, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        if labels.get(name).map(String::as_str) != value.as_str() {
            return Ok(false);
        }
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let name = expression["key"].as_str().context("an expression without a key")?;
        let found = labels.get(name);
        let listed = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|value| found.is_some_and(|found| value == found.as_str()));
        let holds = match expression["operator"].as_str() {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => found.is_some(),
            Some("DoesNotExist") => found.is_none(),
            other => bail!("operator {other:?} of a selector"),
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn within_block(block: &Value, address: IpAddr) -> Result<bool> {
    if !within(&block["cidr"], address)? {
        return Ok(false);
    }
    for except in block["except"].as_array().into_iter().flatten() {
        if within(except, address)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn within(range: &Value, address: IpAddr) -> Result<bool> {
    let text = range.as_str().context("a range is no text")?;
    let (first, length) = text.split_once('/').with_context(|| format!("{text} has no length"))?;
    let (first, length): (IpAddr, u32) = (first.parse()?, length.parse()?);
    Ok(match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            (u32::from(first) ^ u32::from(address)).leading_zeros() >= length.min(32)
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => {
            (u128::from(first) ^ u128::from(address)).leading_zeros() >= length.min(128)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADMIN: Port = Port {
        protocol: "TCP",
        number: 9090,
    };

    fn pod(namespace: &str, app: &str) -> End {
        End::Pod {
            namespace: namespace.to_owned(),
            labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
        }
    }

    fn policy(spec: &Value) -> Vec<Value> {
        vec![json!({"metadata": {"namespace": "shop"}, "spec": spec})]
    }

    #[test]
    fn a_pod_without_policies_is_open_and_one_with_them_is_closed_but_for_their_rules() {
        let only_b = policy(&json!({
            "podSelector": {"matchLabels": {"app": "a"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "b"}}}], "ports": [{"port": 9090}]}],
        }));
        let ask = |from: &End, to: &End, port| allowed(&only_b, from, to, port).unwrap();
        assert!(ask(&pod("shop", "b"), &pod("shop", "a"), ADMIN));
        assert!(!ask(&pod("shop", "c"), &pod("shop", "a"), ADMIN));
        assert!(
            !ask(&pod("other", "b"), &pod("shop", "a"), ADMIN),
            "a peer without a namespace is of the policy's own"
        );
        assert!(!ask(
            &pod("shop", "b"),
            &pod("shop", "a"),
            Port { number: 8080, ..ADMIN }
        ));
        assert!(!ask(
            &pod("shop", "b"),
            &pod("shop", "a"),
            Port {
                protocol: "UDP",
                ..ADMIN
            }
        ));
        assert!(ask(&pod("shop", "c"), &pod("shop", "b"), ADMIN), "no policy selects b");
        assert!(ask(&pod("shop", "a"), &pod("shop", "c"), ADMIN), "no policy of egress");
    }

    #[test]
    fn ranges_of_ports_and_addresses_have_ends_and_exceptions() {
        let out = policy(&json!({
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{
                "to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}, {"ipBlock": {"cidr": "fd00::/8"}}],
                "ports": [{"port": 9092, "endPort": 9098}],
            }],
        }));
        let ask = |address: &str, number| {
            let to = End::Address(address.parse().unwrap());
            allowed(&out, &pod("shop", "a"), &to, Port { number, ..ADMIN }).unwrap()
        };
        assert!(ask("10.2.0.1", 9092));
        assert!(ask("10.2.0.1", 9098));
        assert!(ask("fd00::1", 9095));
        assert!(!ask("10.2.0.1", 9099));
        assert!(!ask("10.1.2.3", 9092));
        assert!(!ask("11.0.0.1", 9092));
        assert!(!ask("fe80::1", 9092));
        assert!(!allowed(&out, &pod("shop", "a"), &pod("shop", "b"), ADMIN).unwrap());
    }

    #[test]
    fn both_selectors_of_a_peer_must_match_and_rules_add_up() {
        let rules = policy(&json!({
            "podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{
                    "namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["ops"]}]},
                    "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]},
                }]},
                {"ports": [{"port": 8080}]},
            ],
        }));
        let ask = |from: &End, number| allowed(&rules, from, &pod("shop", "a"), Port { number, ..ADMIN }).unwrap();
        assert!(ask(&pod("ops", "b"), 9090));
        assert!(!ask(&pod("ops", "x"), 9090));
        assert!(!ask(&pod("shop", "b"), 9090));
        assert!(ask(&pod("shop", "b"), 8080));
    }

    #[test]
    fn a_named_port_is_not_guessed() {
        let named = policy(&json!({"podSelector": {}, "ingress": [{"ports": [{"port": "admin"}]}]}));
        assert!(allowed(&named, &pod("shop", "b"), &pod("shop", "a"), ADMIN).is_err());
    }
}
