//! One environment's AWS side as its applied state has it: who there is, what guards which resource, and what stands for which place. Touches no network.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::condition::Context;
use crate::decide::{Answer, Guard, Request, decide};
use crate::policy::{Kind, Policy};
use crate::principal::{Principal, account};
use crate::state::{Resource, State};

/// The roles whose rights are looked at right by right: a module's resources of these names.
const WORKER: &str = "worker";
const FUNCTION: &str = "function";
const COPY: &str = "copy";

/// A role.
pub struct Identity {
    pub arn: String,
    /// What `aws:userid` of its sessions begins with.
    pub id: String,
    pub trust: Policy,
    pub policies: Vec<Policy>,
    /// Whether it is one of the product's own, whose rights are counted.
    pub is_ours: bool,
}

/// Everything that decides.
pub struct Land {
    /// The environment.
    pub name: String,
    pub account: String,
    pub region: String,
    pub identities: BTreeMap<String, Identity>,
    /// Policies that people attach to roles of their own, by name.
    pub policies: BTreeMap<String, Policy>,
    /// Policies of buckets, keys and topics, by ARN.
    guards: BTreeMap<String, Policy>,
    /// Keys of buckets and tables, by their ARN.
    keys: BTreeMap<String, String>,
    places: BTreeMap<String, String>,
}

impl Land {
    /// Reads a state.
    pub fn read(name: &str, shown: &Value) -> Result<Self> {
        let state = State::read(shown)?;
        let identities = identities(&state)?;
        let first = identities.values().find(|identity| identity.is_ours);
        let home = first.and_then(|identity| account(&identity.arn)).map(str::to_owned);
        let table = only(&state, "aws_dynamodb_table", "")?.text("arn")?;
        let region = table.split(':').nth(3).unwrap_or_default().to_owned();
        let mut land = Self {
            name: name.to_owned(),
            account: home.context("there is no role of a worker")?,
            region,
            identities,
            policies: BTreeMap::new(),
            guards: guards(&state)?,
            keys: keys(&state)?,
            places: BTreeMap::new(),
        };
        for policy in state.of("aws_iam_policy") {
            let read = Policy::read(Kind::Identity, policy.text("policy")?).context(policy.address.clone())?;
            land.policies.insert(policy.name.clone(), read);
        }
        land.find_places(&state)?;
        Ok(land)
    }

    fn find_places(&mut self, state: &State) -> Result<()> {
        for layer in ["bronze", "silver", "gold"] {
            let bucket = only(state, "aws_s3_bucket", &format!("[\"{layer}\"]"))?;
            self.place(layer, bucket.text("arn")?);
        }
        let gold = only(state, "aws_s3_bucket", "[\"gold\"]")?;
        self.place("gold-name", gold.text("bucket")?);
        self.place("logs", only(state, "aws_s3_bucket", ".access_logs.")?.text("arn")?);
        let table = only(state, "aws_dynamodb_table", "")?;
        self.place("table", table.text("arn")?);
        self.place("table-name", table.text("name")?);
        self.place("stream", table.text("stream_arn")?);
        self.place("alerts", only(state, "aws_sns_topic", "")?.text("arn")?);
        let warehouses = state
            .of("aws_redshiftserverless_workgroup")
            .chain(state.of("aws_redshift_cluster"));
        for warehouse in warehouses {
            self.place("warehouse", warehouse.text("arn")?);
        }
        if let Some(database) = state.of("aws_glue_catalog_database").next() {
            let name = database.text("name")?;
            let prefix = format!("arn:aws:glue:{}:{}", self.region, self.account);
            self.place("catalog", &format!("{prefix}:catalog"));
            self.place("catalog-database", &format!("{prefix}:database/{name}"));
            self.place("catalog-table", &format!("{prefix}:table/{name}/any"));
        }
        for (place, of) in [("lake-key", "{gold}"), ("table-key", "{table}")] {
            let of = self.at(of)?;
            let key = self.keys.get(&of).with_context(|| format!("{of} has no key"))?.clone();
            self.place(place, &key);
        }
        let cluster = state.of("aws_eks_pod_identity_association").next();
        if let Some(association) = cluster {
            let name = association.text("cluster_name")?;
            let arn = format!("arn:aws:eks:{}:{}:cluster/{name}", self.region, self.account);
            self.place("cluster", &arn);
        }
        let mut groups = state.of("aws_cloudwatch_log_group");
        if let Some(group) = groups.find(|group| group.key() == Some("workers")) {
            self.place("worker-logs", group.text("arn")?);
        }
        let (account, region) = (self.account.clone(), self.region.clone());
        self.place("account", &account);
        self.place("region", &region);
        // What differs from one call to the next.
        for (place, example) in [
            ("any", "any"),
            ("number", "00000000000000000042"),
            ("uuid", "0b7c6f1e-0000-4000-8000-000000000000"),
        ] {
            self.place(place, example);
        }
        Ok(())
    }

    fn place(&mut self, name: &str, what: &str) {
        self.places.insert(name.to_owned(), what.to_owned());
    }

    /// A text with its places filled in.
    pub fn at(&self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (place, after) = behind
                .split_once('}')
                .with_context(|| format!("{text}: a brace is open"))?;
            let found = self.places.get(place);
            filled.push_str(before);
            filled.push_str(found.with_context(|| format!("{} has no place {{{place}}}", self.name))?);
            rest = after;
        }
        Ok(filled + rest)
    }

    /// What AWS itself knows of whoever asks over TLS.
    pub fn context(&self, principal: &Principal) -> Context {
        let mut context = Context::default();
        context.set("aws:SecureTransport", "true");
        context.set("s3:TlsVersion", "1.3");
        let account = principal.account();
        context.set("aws:PrincipalIsAWSService", account.is_none().to_string());
        if let Some(account) = account {
            context.set("aws:PrincipalAccount", account);
            context.set("kms:CallerAccount", account);
        }
        if let Principal::Role(arn) = principal {
            context.set("aws:PrincipalArn", arn.as_str());
        }
        context
    }

    /// The answer to a request, by the asker's policies and the resource's.
    pub fn answer(&self, request: &Request, own: &[Policy]) -> Answer {
        let bucket = request.resource.split('/').next().unwrap_or_default();
        let guarded = self.guards.get_key_value(&request.resource);
        let guarded = guarded.or_else(|| self.guards.get_key_value(bucket));
        let guard = guarded.map(|(arn, policy)| Guard {
            policy,
            comes_first: arn.contains(":kms:"),
        });
        decide(request, own, guard, &self.account)
    }

    /// The policies of buckets, keys and topics, by ARN.
    pub fn guards(&self) -> &BTreeMap<String, Policy> {
        &self.guards
    }

    /// The key that encrypts what is in a bucket or table, by the ARN of either or of something in it.
    pub fn key_of(&self, resource: &str) -> Option<&str> {
        let holds = |holder: &str| {
            resource == holder || resource.strip_prefix(holder).is_some_and(|rest| rest.starts_with('/'))
        };
        let found = self.keys.iter().find(|(holder, _)| holds(holder));
        found.map(|(_, key)| key.as_str())
    }
}

/// The one resource of a type whose address has this in it.
fn only<'s>(state: &'s State, kind: &str, part: &str) -> Result<&'s Resource> {
    let found: Vec<_> = state
        .of(kind)
        .filter(|resource| resource.address.contains(part))
        .collect();
    ensure!(
        found.len() == 1,
        "{} resources of type {kind} at {part:?} instead of one",
        found.len()
    );
    Ok(found[0])
}

fn identities(state: &State) -> Result<BTreeMap<String, Identity>> {
    let mut identities = BTreeMap::new();
    for role in state.of("aws_iam_role") {
        let called = role.text("name")?;
        let key = role.key().unwrap_or_default();
        let (name, is_ours) = match role.name.as_str() {
            WORKER => (key.to_owned(), true),
            FUNCTION => (format!("{key}-function"), true),
            COPY => (COPY.to_owned(), true),
            other => (other.to_owned(), false),
        };
        let attached = state
            .of("aws_iam_role_policy_attachment")
            .find(|one| one.values["role"] == called);
        if let Some(attached) = attached.filter(|_| is_ours) {
            bail!(
                "{} gives {name} rights that stand in no policy of its own",
                attached.address
            );
        }
        let mut policies = Vec::new();
        for policy in state
            .of("aws_iam_role_policy")
            .filter(|one| one.values["role"] == called)
        {
            policies.push(Policy::read(Kind::Identity, policy.text("policy")?).context(policy.address.clone())?);
        }
        let identity = Identity {
            arn: role.text("arn")?.to_owned(),
            id: role.text("unique_id")?.to_owned(),
            trust: Policy::read(Kind::Trust, role.text("assume_role_policy")?).context(role.address.clone())?,
            policies,
            is_ours,
        };
        let before = identities.insert(name.clone(), identity);
        ensure!(before.is_none(), "two roles are called {name}");
    }
    Ok(identities)
}

fn guards(state: &State) -> Result<BTreeMap<String, Policy>> {
    let mut guards = BTreeMap::new();
    for (kind, own, guarded, arn) in [
        ("aws_s3_bucket_policy", "bucket", "aws_s3_bucket", "bucket"),
        ("aws_kms_key_policy", "key_id", "aws_kms_key", "key_id"),
        ("aws_sns_topic_policy", "arn", "aws_sns_topic", "arn"),
    ] {
        for policy in state.of(kind) {
            let of = policy.text(own)?;
            let mut all = state.of(guarded);
            let resource = all.find(|resource| resource.values[arn] == of);
            let resource = resource.with_context(|| format!("{} guards {of}, which is not there", policy.address))?;
            let read = Policy::read(Kind::Resource, policy.text("policy")?).context(policy.address.clone())?;
            guards.insert(resource.text("arn")?.to_owned(), read);
        }
        for resource in state.of(guarded) {
            ensure!(
                guards.contains_key(resource.text("arn")?),
                "{} has no policy",
                resource.address
            );
        }
    }
    Ok(guards)
}

fn keys(state: &State) -> Result<BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    for encryption in state.of("aws_s3_bucket_server_side_encryption_configuration") {
        let rule = &encryption.values["rule"][0]["apply_server_side_encryption_by_default"][0];
        if rule["sse_algorithm"] == "aws:kms" {
            let key = rule["kms_master_key_id"].as_str().unwrap_or_default();
            keys.insert(format!("arn:aws:s3:::{}", encryption.text("bucket")?), key.to_owned());
        }
    }
    for table in state.of("aws_dynamodb_table") {
        if let Some(key) = table.values["server_side_encryption"][0]["kms_key_arn"].as_str() {
            keys.insert(table.text("arn")?.to_owned(), key.to_owned());
        }
    }
    Ok(keys)
}
