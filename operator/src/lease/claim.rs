//! Claims what is watched by a Lease, keeps the claim, and gives way to others. Talks to the Kubernetes API.
//!
//! An operator of named namespaces has a Lease in each of them; one of the whole cluster has a Lease in its own namespace.
//! Replicas share a Lease, and so do installations that name the same namespace: who has it works, the others are passive.
//! Two installations of the whole cluster in different namespaces find each other by label: the one whose Lease is older
//! works. An operator of the whole cluster leaves out the namespaces that others have named.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{ListParams, PostParams};
use kube::runtime::events::Recorder;
use kube::{Api, Client, Resource, ResourceExt};
use medallion_crds::{Reason, labels};
use medallion_plan::PlannedEvent;
use tokio_util::sync::CancellationToken;

use crate::api::call::{CallError, call};
use crate::api::event;
use crate::health::{Health, SourceId};
use crate::lease::leadership::{Leadership, Position, Watched};
use crate::lease::record::{LastChange, PERIOD, STANDBY, Step, WORKS_ON, held, holder};
use crate::requests::Requests;
use crate::watch::index::Index;

/// Name of a namespace's Lease.
const NAMESPACE_LEASE: &str = "medallion-operator";
/// Name of the Lease for the whole cluster.
const CLUSTER_LEASE: &str = "medallion-operator-cluster";
/// Label that tells what a Lease is a claim to.
const WATCHES: &str = "medallion.dev/watches";
/// After a claim is new, others get so long to see it and to stop.
const OTHERS_STOP: Duration = Duration::from_secs(10);

/// A claim to one watched part of the cluster.
pub(crate) struct Claim {
    pub client: Client,
    pub watched: Watched,
    /// The namespace of this process, which holds the Lease for the whole cluster.
    pub own_namespace: String,
    /// Who we are, among replicas and installations.
    pub identity: String,
    pub leadership: Arc<Leadership>,
    pub health: Arc<Health>,
    pub index: Arc<Index>,
    pub requests: Requests,
    pub recorder: Recorder,
    pub state: ClaimState,
}

/// What a claim rests on from one turn to the next.
#[derive(Default)]
pub(crate) struct ClaimState {
    own: LastChange,
    others: HashMap<String, LastChange>,
    /// Since when the claim stands, if others may have to stop first.
    claimed: Option<Instant>,
    /// Whether another holds the Lease, so that there is nothing to renew.
    stands_by: bool,
    /// What was last logged.
    last_words: Option<String>,
}

impl Claim {
    /// Keeps the claim until asked to stop.
    pub async fn keep_for_ever(mut self, shutdown: CancellationToken) {
        let lease = self.health.lease(self.watched.as_deref());
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            self.keep(lease, begun).await;
            tokio::select! {
                () = tokio::time::sleep(self.period().saturating_sub(begun.elapsed())) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// From the beginning of one turn to the next one.
    const fn period(&self) -> Duration {
        if self.state.stands_by { STANDBY } else { PERIOD }
    }

    /// One turn, and what is to be reported of it.
    async fn keep(&mut self, lease: SourceId, now: Instant) {
        match self.turn(now).await {
            Ok(position) => {
                self.take_position(position).await;
                if self.health.has_filled(lease) {
                    // What was asked for before could not be looked at yet.
                    self.requests.ask_all(self.index.keys(self.watched.as_deref()));
                }
            }
            Err(error) if error.is_conflict() => {}
            // While nobody answers, the claim runs out by itself.
            Err(error) => {
                if self.health.failed(lease, &error.to_string(), now) {
                    tracing::warn!(%error, "the Lease cannot be read or written; without it no pipeline is looked at");
                }
            }
        }
    }

    /// One turn: looks at the Lease, renews or takes it, and looks at the others.
    pub async fn turn(&mut self, now: Instant) -> Result<Position, CallError> {
        self.state.stands_by = false;
        let api = self.leases();
        let name = self.lease_name();
        let found = call(|| format!("get Lease {name}"), api.get_opt(name)).await?;
        let parameters = PostParams {
            field_manager: Some(labels::MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match found {
            None => {
                self.state.claimed = Some(now);
                let lease = self.new_lease();
                call(|| format!("create Lease {name}"), api.create(&parameters, &lease)).await?
            }
            Some(mut lease) => {
                let step = self.state.own.decide(&lease, &self.identity, now);
                if step == Step::Wait {
                    self.state.claimed = None;
                    self.state.stands_by = true;
                    let holder = holder(&lease).unwrap_or_default();
                    return Ok(Position::Passive(format!(
                        "Lease {}/{name} is held by {holder}",
                        lease.namespace().unwrap_or_default()
                    )));
                }
                if step == Step::Take && !was_renewed_lately(&lease) {
                    self.state.claimed = Some(now);
                }
                lease.spec = Some(held(lease.spec.as_ref(), &self.identity, Timestamp::now()));
                lease.metadata.labels = self.new_lease().metadata.labels;
                call(|| format!("renew Lease {name}"), api.replace(name, &parameters, &lease)).await?
            }
        };
        self.state.own.see(&written, now);
        self.among_others(&written, now).await
    }

    /// With the Lease held: whether others hold us off.
    async fn among_others(&mut self, own: &Lease, now: Instant) -> Result<Position, CallError> {
        let mut except = BTreeSet::new();
        let mut has_rivals = self.watched.is_some();
        if self.watched.is_none() {
            let all: Api<Lease> = Api::all(self.client.clone());
            let selector =
                ListParams::default().labels(&format!("{}={},{WATCHES}", labels::MANAGED_BY, labels::MANAGER));
            let found = call(|| "list Leases of operators".to_owned(), all.list(&selector)).await?;
            let mut changes = std::mem::take(&mut self.state.others);
            for lease in found
                .items
                .iter()
                .filter(|lease| lease.metadata.uid != own.metadata.uid)
            {
                let uid = lease.uid().unwrap_or_default();
                let mut change = changes.remove(&uid).unwrap_or_default();
                change.see(lease, now);
                let lives = !change.has_expired(lease, now);
                self.state.others.insert(uid, change);
                if !lives {
                    continue;
                }
                let namespace = lease.namespace().unwrap_or_default();
                if lease.labels().get(WATCHES).map(String::as_str) == Some("namespace") {
                    except.insert(namespace);
                } else if holder(lease).is_some() {
                    if age(&lease.metadata) < age(&own.metadata) {
                        self.state.claimed = Some(now);
                        return Ok(Position::Passive(format!(
                            "another installation works in the whole cluster, Lease {namespace}/{} held by {}; remove one of them, or give each its own watchNamespaces",
                            lease.name_any(),
                            holder(lease).unwrap_or_default()
                        )));
                    }
                    has_rivals = true;
                }
            }
        }
        let wait = self
            .state
            .claimed
            .filter(|_| has_rivals)
            .and_then(|since| OTHERS_STOP.checked_sub(now.duration_since(since)))
            .filter(|wait| !wait.is_zero());
        Ok(match wait {
            Some(_) => {
                Position::Passive("the Lease is new; whoever worked here before is given time to stop".to_owned())
            }
            None => Position::Leads {
                since: now,
                until: now + WORKS_ON,
                except,
            },
        })
    }

    /// Tells what has changed, and asks for a look at everything that is led now.
    async fn take_position(&mut self, position: Position) {
        let leads = matches!(position, Position::Leads { .. });
        let before = self.leadership.set(&self.watched, position.clone());
        let led = |position: &Position| match position {
            Position::Leads { until, except, .. } if Instant::now() < *until => Some(except.clone()),
            _ => None,
        };
        // What was asked for while nothing was led is lost.
        if leads && led(&before) != led(&position) {
            self.requests.ask_all(self.index.keys(self.watched.as_deref()));
        }
        let words = match &position {
            Position::Leads { except, .. } if except.is_empty() => "works".to_owned(),
            Position::Leads { except, .. } => {
                format!("works, but not in {except:?}, which other operators have claimed")
            }
            Position::Passive(why) => format!("passive: {why}"),
            Position::Unknown => return,
        };
        if self.log(&words) && !leads {
            self.publish(&words).await;
        }
    }

    /// Logs words that were not the last ones.
    fn log(&mut self, words: &str) -> bool {
        if self.state.last_words.as_deref() == Some(words) {
            return false;
        }
        self.state.last_words = Some(words.to_owned());
        let watched = self.watched.as_deref().unwrap_or("the whole cluster");
        tracing::info!(watched, identity = self.identity, "{words}");
        true
    }

    async fn publish(&self, words: &str) {
        let event = PlannedEvent {
            warning: false,
            reason: Reason::Passive,
            about: "Lead".to_owned(),
            note: format!("{} is {words}", self.identity),
        };
        event::publish(&self.recorder, &self.new_lease().object_ref(&()), &event).await;
    }

    /// Gives the Lease back, so that the next one need not wait for it to run out.
    pub async fn release(client: &Client, namespace: &str, name: &str, identity: &str) {
        let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let Ok(Some(mut lease)) = call(|| format!("get Lease {name}"), api.get_opt(name)).await else {
            return;
        };
        if holder(&lease) != Some(identity) {
            return;
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        let parameters = PostParams::default();
        let released = api.replace(name, &parameters, &lease);
        if let Err(error) = call(|| format!("release Lease {name}"), released).await {
            tracing::warn!(%error, "the Lease could not be given back");
        }
    }

    /// Namespace and name of the Lease.
    pub fn place(&self) -> (String, &'static str) {
        let namespace = self.watched.clone().unwrap_or_else(|| self.own_namespace.clone());
        (namespace, self.lease_name())
    }

    const fn lease_name(&self) -> &'static str {
        if self.watched.is_some() {
            NAMESPACE_LEASE
        } else {
            CLUSTER_LEASE
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.place().0)
    }

    fn new_lease(&self) -> Lease {
        let watches = if self.watched.is_some() { "namespace" } else { "cluster" };
        let (namespace, name) = self.place();
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace),
                labels: Some(
                    [(labels::MANAGED_BY, labels::MANAGER), (WATCHES, watches)]
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .into(),
                ),
                ..ObjectMeta::default()
            },
            spec: Some(held(None, &self.identity, Timestamp::now())),
        }
    }
}

/// The older claim wins; of two of one second, the one whose namespace comes first.
fn age(metadata: &ObjectMeta) -> (Option<Time>, Option<String>) {
    (metadata.creation_timestamp.clone(), metadata.namespace.clone())
}

/// Whether a Lease without a holder was given back by one of ours a moment ago: nobody else has had the time to begin.
fn was_renewed_lately(lease: &Lease) -> bool {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
    renewed.is_some_and(|time| {
        let ago = Timestamp::now().duration_since(time.0).as_secs();
        (0..10).contains(&ago)
    })
}

#[cfg(test)]
mod tests {
    use kube::runtime::events::Reporter;
    use serde_json::json;

    use super::*;
    use crate::mock::Server;

    fn claim(server: &Server, watched: Option<&str>, own_namespace: &str, identity: &str) -> Claim {
        let client = server.client();
        let watched = watched.map(str::to_owned);
        Claim {
            recorder: Recorder::new(client.clone(), Reporter::from("test")),
            client,
            leadership: Arc::new(Leadership::new(std::slice::from_ref(&watched))),
            health: Arc::default(),
            watched,
            own_namespace: own_namespace.to_owned(),
            identity: identity.to_owned(),
            index: Arc::new(Index::new(|_| None)),
            requests: Requests::channel().0,
            state: ClaimState::default(),
        }
    }

    async fn leads(claim: &mut Claim, now: Instant) -> bool {
        matches!(claim.turn(now).await.unwrap(), Position::Leads { .. })
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn of_two_replicas_one_works_and_the_other_takes_over_when_it_is_gone() {
        let (server, begin) = (Server::default(), Instant::now());
        let mut one = claim(&server, None, "operators", "one");
        let mut other = claim(&server, None, "operators", "other");
        assert!(leads(&mut one, begin).await);
        let position = other.turn(begin).await.unwrap();
        let Position::Passive(why) = &position else {
            panic!("{position:?}")
        };
        assert!(why.contains("held by one"), "{why}");
        assert_eq!((one.period(), other.period()), (PERIOD, STANDBY));
        for turn in 1..10 {
            assert!(leads(&mut one, after(begin, turn * 5)).await);
            assert!(!leads(&mut other, after(begin, turn * 5)).await);
        }
        assert!(!leads(&mut other, after(begin, 55)).await, "it may come back");
        assert!(leads(&mut other, after(begin, 66)).await);
        assert!(!leads(&mut one, after(begin, 67)).await, "and is passive then");
    }

    #[tokio::test]
    async fn an_operator_that_may_not_read_its_lease_is_not_ready() {
        let (server, begin) = (Server::default(), Instant::now());
        server.refuse("GET leases", 403);
        let mut claim = claim(&server, None, "operators", "one");
        let watch = claim.health.watch("Lease", None);
        for turn in 0..8 {
            claim.keep(watch, after(begin, turn * 5)).await;
        }
        let obstacle = claim.health.obstacle(after(begin, 36)).unwrap();
        assert!(
            obstacle.contains("Lease has failed for 36 s") && obstacle.contains("403"),
            "{obstacle}"
        );
        server.refuse("GET leases", 0);
        claim.keep(watch, after(begin, 40)).await;
        assert_eq!(claim.health.obstacle(after(begin, 41)), None);
    }

    #[tokio::test]
    async fn a_lease_that_is_given_back_is_taken_at_once() {
        let (server, begin) = (Server::default(), Instant::now());
        let mut one = claim(&server, None, "operators", "one");
        let mut other = claim(&server, None, "operators", "other");
        leads(&mut one, begin).await;
        leads(&mut other, begin).await;
        let (namespace, name) = one.place();
        Claim::release(&server.client(), &namespace, name, "one").await;
        assert!(leads(&mut other, after(begin, 1)).await);
        assert_eq!(other.period(), PERIOD, "it renews from now on");
    }

    #[tokio::test]
    async fn of_two_installations_of_the_whole_cluster_the_older_works_and_the_other_says_so() {
        let (server, begin) = (Server::default(), Instant::now());
        let mut old = claim(&server, None, "a-team", "old");
        let mut new = claim(&server, None, "b-team", "new");
        assert!(leads(&mut old, begin).await);
        let position = new.turn(begin).await.unwrap();
        let Position::Passive(why) = &position else {
            panic!("{position:?}")
        };
        assert!(why.contains("a-team/medallion-operator-cluster held by old"), "{why}");
        new.take_position(position).await;
        let events = server.all("events");
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["reason"], Reason::Passive.as_str());
        assert!(new.leadership.words().unwrap().contains("another installation"));
        // The older one is removed: its Lease runs out, and after a while in which it would have stopped the other works.
        assert!(!leads(&mut new, after(begin, 10)).await);
        assert!(!leads(&mut new, after(begin, 14)).await);
        assert!(leads(&mut new, after(begin, 26)).await);
        assert!(
            leads(&mut old, after(begin, 27)).await,
            "back again it is the older one"
        );
        assert!(!leads(&mut new, after(begin, 28)).await);
    }

    #[tokio::test]
    async fn who_watches_the_whole_cluster_leaves_out_what_others_have_named() {
        let (server, begin) = (Server::default(), Instant::now());
        let mut all = claim(&server, None, "operators", "all");
        let mut shop = claim(&server, Some("shop"), "shop-tools", "shop");
        assert!(leads(&mut all, begin).await);
        assert!(
            !leads(&mut shop, after(begin, 1)).await,
            "the other is given time to stop"
        );
        let position = all.turn(after(begin, 5)).await.unwrap();
        let Position::Leads { except, .. } = position else {
            panic!("{position:?}")
        };
        assert_eq!(except, BTreeSet::from(["shop".to_owned()]));
        assert!(leads(&mut shop, after(begin, 12)).await);
    }

    #[tokio::test]
    async fn two_installations_that_name_the_same_namespace_share_its_lease() {
        let (server, begin) = (Server::default(), Instant::now());
        let mut one = claim(&server, Some("shop"), "a", "one");
        let mut other = claim(&server, Some("shop"), "b", "other");
        leads(&mut one, begin).await;
        assert!(leads(&mut one, after(begin, 11)).await);
        assert!(!leads(&mut other, after(begin, 12)).await);
    }

    #[tokio::test]
    async fn a_lease_that_somebody_else_has_just_taken_is_not_ours() {
        let (server, begin) = (Server::default(), Instant::now());
        let mut one = claim(&server, None, "operators", "one");
        server.put(
            "leases",
            json!({
                "metadata": {"name": CLUSTER_LEASE, "namespace": "operators"},
                "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15},
            }),
        );
        assert!(!leads(&mut one, begin).await);
        server.refuse("PUT leases", 409);
        let lost = one.turn(after(begin, 20)).await.unwrap_err();
        assert!(lost.is_conflict());
    }
}
