//! Mistakes made on purpose in an applied state, each of which the checks must find. Touches no network.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// One mistake.
pub struct Seed {
    pub name: &'static str,
    /// The policy that is spoilt: type of its resource, what its address has in it, its attribute.
    policy: (&'static str, &'static str, &'static str),
    spoil: fn(&mut Vec<Value>) -> Result<()>,
    /// What is found then.
    pub found: &'static str,
}

const WORKER: &str = "aws_iam_role_policy";
const ROLE: &str = "aws_iam_role";
const BUCKET: &str = "aws_s3_bucket_policy";
const KEY: &str = "aws_kms_key_policy";

/// All of them.
pub const SEEDS: [Seed; 15] = [
    Seed {
        name: "an action with a star",
        policy: (WORKER, "worker[\"exporter\"]", "policy"),
        spoil: |statements| {
            allow(statements, &json!("s3:*"), &json!("arn:aws:s3:::any/*"));
            Ok(())
        },
        found: "the action s3:* is no action but many",
    },
    Seed {
        name: "a resource of all",
        policy: (WORKER, "worker[\"consumer\"]", "policy"),
        spoil: |statements| change(statements, "Put", |one| one["Resource"] = json!(["*"])),
        found: "the resource * is not listed",
    },
    Seed {
        name: "a right that nobody uses",
        policy: (WORKER, "worker[\"exporter\"]", "policy"),
        spoil: |statements| {
            allow(statements, &json!("s3:DeleteObject"), &json!("arn:aws:s3:::any/*"));
            Ok(())
        },
        found: "s3:DeleteObject of arn:aws:s3:::any/* is neither recorded nor listed",
    },
    Seed {
        name: "a right to another table",
        policy: (WORKER, "worker[\"consumer\"]", "policy"),
        spoil: |statements| {
            let other = json!("arn:aws:dynamodb:eu-west-1:123456789012:table/other");
            allow(statements, &json!("dynamodb:PutItem"), &other);
            Ok(())
        },
        found: "dynamodb:PutItem of arn:aws:dynamodb:eu-west-1:123456789012:table/other is neither",
    },
    Seed {
        name: "a right that lacks",
        policy: (WORKER, "worker[\"consumer\"]", "policy"),
        spoil: |statements| change(statements, "Put", |one| one["Action"] = json!(["dynamodb:GetItem"])),
        found: "dynamodb:PutItem of {table}: dynamodb:PutItem of",
    },
    Seed {
        name: "a writer without its key",
        policy: (WORKER, "worker[\"exporter\"]", "policy"),
        spoil: |statements| change(statements, "LakeKey", |one| one["Action"] = json!(["kms:Decrypt"])),
        found: "kms:GenerateDataKey of arn:aws:kms",
    },
    Seed {
        name: "a condition that the evaluator does not know",
        policy: (WORKER, "worker[\"loader\"]", "policy"),
        spoil: |statements| {
            change(statements, "OwnStatements", |one| {
                one["Condition"] = json!({"StringLikeIfExists": {"redshift-data:statement-owner-iam-userid": "x"}});
            })
        },
        found: "does not know the operator StringLikeIfExists",
    },
    Seed {
        name: "everything but one action",
        policy: (WORKER, "worker[\"loader\"]", "policy"),
        spoil: |statements| {
            statements.push(json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}));
            Ok(())
        },
        found: "unknown field `NotAction`",
    },
    Seed {
        name: "statements of others",
        policy: (WORKER, "worker[\"loader\"]", "policy"),
        spoil: |statements| without_conditions(statements, "OwnStatements"),
        found: "loader, redshift-data:GetStatementResult of *: it is allowed",
    },
    Seed {
        name: "plain HTTP",
        policy: (BUCKET, "layer[\"gold\"]", "policy"),
        spoil: |statements| drop_statement(statements, "RefusePlainHttp"),
        found: "administrator, s3:GetObject of {gold}/{any}: it is allowed",
    },
    Seed {
        name: "log entries that can be overwritten",
        policy: (BUCKET, "layer[\"bronze\"]", "policy"),
        spoil: |statements| drop_statement(statements, "RefuseOverwritingLogEntries"),
        found: "s3:PutObject of {bronze}/{table-name}/_delta_log/{number}.json: it is allowed",
    },
    Seed {
        name: "a public bucket",
        policy: (BUCKET, "layer[\"silver\"]", "policy"),
        spoil: |statements| {
            drop_statement(statements, "RefuseOtherAccounts")?;
            let open =
                json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"});
            statements.push(open);
            Ok(())
        },
        found: "everybody is allowed",
    },
    Seed {
        name: "pods of every namespace",
        policy: (ROLE, "worker[\"loader\"]", "assume_role_policy"),
        spoil: |statements| {
            change(statements, "Pod", |one| {
                if let Some(tags) = one["Condition"]["StringEquals"].as_object_mut() {
                    tags.remove("aws:RequestTag/kubernetes-namespace");
                }
            })
        },
        found: "pod other/purchase-orders-loader, sts:AssumeRole of role loader: it is allowed",
    },
    Seed {
        name: "pods of every account and cluster",
        policy: (ROLE, "worker[\"provisioner\"]", "assume_role_policy"),
        spoil: |statements| without_conditions(statements, "Pod"),
        found: "pod medallion/medallion-operator, sts:AssumeRole of role provisioner: it is allowed",
    },
    Seed {
        name: "a key that is opened for whoever may ask IAM",
        policy: (KEY, "lake.module.key", "policy"),
        spoil: |statements| without_conditions(statements, "UseByIamThroughServices"),
        found: "administrator, kms:Decrypt of {lake-key}: it is allowed",
    },
];

impl Seed {
    /// The state with this mistake; none where it has no such policy.
    pub fn spoilt(&self, state: &Value) -> Result<Option<Value>> {
        let mut state = state.clone();
        let (kind, part, attribute) = self.policy;
        let Some(text) = find(&mut state["values"]["root_module"], kind, part) else {
            return Ok(None);
        };
        let text = &mut text[attribute];
        let mut policy: Value = serde_json::from_str(text.as_str().context("a policy is a text")?)?;
        let statements = policy["Statement"].as_array_mut().context("a policy has statements")?;
        (self.spoil)(statements).with_context(|| format!("the policy of {part} is not as the seed has it"))?;
        *text = json!(policy.to_string());
        Ok(Some(state))
    }
}

/// The values of the resource.
fn find<'v>(module: &'v mut Value, kind: &str, part: &str) -> Option<&'v mut Value> {
    let module = module.as_object_mut()?;
    let mut resources = None;
    let mut children = None;
    for (name, value) in module {
        match name.as_str() {
            "resources" => resources = value.as_array_mut(),
            "child_modules" => children = value.as_array_mut(),
            _ => {}
        }
    }
    let is_it =
        |one: &Value| one["type"] == kind && one["address"].as_str().is_some_and(|address| address.contains(part));
    let found = resources.into_iter().flatten().find(|one| is_it(one));
    if let Some(resource) = found {
        return Some(&mut resource["values"]);
    }
    children.into_iter().flatten().find_map(|child| find(child, kind, part))
}

fn allow(statements: &mut Vec<Value>, action: &Value, resource: &Value) {
    statements.push(json!({"Sid": "Seed", "Effect": "Allow", "Action": action, "Resource": resource}));
}

fn change(statements: &mut [Value], name: &str, how: impl Fn(&mut Value)) -> Result<()> {
    match statements.iter_mut().find(|one| one["Sid"] == name) {
        Some(statement) => how(statement),
        None => bail!("there is no statement {name}"),
    }
    Ok(())
}

fn without_conditions(statements: &mut [Value], name: &str) -> Result<()> {
    change(statements, name, |one| {
        if let Some(words) = one.as_object_mut() {
            words.remove("Condition");
        }
    })
}

fn drop_statement(statements: &mut Vec<Value>, name: &str) -> Result<()> {
    let before = statements.len();
    statements.retain(|one| one["Sid"] != name);
    ensure!(statements.len() < before, "there is no statement {name}");
    Ok(())
}
