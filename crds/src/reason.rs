//! The words by which operator and workers say why: one enum for status, events, reports, metrics and dead letters. No network.
//!
//! What each means, what to look at and what to do stands in `docs/runbooks.md`, under the word.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much a reason asks of people.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Part of an ordinary life: nobody has to do anything.
    Normal,
    /// It may heal by itself; somebody should know.
    Warning,
    /// It does not heal by itself.
    Critical,
}

/// A word that this version does not know.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Unknown(String);

macro_rules! reasons {
    ($($name:ident: $severity:ident = $meaning:literal,)*) => {
        /// Why: one CamelCase word. Words that this version does not know are kept as they are.
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)*
            /// A word of another version, which only reading makes.
            Other(Unknown),
        }

        impl Reason {
            /// All words that this version knows.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Other(word) => &word.0,
                }
            }

            /// How much it asks of people; an unknown word may be anything.
            pub const fn severity(&self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                    Self::Other(_) => Severity::Warning,
                }
            }

            /// What it means, in words that users read.
            pub const fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    Self::Other(_) => "a word of another version of the product",
                }
            }

            /// A word that another program has written. There is no conversion from text, lest one of our own be made up.
            pub fn read(word: &str) -> Self {
                match word {
                    $(stringify!($name) => Self::$name,)*
                    _ => Self::Other(Unknown(word.to_owned())),
                }
            }
        }
    };
}

reasons! {
    // Conditions of a Pipeline and of its runs.
    Accepted: Normal = "the references and the configuration of the Pipeline are good",
    DependenciesExist: Normal = "everything that the pipeline depends on is as it must be",
    AllStagesRunning: Normal = "the workloads do what the spec says",
    Fresh: Normal = "data is fresh, dead letters are within budget, nothing is at risk",
    Provisioning: Normal = "the provisioner looks at what the pipeline depends on",
    Starting: Normal = "pods are being started",
    RollingOut: Normal = "a change is being rolled out",
    Suspended: Normal = "the spec says that nothing new starts",
    PipelineMissing: Critical = "the run names a Pipeline that does not exist",
    StageMissing: Critical = "the run names a stage that the Pipeline does not have",
    NotReadable: Critical = "this operator cannot read the object",
    ApplyFailed: Critical = "the API server refused an object of the pipeline",
    Taken: Critical = "an object of somebody else has the name of one of the pipeline's",
    ProvisioningFailed: Warning = "the provisioner could not finish",
    DependenciesMissing: Critical = "something that the pipeline depends on is missing or differs",
    ServiceAccountNotAllowed: Critical = "a ServiceAccount's name does not begin with the allowed prefix",
    ServiceAccountMissing: Critical = "a named ServiceAccount does not exist",
    DbtProjectNotAllowed: Critical = "the dbt project is not on the operator's list",
    SizeNotAllowed: Critical = "a size class is not one of the operator's",
    NotAllowedInNamespace: Critical = "the admin's limits for this namespace do not allow what the spec names",
    AdoptionNotReadable: Critical = "the annotation medallion.dev/adopt names no owner and no table",
    ConfigMapMissing: Critical = "a ConfigMap that is mounted does not exist",
    SecretMissing: Critical = "a Secret that is mounted does not exist",
    SecretKeyMissing: Critical = "a Secret has not the key that is mounted",
    NotMeasured: Warning = "what a stage does is not known, because its pods do not answer or it runs as a function on AWS Lambda",
    Unreachable: Warning = "the operator cannot reach the admin port of a worker",
    Stale: Warning = "data waits longer than the stage's maxAgeSeconds",
    DeadLettersOverBudget: Warning = "more dead letters wait than spec.deadLetters.maxCount allows",
    RetentionAtRisk: Critical = "the oldest unread input is about to leave its source",
    StageFailed: Critical = "the last run of a stage failed",
    WorkerFailed: Warning = "a worker failed",
    // The operator itself.
    Passive: Normal = "another operator works here, and this one waits to take its place",
    // Pods and Jobs.
    Pending: Normal = "the attempt's Job or pod is being made",
    Running: Normal = "the attempt is at work",
    Committed: Normal = "the run's rows are committed",
    AlreadyCommitted: Normal = "everything up to the run's inputs stood committed",
    EarlierPodEnds: Normal = "a pod of an earlier attempt still ends",
    BackingOff: Warning = "a failed attempt is to be made again",
    Repeating: Normal = "an attempt that nobody failed is to be made again",
    CannotSucceed: Critical = "another attempt cannot help",
    OutOfAttempts: Critical = "all attempts of the run failed",
    Unschedulable: Warning = "no node has room for a pod",
    ImageNotPulled: Critical = "a pod's image cannot be pulled",
    PodNotStarting: Warning = "a pod does not start",
    PodLost: Warning = "a pod went away before it could say how it ended",
    PodRefused: Critical = "the API server refuses the pod",
    PodSecurityViolated: Critical = "the namespace's Pod Security level refuses the pod",
    QuotaExceeded: Warning = "a quota of the namespace leaves no room for the pod",
    CrashLoopBackOff: Critical = "a worker crashes again and again",
    JobLost: Warning = "an attempt's Job went away",
    JobHeldOpen: Warning = "a container that is not the product's keeps an attempt's pod from ending",
    ReportLost: Warning = "a Job ended without a readable report",
    TimedOut: Warning = "an attempt took longer than the stage's timeoutSeconds",
    OutOfMemory: Critical = "a worker needed more memory than its size allows",
    WorkerEnded: Warning = "a worker ended although it should go on",
    Disrupted: Normal = "a pod was taken away; the attempt is made again and not counted",
    Killed: Warning = "a worker was killed from outside",
    // Every worker.
    BadSettings: Critical = "a worker cannot work with its settings file",
    BadContract: Critical = "the contract's schema is not usable",
    ContractNotAdditive: Critical = "the contract changes what rows that stand in Bronze rest on",
    UnknownContractVersion: Warning = "a record carries a contract version that is not mounted",
    NoCredentials: Critical = "no AWS credentials",
    CredentialsRefused: Critical = "AWS refuses the worker's credentials",
    OwnedByAnother: Critical = "a table belongs to another Pipeline, or to nobody that we know",
    PortTaken: Critical = "a worker cannot listen on its port",
    NoSignalHandler: Critical = "a worker cannot listen to signals",
    ThreadFailed: Critical = "a worker's thread ended badly",
    NotTurning: Critical = "a worker's loop no longer turns",
    ListenerEnded: Critical = "a worker's listener ended",
    // Kafka: gateway and consumer.
    KafkaUnavailable: Warning = "the brokers do not answer",
    KafkaRefuses: Critical = "the brokers refuse the worker",
    KafkaCredentialsUnreadable: Critical = "the certificates or credentials for the brokers cannot be used as they are mounted",
    KafkaCredentialsRefused: Critical = "the brokers refuse the user, the password or the token",
    KafkaListenerDiffers: Critical = "the brokers' listener speaks another protocol or mechanism than the spec says",
    BrokerNotTrusted: Critical = "the brokers' certificate is signed by nobody whom the pipeline trusts",
    BrokerCertificateExpired: Critical = "the brokers' certificate has expired",
    BrokerNameDiffers: Critical = "the brokers' certificate does not name the host by which they are called",
    ClientCertificateExpired: Critical = "the client certificate for the brokers has expired",
    ClientCertificateRefused: Critical = "the brokers refuse the client certificate",
    TopicAccessDenied: Critical = "the brokers do not allow the worker what it needs on a topic",
    GroupAccessDenied: Critical = "the brokers do not allow the worker what it needs on a consumer group",
    ClusterAccessDenied: Critical = "the brokers do not allow the worker what it needs on the cluster",
    TopicMissing: Critical = "the topic does not exist",
    TopicReplaced: Critical = "the topic was deleted and made again",
    GroupInUse: Critical = "another Pipeline reads with the same consumer group",
    ProducerFailed: Critical = "the producer cannot go on",
    ConsumerFailed: Critical = "the consumer cannot go on",
    QueueFull: Warning = "too many events wait for the broker",
    NotAcknowledged: Warning = "the broker did not acknowledge an event",
    OffsetsLost: Critical = "the position lies outside of what the topic holds",
    AssignmentFailed: Critical = "a partition could not be taken up",
    PollIntervalExceeded: Critical = "the consumer was thrown out of its group for being slow",
    RecordsUnreadable: Critical = "a batch of the topic's records cannot be read",
    DeadLetterTopicUnavailable: Warning = "the dead-letter topic takes no records",
    TokensUnreadable: Critical = "the gateway's tokens cannot be read",
    RecordTaskPanicked: Critical = "working on a record broke down",
    CheckPanicked: Critical = "a record could not be checked",
    // DynamoDB: consumer and exporter.
    TableMissing: Critical = "the DynamoDB table does not exist",
    TableUnreachable: Warning = "DynamoDB does not answer",
    TableUnavailable: Warning = "the DynamoDB table takes no items",
    TableThrottled: Warning = "DynamoDB throttles",
    TableRefuses: Critical = "DynamoDB refuses an item",
    StreamMissing: Critical = "the table's stream does not exist",
    StreamDisabled: Critical = "the table's stream is switched off",
    StreamReplaced: Critical = "the table's stream is another one than before",
    StreamTrimmed: Critical = "the stream has dropped records behind a position",
    StreamRetentionPassed: Critical = "nothing was read for longer than the stream keeps records",
    StreamUnreadable: Warning = "the stream cannot be read",
    ParentShardUnknown: Critical = "a shard's parent is known neither to the log nor to the stream",
    ShardGone: Warning = "a shard is no longer listed",
    ReaderFailed: Critical = "a shard's reader cannot go on",
    AnotherExporter: Warning = "another exporter writes the same Bronze table",
    StreamHeldElsewhere: Warning = "Bronze's log names another holder of the stream, so this one's batches wait",
    BatchBeyondPosition: Critical = "a batch begins behind records of the stream that Bronze does not have",
    BatchUnreadable: Critical = "an event is no batch of a DynamoDB stream with a tumbling window",
    BronzeTableReplaced: Critical = "the Bronze table was deleted or made anew under the exporter",
    BadBronzeAddress: Critical = "the Bronze table's address is not usable",
    RowsNotEncodable: Critical = "rows cannot be written as Parquet",
    // Lake, dbt and warehouse.
    UnknownPosition: Critical = "a table's log has no position that the worker understands",
    LakeUnavailable: Warning = "S3 does not answer as it should",
    LakeFailed: Critical = "the lake cannot be worked on",
    Interrupted: Warning = "a run was asked to stop before everything was published",
    OvertakenByAnotherRun: Warning = "another run has gone further meanwhile",
    DbtProjectUnfit: Critical = "the dbt project uses what cannot be published safely",
    DbtNotRunning: Critical = "dbt could not be started",
    DbtFailed: Critical = "a dbt model or test failed, so nothing of the layer was published",
    CatalogUnavailable: Warning = "the catalog does not answer as it should",
    CatalogAccessDenied: Critical = "the catalog does not allow the worker what it needs",
    CatalogDatabaseMissing: Critical = "the catalog has no database of the name",
    ColumnNamesClash: Critical = "two columns of a table have one name in the catalog, which knows no capital letters",
    WarehouseUnavailable: Warning = "the warehouse does not answer",
    StatementFailed: Critical = "the warehouse refused a statement",
    StatementTooLong: Critical = "a statement is longer than the warehouse takes",
    StagedRowsDiffer: Critical = "COPY brought another number of rows than Gold has",
    SerializationConflict: Warning = "another transaction changed the same tables",
    GoldUnreadable: Critical = "a Gold table cannot be read",
    GoldFileLost: Critical = "a file that Gold's log names is not there",
    TableNotInGold: Critical = "a table to load is not in Gold",
    TableDiffers: Critical = "a table has other columns than what is to be written to it",
    TableNotEmpty: Critical = "a table in the warehouse has rows that this pipeline did not load",
    ColumnNotSupported: Critical = "the warehouse or the catalog has no type for a column",
    PermissionDenied: Critical = "the warehouse refuses the loader's user",
    // Refusals of events.
    MalformedJson: Warning = "the text is not JSON",
    NotAnObject: Warning = "the event is not a JSON object",
    NoPayload: Warning = "the record has no payload",
    MissingField: Warning = "a required field is missing",
    UnknownField: Warning = "a field is not in the contract",
    DuplicateField: Warning = "a field stands twice",
    TypeMismatch: Warning = "a field has another type than the contract says",
    FormatMismatch: Warning = "a field has another format than the contract says",
    PatternMismatch: Warning = "a field does not match the contract's pattern",
    ValueNotAllowed: Warning = "a field has a value that the contract does not list",
    OutOfRange: Warning = "a number lies outside of the contract's bounds",
    LengthOutOfRange: Warning = "a text is shorter or longer than the contract says",
    SchemaMismatch: Warning = "the event does not fit the contract",
    TooDeep: Warning = "the event is nested too deeply",
    NulCharacter: Warning = "a text holds the NUL character",
    NumberOutOfRange: Warning = "a number has more digits than can be kept",
    IntegerOutOfRange: Warning = "a number in an integer's place is not an integer of 64 bits",
    NotADecimal: Warning = "a text is not a plain decimal number",
    DecimalDoesNotFit: Warning = "a decimal has more digits than the contract says",
    TimeNotReadable: Warning = "a time cannot be read",
    TimeOutOfRange: Warning = "a time lies outside of what can be kept",
    IdentityLength: Warning = "a key or event id is empty or too long",
    EventTooLarge: Warning = "the event is larger than the pipeline takes",
    ItemTooLarge: Warning = "the event does not fit into a DynamoDB item",
    EventIdReused: Warning = "the same key and event id came with another payload",
}

impl Reason {
    /// The page that says what to look at and what to do; a word of another version has none here.
    pub fn runbook(&self) -> Option<String> {
        match self {
            Self::Other(_) => None,
            known => Some(format!("docs/runbooks.md#{}", known.as_str().to_lowercase())),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::read(&Cow::<str>::deserialize(deserializer)?))
    }
}

impl JsonSchema for Reason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Any word: an older API server must take those of a newer operator.
        json_schema!({"type": "string", "maxLength": 128})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_back_and_an_unknown_one_is_kept() {
        for reason in Reason::ALL {
            assert_eq!(&Reason::read(reason.as_str()), reason);
        }
        let text = serde_json::to_string(&Reason::read("FromTheFuture")).unwrap();
        let read: Reason = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Reason::Other(Unknown("FromTheFuture".to_owned())));
        assert_eq!(read.severity(), Severity::Warning);
        assert_eq!(read.runbook(), None);
    }
}
