//! Who we are to the brokers, and what a person reads when they refuse us or do not allow something: pure words. No network.

use jiff::Timestamp;
use kafka_admin::Operation;
use medallion_crds::Reason;
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use worker_kit::Partition;

use crate::diagnosis::Diagnosis;
use crate::failure::{Failure, Kind};
use crate::inspect::Distrust;
use crate::material::{Material, Proof};

/// What brokers allow or deny something on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource<'a> {
    /// A topic, by its name.
    Topic(&'a str),
    /// A consumer group, by its name.
    Group(&'a str),
    /// The cluster.
    Cluster,
}

/// What a worker needs on something.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// A topic or a group.
    pub on: Resource<'a>,
    /// What it does with it. Who may read or write may describe as well.
    pub operations: &'a [Operation],
}

impl<'a> Need<'a> {
    /// These operations on a topic.
    pub const fn topic(name: &'a str, operations: &'a [Operation]) -> Self {
        Self {
            on: Resource::Topic(name),
            operations,
        }
    }

    /// These operations on a consumer group.
    pub const fn group(name: &'a str, operations: &'a [Operation]) -> Self {
        Self {
            on: Resource::Group(name),
            operations,
        }
    }
}

fn writes(need: &Need<'_>) -> bool {
    matches!(need.on, Resource::Topic(_)) && need.operations.contains(&Operation::Write)
}

/// Who we are to the brokers.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Principal {
    Anonymous,
    Certificate,
    User(String),
    Role { region: String },
}

/// Both sides of a connection, by the names that users know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Party {
    servers: String,
    principal: Principal,
    /// The type of authentication in the spec.
    kind: &'static str,
    tls: bool,
}

impl Party {
    pub(crate) fn new(settings: &KafkaSettings, material: &Material) -> Self {
        let (kind, principal) = match (&settings.authentication, &material.proof) {
            (KafkaAuthenticationSettings::MskIam { region }, _) => {
                let region = region.clone();
                ("MskIam", Principal::Role { region })
            }
            (KafkaAuthenticationSettings::Plain { .. }, Proof::User { name, .. }) => {
                ("Plain", Principal::User(name.clone()))
            }
            (KafkaAuthenticationSettings::Scram { .. }, Proof::User { name, .. }) => {
                ("Scram", Principal::User(name.clone()))
            }
            (KafkaAuthenticationSettings::MutualTls { .. }, _) => ("MutualTls", Principal::Certificate),
            _ => ("None", Principal::Anonymous),
        };
        Self {
            servers: settings.bootstrap_servers.join(","),
            principal,
            kind,
            tls: settings.tls.is_some(),
        }
    }

    /// The name by which access lists know us.
    fn principal(&self) -> String {
        match &self.principal {
            Principal::Anonymous => "User:ANONYMOUS".to_owned(),
            Principal::Certificate => "User:<subject of the client certificate>".to_owned(),
            Principal::User(name) => format!("User:{name}"),
            Principal::Role { .. } => "the worker's IAM role".to_owned(),
        }
    }

    /// What keeps us from being connected. `distrust`: what is wrong with the broker's certificate, if that was looked at;
    /// `expired`: when our own certificate expired.
    pub(crate) fn refused(
        &self,
        failure: &Failure,
        kind: Kind,
        distrust: Option<Distrust>,
        expired: Option<Timestamp>,
    ) -> Diagnosis {
        let server = failure.server().unwrap_or(&self.servers);
        let words = failure.words();
        match kind {
            Kind::BrokerCertificate => distrusted(server, distrust),
            // Without a certificate of ours it is one that is asked for.
            Kind::ClientCertificate | Kind::NoClientCertificate if self.principal != Principal::Certificate => {
                Diagnosis::new(
                    Reason::KafkaListenerDiffers,
                    format!(
                        "broker {server} asks for a client certificate ({words}): set spec.kafka.authentication.type to MutualTls, or name the port of another listener"
                    ),
                )
            }
            Kind::ClientCertificate => match expired {
                Some(time) => Diagnosis::new(
                    Reason::ClientCertificateExpired,
                    format!(
                        "broker {server}: the client certificate expired at {time}: renew what spec.kafka.authentication.mutualTls.certificate names; it takes effect without a restart"
                    ),
                ),
                None => Diagnosis::new(
                    Reason::ClientCertificateRefused,
                    format!(
                        "broker {server} refuses the client certificate ({words}): put one into the Secret of spec.kafka.authentication.mutualTls that an authority in the brokers' truststore has signed, with the certificates between them"
                    ),
                ),
            },
            Kind::NoClientCertificate => Diagnosis::new(
                Reason::ClientCertificateRefused,
                format!(
                    "broker {server} asks for a client certificate of another authority ({words}): put one into the Secret of spec.kafka.authentication.mutualTls that an authority in the brokers' truststore has signed"
                ),
            ),
            Kind::Credentials => self.unauthenticated(server, words),
            Kind::Listener => {
                let tls = if self.tls { "with" } else { "without" };
                Diagnosis::new(
                    Reason::KafkaListenerDiffers,
                    format!(
                        "broker {server} does not speak as spec.kafka says, {tls} tls and with authentication.type {}: {words}; name the listener's own port in spec.kafka.bootstrapServers, or correct tls and authentication",
                        self.kind
                    ),
                )
            }
            Kind::Other => Diagnosis::new(
                Reason::KafkaRefuses,
                format!("broker {server}: {words}; look at the broker's log, trying again"),
            ),
        }
    }

    fn unauthenticated(&self, server: &str, words: &str) -> Diagnosis {
        let what = match &self.principal {
            Principal::User(name) => format!(
                "broker {server} refuses user {name} or its password ({words}): correct the Secret of spec.kafka.authentication, which takes effect without a restart, or the user at the brokers"
            ),
            Principal::Role { region } => format!(
                "broker {server} refuses the token of the worker's IAM role, signed for region {region} ({words}): allow the role kafka-cluster:Connect on the cluster, check mskIam.region and the node's clock"
            ),
            Principal::Anonymous | Principal::Certificate => {
                format!("broker {server} refuses us ({words}): see spec.kafka.authentication")
            }
        };
        Diagnosis::new(Reason::KafkaCredentialsRefused, what)
    }

    /// What the brokers do not allow of what is needed, if that is what the error says.
    pub(crate) fn denial(&self, error: &KafkaError, needs: &[Need<'_>]) -> Option<Diagnosis> {
        let of = |is_meant: fn(&Need<'_>) -> bool| {
            let meant = needs.iter().find(|need| is_meant(need))?;
            Some(self.denied(meant.on, meant.operations))
        };
        match code_of(error)? {
            RDKafkaErrorCode::TopicAuthorizationFailed => of(|need| matches!(need.on, Resource::Topic(_))),
            RDKafkaErrorCode::GroupAuthorizationFailed => of(|need| matches!(need.on, Resource::Group(_))),
            RDKafkaErrorCode::ClusterAuthorizationFailed => {
                let cluster = self.denied(Resource::Cluster, &[Operation::IdempotentWrite]);
                // Amazon's IAM knows a right of its own for that.
                if matches!(self.principal, Principal::Role { .. }) {
                    return Some(cluster);
                }
                // What lets a producer begin.
                let Some(topic) = of(writes) else {
                    return Some(cluster);
                };
                let message = format!(
                    "{}. Brokers before Kafka 3.0 want another one: {}",
                    topic.message, cluster.message
                );
                Some(Diagnosis::new(topic.reason, message))
            }
            _ => None,
        }
    }

    /// What the brokers do not allow.
    pub(crate) fn denied(&self, resource: Resource<'_>, operations: &[Operation]) -> Diagnosis {
        let (reason, what, flag) = match resource {
            Resource::Topic(name) => (
                Reason::TopicAccessDenied,
                format!("topic {name}"),
                format!("--topic {name}"),
            ),
            Resource::Group(name) => (
                Reason::GroupAccessDenied,
                format!("consumer group {name}"),
                format!("--group {name}"),
            ),
            Resource::Cluster => (
                Reason::ClusterAccessDenied,
                "the cluster".to_owned(),
                "--cluster".to_owned(),
            ),
        };
        let names: Vec<_> = operations.iter().map(|operation| operation.name()).collect();
        let who = self.principal();
        let fix = match &self.principal {
            Principal::Role { region } => {
                format!(
                    "allow {} on {}",
                    actions(resource, operations).join(" and "),
                    arn(resource, region)
                )
            }
            _ => {
                format!(
                    "kafka-acls.sh --bootstrap-server {} --add --allow-principal {} --operation {} {flag}",
                    self.servers,
                    quoted(&who),
                    names.join(" --operation ")
                )
            }
        };
        Diagnosis::new(
            reason,
            format!(
                "{what}: the brokers do not allow {who} to {}: {fix}; it goes on by itself then",
                names.join(" and ")
            ),
        )
    }
}

/// One word for a shell, whatever is in it: a user may be called `o'brien`, and the command is there to be copied.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The code of an error, whatever was asked.
pub fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

fn distrusted(server: &str, distrust: Option<Distrust>) -> Diagnosis {
    const AUTHORITY: &str = "put the certificate of the authority that has signed it into what spec.kafka.tls.ca names; it takes effect without a restart";

    match distrust {
        Some(Distrust::Expired(time)) => Diagnosis::new(
            Reason::BrokerCertificateExpired,
            format!("broker {server}: its certificate expired at {time}: renew it at the broker"),
        ),
        Some(Distrust::Authority(time)) => Diagnosis::new(
            Reason::BrokerNotTrusted,
            format!(
                "broker {server}: the authority that has signed its certificate expired at {time}, as spec.kafka.tls.ca has it: put the authority's renewed certificate there; it takes effect without a restart"
            ),
        ),
        Some(Distrust::Name(names)) => {
            let names = if names.is_empty() {
                "no host".to_owned()
            } else {
                names.join(", ")
            };
            Diagnosis::new(
                Reason::BrokerNameDiffers,
                format!(
                    "broker {server}: its certificate names {names}: call the brokers by such a name in spec.kafka.bootstrapServers and in their advertised.listeners, or give them a certificate with the one that is used"
                ),
            )
        }
        Some(Distrust::Other(words)) => Diagnosis::new(
            Reason::BrokerNotTrusted,
            format!("broker {server}: its certificate does not do ({words}): {AUTHORITY}"),
        ),
        Some(Distrust::Signer) => Diagnosis::new(
            Reason::BrokerNotTrusted,
            format!("broker {server}: its certificate is signed by nobody whom the pipeline trusts: {AUTHORITY}"),
        ),
        None => Diagnosis::new(
            Reason::BrokerNotTrusted,
            format!("broker {server}: its certificate could not be verified: {AUTHORITY}"),
        ),
    }
}

/// The actions of Amazon MSK's IAM that stand for operations. Unlike in access lists none holds another.
fn actions(resource: Resource<'_>, operations: &[Operation]) -> Vec<&'static str> {
    let describes = match resource {
        Resource::Topic(_) | Resource::Group(_) => Some(action(resource, Operation::Describe)),
        Resource::Cluster => None,
    };
    let mut all: Vec<_> = describes.into_iter().collect();
    for operation in operations {
        let action = action(resource, *operation);
        if !all.contains(&action) {
            all.push(action);
        }
    }
    all
}

/// The action that stands for an operation.
fn action(resource: Resource<'_>, operation: Operation) -> &'static str {
    match (resource, operation) {
        (Resource::Topic(_), Operation::Read) => "kafka-cluster:ReadData",
        (Resource::Topic(_), Operation::Write) => "kafka-cluster:WriteData",
        (_, Operation::Create) => "kafka-cluster:CreateTopic",
        (Resource::Topic(_), Operation::DescribeConfigs) => "kafka-cluster:DescribeTopicDynamicConfiguration",
        (Resource::Topic(_), _) => "kafka-cluster:DescribeTopic",
        (Resource::Group(_), Operation::Read) => "kafka-cluster:AlterGroup",
        (Resource::Group(_), _) => "kafka-cluster:DescribeGroup",
        (Resource::Cluster, Operation::IdempotentWrite) => "kafka-cluster:WriteDataIdempotently",
        (Resource::Cluster, _) => "kafka-cluster:DescribeCluster",
    }
}

fn arn(resource: Resource<'_>, region: &str) -> String {
    let partition = Partition::of(region).name;
    let (kind, name) = match resource {
        Resource::Topic(name) => ("topic", format!("/{name}")),
        Resource::Group(name) => ("group", format!("/{name}")),
        Resource::Cluster => ("cluster", String::new()),
    };
    format!("arn:{partition}:kafka:{region}:<account>:{kind}/<cluster>/<cluster uuid>{name}")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use medallion_crds::launch::KafkaTlsSettings;
    use medallion_crds::pipeline::ScramMechanism;
    use rdkafka::error::RDKafkaErrorCode as Code;
    use rstest::rstest;

    use super::*;

    fn party(authentication: KafkaAuthenticationSettings) -> Party {
        let settings = KafkaSettings {
            bootstrap_servers: vec!["b-1.shop:9096".to_owned(), "b-2.shop:9096".to_owned()],
            tls: Some(KafkaTlsSettings { ca_path: None }),
            authentication,
            ..KafkaSettings::default()
        };
        let material = Material {
            authorities: None,
            proof: Proof::User {
                name: "shop".to_owned(),
                password: "hidden".to_owned(),
            },
        };
        Party::new(&settings, &material)
    }

    fn scram() -> Party {
        party(KafkaAuthenticationSettings::Scram {
            mechanism: ScramMechanism::Sha512,
            username_path: String::new(),
            password_path: String::new(),
        })
    }

    fn mutual_tls() -> Party {
        party(KafkaAuthenticationSettings::MutualTls {
            certificate_path: String::new(),
            key_path: String::new(),
        })
    }

    fn iam() -> Party {
        party(KafkaAuthenticationSettings::MskIam {
            region: "cn-north-1".to_owned(),
        })
    }

    fn failure() -> Failure {
        Failure {
            code: Code::SSL,
            text: "sasl_ssl://b-1.shop:9096/bootstrap: in its words (after 1ms in state UP)".to_owned(),
        }
    }

    #[rstest]
    #[case::signer(Some(Distrust::Signer), Reason::BrokerNotTrusted, "spec.kafka.tls.ca")]
    #[case::not_looked_at(None, Reason::BrokerNotTrusted, "spec.kafka.tls.ca")]
    #[case::expired(
        Some(Distrust::Expired(Timestamp::UNIX_EPOCH)),
        Reason::BrokerCertificateExpired,
        "expired at 1970-01-01T00:00:00Z"
    )]
    #[case::authority(
        Some(Distrust::Authority(Timestamp::UNIX_EPOCH)),
        Reason::BrokerNotTrusted,
        "expired at 1970-01-01T00:00:00Z, as spec.kafka.tls.ca has it"
    )]
    #[case::name(Some(Distrust::Name(vec!["a.shop".to_owned()])), Reason::BrokerNameDiffers, "names a.shop")]
    fn what_is_wrong_with_a_brokers_certificate_is_named_with_the_broker(
        #[case] distrust: Option<Distrust>,
        #[case] reason: Reason,
        #[case] words: &str,
    ) {
        let why = scram().refused(&failure(), Kind::BrokerCertificate, distrust, None);
        assert_eq!(why.reason, reason);
        assert!(
            why.message.contains("b-1.shop:9096") && why.message.contains(words),
            "{why}"
        );
    }

    #[rstest]
    #[case::password(scram(), Kind::Credentials, None, Reason::KafkaCredentialsRefused, "user shop")]
    #[case::token(
        iam(),
        Kind::Credentials,
        None,
        Reason::KafkaCredentialsRefused,
        "kafka-cluster:Connect"
    )]
    #[case::expired(
        mutual_tls(),
        Kind::ClientCertificate,
        Some(Timestamp::UNIX_EPOCH),
        Reason::ClientCertificateExpired,
        "1970-01-01"
    )]
    #[case::refused(
        mutual_tls(),
        Kind::ClientCertificate,
        None,
        Reason::ClientCertificateRefused,
        "truststore"
    )]
    #[case::not_sent(
        mutual_tls(),
        Kind::NoClientCertificate,
        None,
        Reason::ClientCertificateRefused,
        "another authority"
    )]
    #[case::bad_without_one(scram(), Kind::ClientCertificate, None, Reason::KafkaListenerDiffers, "MutualTls")]
    #[case::not_there(scram(), Kind::NoClientCertificate, None, Reason::KafkaListenerDiffers, "MutualTls")]
    #[case::listener(
        scram(),
        Kind::Listener,
        None,
        Reason::KafkaListenerDiffers,
        "authentication.type Scram"
    )]
    fn who_is_refused_reads_what_to_mend_and_no_secret(
        #[case] party: Party,
        #[case] kind: Kind,
        #[case] expired: Option<Timestamp>,
        #[case] reason: Reason,
        #[case] words: &str,
    ) {
        let why = party.refused(&failure(), kind, None, expired);
        assert_eq!(why.reason, reason);
        assert!(why.message.contains(words), "{why}");
        assert!(why.message.contains("in its words") || expired.is_some(), "{why}");
        assert!(!why.message.contains("hidden"), "{why}");
    }

    #[rstest]
    #[case::topic(
        scram(),
        Resource::Topic("orders"),
        &[Operation::Write],
        Reason::TopicAccessDenied,
        "kafka-acls.sh --bootstrap-server b-1.shop:9096,b-2.shop:9096 --add --allow-principal 'User:shop' --operation Write --topic orders"
    )]
    #[case::group(
        scram(),
        Resource::Group("medallion.a"),
        &[Operation::Read],
        Reason::GroupAccessDenied,
        "--operation Read --group medallion.a"
    )]
    #[case::cluster(
        scram(),
        Resource::Cluster,
        &[Operation::IdempotentWrite],
        Reason::ClusterAccessDenied,
        "--operation IdempotentWrite --cluster"
    )]
    #[case::iam_topic(
        iam(),
        Resource::Topic("orders"),
        &[Operation::Write],
        Reason::TopicAccessDenied,
        "allow kafka-cluster:DescribeTopic and kafka-cluster:WriteData on arn:aws-cn:kafka:cn-north-1:<account>:topic/<cluster>/<cluster uuid>/orders"
    )]
    #[case::iam_group(
        iam(),
        Resource::Group("medallion.a"),
        &[Operation::Read],
        Reason::GroupAccessDenied,
        "allow kafka-cluster:DescribeGroup and kafka-cluster:AlterGroup on arn:aws-cn:kafka:cn-north-1:<account>:group/<cluster>/<cluster uuid>/medallion.a"
    )]
    #[case::iam_cluster(
        iam(),
        Resource::Cluster,
        &[Operation::IdempotentWrite],
        Reason::ClusterAccessDenied,
        "kafka-cluster:WriteDataIdempotently"
    )]
    fn what_is_denied_is_named_with_the_command_that_allows_it(
        #[case] party: Party,
        #[case] resource: Resource<'_>,
        #[case] operations: &[Operation],
        #[case] reason: Reason,
        #[case] words: &str,
    ) {
        let why = party.denied(resource, operations);
        assert_eq!(why.reason, reason);
        assert!(why.message.contains(words), "{why}");
    }

    const NEEDS: [Need<'static>; 2] = [
        Need::topic("dlq.orders", &[Operation::Read, Operation::Write]),
        Need::group("readers", &[Operation::Read]),
    ];

    fn denial(error: &KafkaError) -> Option<Diagnosis> {
        scram().denial(error, &NEEDS)
    }

    #[rstest]
    #[case("User:shop")]
    #[case("User:o'brien")]
    #[case("User:CN=shop, O=\"A $(date) & B\", L='s-Hertogenbosch'")]
    #[case("User:a\\'; b")]
    fn a_shell_reads_a_quoted_name_as_it_is(#[case] name: &str) {
        let command = format!("printf %s {}", quoted(name));
        let said = Command::new("sh").args(["-c", &command]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&said.stdout), name, "{command}");
    }

    #[test]
    fn a_user_with_a_quote_in_its_name_is_quoted_in_the_command() {
        let mut party = scram();
        party.principal = Principal::User("o'brien".to_owned());
        let why = party.denied(Resource::Topic("orders"), &[Operation::Write]);
        assert!(
            why.message.contains(r"--allow-principal 'User:o'\''brien' --operation"),
            "{why}"
        );
    }

    #[test]
    fn a_missing_right_is_named_with_what_it_is_on_and_the_command_that_gives_it() {
        let denied = denial(&KafkaError::MetadataFetch(Code::TopicAuthorizationFailed)).expect("a denial");
        assert_eq!(
            denied.message,
            "topic dlq.orders: the brokers do not allow User:shop to Read and Write: kafka-acls.sh --bootstrap-server \
             b-1.shop:9096,b-2.shop:9096 --add --allow-principal 'User:shop' --operation Read --operation Write --topic \
             dlq.orders; it goes on by itself then"
        );
        let denied = denial(&KafkaError::ConsumerCommit(Code::GroupAuthorizationFailed)).expect("a denial");
        assert_eq!(denied.reason, Reason::GroupAccessDenied);
        assert!(denied.message.starts_with("consumer group readers: "), "{denied}");
    }

    #[test]
    fn every_kind_of_question_may_be_denied() {
        for error in [
            KafkaError::AdminOp(Code::TopicAuthorizationFailed),
            KafkaError::MessageConsumption(Code::TopicAuthorizationFailed),
            KafkaError::MessageProduction(Code::TopicAuthorizationFailed),
            KafkaError::OffsetFetch(Code::TopicAuthorizationFailed),
            KafkaError::Global(Code::TopicAuthorizationFailed),
        ] {
            assert!(denial(&error).is_some(), "{error}");
        }
        let error = KafkaError::MetadataFetch(Code::BrokerTransportFailure);
        assert_eq!(denial(&error), None, "another matter");
    }

    #[test]
    fn a_producer_that_may_not_begin_lacks_its_topic_first_and_with_iam_the_cluster() {
        let error = KafkaError::Global(Code::ClusterAuthorizationFailed);
        let denied = denial(&error).expect("a denial");
        assert_eq!(denied.reason, Reason::TopicAccessDenied);
        assert!(denied.message.starts_with("topic dlq.orders: "), "{denied}");
        assert!(
            denied.message.contains("--operation IdempotentWrite --cluster"),
            "{denied}"
        );
        let reads = [Need::topic("orders", &[Operation::Read])];
        for denied in [scram().denial(&error, &reads), iam().denial(&error, &NEEDS)] {
            assert_eq!(denied.expect("a denial").reason, Reason::ClusterAccessDenied);
        }
    }
}
