//! The brokers of a pipeline as clients are made for them: settings, what is mounted just now, and tokens. Reads files; opens no connection by itself.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kafka_admin::Operation;
use medallion_crds::Reason;
use medallion_crds::launch::{KafkaAuthenticationSettings, KafkaSettings};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::configuration;
use crate::context::KafkaContext;
use crate::diagnosis::Diagnosis;
use crate::material::Material;
use crate::party::{Need, Party};
use crate::signer::{TokenSource, iam_tokens};

/// How long one question waits while it is not known whether brokers let us in.
const ASK: Duration = Duration::from_secs(1);
/// So long a client is served before and after a question.
const SERVE: Duration = Duration::from_millis(50);
/// A refusal must stand so long before it is believed: one broker of several may be another's.
const BELIEVE: Duration = Duration::from_secs(3);

/// The brokers of a pipeline; clones share everything.
#[derive(Clone)]
pub struct Brokers {
    settings: Arc<KafkaSettings>,
    tokens: Option<Arc<dyn TokenSource>>,
}

impl Brokers {
    /// As the settings say. With Amazon MSK's IAM the process's own AWS credentials sign.
    pub async fn open(settings: &KafkaSettings) -> Self {
        let mut brokers = Self::without_tokens(settings);
        if let KafkaAuthenticationSettings::MskIam { region } = &settings.authentication {
            let configuration = worker_kit::aws::configuration(region).await;
            let provider = configuration.credentials_provider();
            brokers.tokens = provider.map(|provider| iam_tokens(provider, region, SystemTime::now));
        }
        brokers
    }

    /// Brokers that want no token.
    pub fn without_tokens(settings: &KafkaSettings) -> Self {
        Self::new(settings, None)
    }

    /// Brokers that are given the tokens of this source.
    pub fn with_tokens(settings: &KafkaSettings, tokens: Arc<dyn TokenSource>) -> Self {
        Self::new(settings, Some(tokens))
    }

    fn new(settings: &KafkaSettings, tokens: Option<Arc<dyn TokenSource>>) -> Self {
        // Before librdkafka does it in its own way: OpenSSL would clean up when the process exits, while threads that have
        // used it end as well and clean up after themselves, and the process would die of that instead.
        openssl_sys::init();
        Self {
            settings: Arc::new(settings.clone()),
            tokens,
        }
    }

    /// Brokers and topics.
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// What clients are made from just now, or which part of what is mounted cannot be used.
    pub fn read(&self) -> Result<Snapshot, Diagnosis> {
        Ok(Snapshot {
            material: Material::read(&self.settings)?,
            brokers: self.clone(),
        })
    }
}

/// What clients are made from at one moment.
#[derive(Clone)]
pub struct Snapshot {
    brokers: Brokers,
    pub(crate) material: Material,
}

impl Snapshot {
    /// Any client, under the name of its worker.
    pub fn client(&self, worker: &str) -> ClientConfig {
        configuration::client(self.settings(), &self.material, worker)
    }

    /// A producer: what it says is acknowledged is stored once, by all replicas that are in sync.
    pub fn producer(&self, worker: &str) -> ClientConfig {
        configuration::producer(self.settings(), &self.material, worker)
    }

    /// A consumer of a group: offsets are committed by its owner alone, never by librdkafka.
    pub fn consumer(&self, worker: &str, group: &str) -> ClientConfig {
        configuration::consumer(self.settings(), &self.material, worker, group)
    }

    /// An admin client. Nobody polls one, so it never asks for a token; it is given one, which outlives its work. Blocks
    /// while that is made.
    pub fn admin(&self, configuration: &ClientConfig) -> Result<AdminClient<KafkaContext>, Diagnosis> {
        let client: AdminClient<KafkaContext> = configuration
            .create_with_context(self.context())
            .map_err(|error| self.unusable(&error))?;
        if let (KafkaAuthenticationSettings::MskIam { .. }, Some(tokens)) =
            (&self.settings().authentication, &self.brokers.tokens)
        {
            let token = tokens.token()?;
            kafka_admin::give_token(client.inner(), &token.value, &token.principal, token.expires_ms())
                .map_err(|error| self.unusable(&error))?;
        }
        Ok(client)
    }

    /// What every client is created with.
    pub fn context(&self) -> KafkaContext {
        let party = Party::new(self.settings(), &self.material);
        KafkaContext::new(party, self.material.clone(), self.brokers.tokens.clone())
    }

    /// Brokers and topics.
    pub fn settings(&self) -> &KafkaSettings {
        self.brokers.settings()
    }

    /// A client of what is mounted now, and what it was made from; `None` while that is still what this was made from, and
    /// while no client can be made of it: files are being remounted, or do not fit together. Whoever reads them next reports
    /// that; what stands goes on meanwhile.
    pub fn successor<T>(&self, make: impl FnOnce(&Self) -> KafkaResult<T>) -> Option<(Self, T)> {
        let next = self.brokers.read().ok()?;
        if next.material == self.material {
            return None;
        }
        let client = make(&next).ok()?;
        Some((next, client))
    }

    /// Why no client can be created from this: what is mounted does not fit together, or the settings are wrong.
    pub fn unusable(&self, error: &KafkaError) -> Diagnosis {
        if self.material.is_mounted() {
            Diagnosis::new(
                Reason::KafkaCredentialsUnreadable,
                format!(
                    "no Kafka client can be made of what spec.kafka.tls and spec.kafka.authentication name: {error}; correct the Secret, and it takes effect by itself"
                ),
            )
        } else {
            Diagnosis::new(Reason::BadSettings, format!("kafka client: {error}"))
        }
    }
}

/// Lets a consumer that reads nothing say what waits in its queue: why it is not connected, and that it wants a token. For the
/// whole time, because a poll that found only a line of log ends as one that found nothing. Returns the errors that waited.
pub fn serve<C: ConsumerContext>(consumer: &BaseConsumer<C>, time: Duration) -> Vec<KafkaError> {
    let begun = Instant::now();
    let mut errors = Vec::new();
    while begun.elapsed() < time {
        errors.extend(consumer.poll(time / 5).and_then(Result::err));
    }
    errors
}

/// Waits until the brokers answer, or says why they do not let us in; as soon as that is known, at the latest after `limit`.
/// Blocks.
pub fn reach(client: &BaseConsumer<KafkaContext>, settings: &KafkaSettings, limit: Duration) -> Result<(), Diagnosis> {
    let topic = settings.topic.as_str();
    let begun = Instant::now();
    let context = client.context();
    let mut refused_since: Option<Instant> = None;
    loop {
        serve(client, SERVE);
        let left = limit.saturating_sub(begun.elapsed());
        let asked = client.client().fetch_metadata(Some(topic), left.min(ASK));
        let Err(error) = asked else {
            context.answered();
            return Ok(());
        };
        serve(client, SERVE);
        let refusal = context.refusal();
        let since = refusal
            .is_some()
            .then(|| *refused_since.get_or_insert_with(Instant::now));
        let is_over = begun.elapsed() >= limit;
        if is_over || since.is_some_and(|since| since.elapsed() >= BELIEVE) {
            let needs = [Need::topic(topic, &[Operation::Describe])];
            return Err(context.explain(&error, &needs, || {
                format!(
                    "no broker of {} answered within {} s: {error}; check spec.kafka.bootstrapServers and the brokers",
                    settings.bootstrap_servers.join(","),
                    limit.as_secs()
                )
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rdkafka::error::RDKafkaErrorCode;

    use super::*;
    use crate::material::Proof;
    use crate::material::tests::scram;

    /// The password as a client; none can be made of one that is unfit.
    fn make(snapshot: &Snapshot) -> KafkaResult<String> {
        match &snapshot.material.proof {
            Proof::User { password, .. } if password != "unfit" => Ok(password.clone()),
            _ => Err(KafkaError::Global(RDKafkaErrorCode::Fail)),
        }
    }

    #[test]
    fn nobody_is_succeeded_by_what_no_client_can_be_made_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = |password: &str| fs::write(folder.path().join("password"), password).expect("written");
        fs::write(folder.path().join("username"), "shop").expect("written");
        mount("first");
        let brokers = Brokers::without_tokens(&KafkaSettings {
            authentication: scram(folder.path()),
            ..KafkaSettings::default()
        });
        let snapshot = brokers.read().expect("a user");
        let succeeds = || snapshot.successor(make).map(|(_, client)| client);
        assert_eq!(succeeds(), None, "nothing has changed");
        for useless in ["", "unfit"] {
            mount(useless);
            assert_eq!(succeeds(), None, "what stands goes on");
        }
        mount("second");
        assert_eq!(succeeds().as_deref(), Some("second"));
    }
}
