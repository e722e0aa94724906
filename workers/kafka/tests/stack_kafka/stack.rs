//! What the stack's file says of the broker, and what a pod would have mounted. Loopback only.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kafka_client::{Brokers, Clock, Diagnosis, KafkaContext, Snapshot, TokenSource, iam_tokens, reach};
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings, KafkaTlsSettings};
use medallion_crds::pipeline::ScramMechanism;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::BaseConsumer;
use serde_json::Value;
use tempfile::TempDir;

/// Whatever is wrong must be named within this time.
pub const NAMED_WITHIN: Duration = Duration::from_secs(30);

/// The stack, and the files of one pod.
pub struct Stack {
    document: Value,
    mounted: TempDir,
}

impl Stack {
    pub fn read() -> Result<Self> {
        let path = std::env::var("MEDALLION_STACK").context("MEDALLION_STACK must name the stack's file")?;
        Ok(Self {
            document: serde_json::from_str(&fs::read_to_string(path)?)?,
            mounted: tempfile::tempdir()?,
        })
    }

    fn text(&self, pointer: &str) -> Result<&str> {
        let found = self.document.pointer(pointer).and_then(Value::as_str);
        found.with_context(|| format!("{pointer} in the stack's file"))
    }

    /// The listener that takes everybody.
    pub fn open(&self) -> Result<&str> {
        self.text("/kafka/bootstrapServers")
    }

    pub fn password(&self, user: &str) -> Result<&str> {
        self.text(&format!("/kafka/users/{user}"))
    }

    pub fn access_key(&self) -> Result<&str> {
        self.text("/aws/accessKeyId")
    }

    pub fn region(&self) -> Result<&str> {
        self.text("/aws/region")
    }

    fn certificates(&self) -> Result<PathBuf> {
        Ok(Path::new(self.text("/kafka/certificates")?).to_owned())
    }

    /// Path of an authority's certificate.
    pub fn authority(&self, name: &str) -> Result<PathBuf> {
        Ok(self.certificates()?.join(format!("{name}.crt")))
    }

    /// Path of something mounted.
    pub fn mounted(&self, file: &str) -> String {
        self.mounted.path().join(file).to_string_lossy().into_owned()
    }

    /// Mounts a text, or what has taken its place.
    pub fn mount(&self, file: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.mounted.path().join(file), text)?)
    }

    pub fn mount_user(&self, name: &str, password: &str) -> Result<()> {
        self.mount("username", name)?;
        self.mount("password", password)
    }

    pub fn mount_certificate(&self, name: &str) -> Result<()> {
        for (file, ending) in [("tls.crt", "crt"), ("tls.key", "key")] {
            let text = fs::read_to_string(self.certificates()?.join(format!("{name}.{ending}")))?;
            self.mount(file, &text)?;
        }
        Ok(())
    }

    /// Settings for a listener whose authority is this one; none: plain text.
    pub fn settings(
        &self,
        listener: &str,
        topic: &str,
        authority: Option<&str>,
        authentication: KafkaAuthenticationSettings,
    ) -> Result<KafkaSettings> {
        let server = if listener == "open" {
            self.open()?
        } else {
            self.text(&format!("/kafka/listeners/{listener}"))?
        };
        let tls = match authority {
            None => None,
            Some(authority) => {
                self.mount("ca.pem", &fs::read_to_string(self.authority(authority)?)?)?;
                Some(KafkaTlsSettings {
                    ca_path: Some(self.mounted("ca.pem")),
                })
            }
        };
        Ok(KafkaSettings {
            bootstrap_servers: vec![server.to_owned()],
            topic: topic.to_owned(),
            dead_letter_topic: format!("dlq.{topic}"),
            tls,
            authentication,
        })
    }

    pub fn scram(&self, mechanism: ScramMechanism) -> KafkaAuthenticationSettings {
        KafkaAuthenticationSettings::Scram {
            mechanism,
            username_path: self.mounted("username"),
            password_path: self.mounted("password"),
        }
    }

    pub fn plain(&self) -> KafkaAuthenticationSettings {
        KafkaAuthenticationSettings::Plain {
            username_path: self.mounted("username"),
            password_path: self.mounted("password"),
        }
    }

    pub fn mutual_tls(&self) -> KafkaAuthenticationSettings {
        KafkaAuthenticationSettings::MutualTls {
            certificate_path: self.mounted("tls.crt"),
            key_path: self.mounted("tls.key"),
        }
    }

    pub fn iam(&self) -> Result<KafkaAuthenticationSettings> {
        let region = self.region()?.to_owned();
        Ok(KafkaAuthenticationSettings::MskIam { region })
    }

    /// Brokers that are given tokens signed with this key.
    pub fn with_iam(&self, settings: &KafkaSettings, secret: &str, region: &str) -> Result<Brokers> {
        Ok(Brokers::with_tokens(settings, self.tokens(secret, region)?))
    }

    pub fn tokens(&self, secret: &str, region: &str) -> Result<Arc<dyn TokenSource>> {
        self.tokens_at(secret, region, SystemTime::now)
    }

    /// As they are signed at another time.
    pub fn tokens_at(&self, secret: &str, region: &str, clock: Clock) -> Result<Arc<dyn TokenSource>> {
        let credentials = Credentials::new(self.access_key()?, secret, None, None, "test");
        Ok(iam_tokens(SharedCredentialsProvider::new(credentials), region, clock))
    }

    pub fn secret_key(&self) -> Result<&str> {
        self.text("/aws/secretAccessKey")
    }

    /// Makes a topic, as somebody who may.
    pub async fn make_topic(&self, topic: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", self.open()?).create()?;
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
        let made = admin.create_topics([&new], &AdminOptions::new()).await?;
        made.into_iter()
            .try_for_each(|made| made.map(drop))
            .map_err(|(topic, code)| anyhow!("{topic}: {code}"))
    }
}

/// A name that no other run uses.
pub fn unique(what: &str) -> String {
    format!("kafka-{what}-{}", std::process::id())
}

/// A client that is not connected yet.
pub fn client(snapshot: &Snapshot) -> Result<BaseConsumer<KafkaContext>> {
    Ok(snapshot
        .consumer("test", "test")
        .create_with_context(snapshot.context())?)
}

/// Whether the brokers let us in, or why not.
pub async fn knock(brokers: Brokers) -> Result<Result<(), Diagnosis>> {
    tokio::task::spawn_blocking(move || {
        let snapshot = match brokers.read() {
            Ok(snapshot) => snapshot,
            Err(diagnosis) => return Ok(Err(diagnosis)),
        };
        Ok(reach(&client(&snapshot)?, snapshot.settings(), NAMED_WITHIN))
    })
    .await?
}
