//! Functions of AWS Lambda in the place of pods, under AWS's own emulator: an HTTP event in, an item in the table out. Touches all of the stack.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medallion_crds::Stage;
use medallion_crds::pipeline::{RunsOn, StageState};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::till::{Sale, many};
use crate::entrance::Entrance;
use crate::event::{Event, Identity};
use crate::function::{Function, http_event, package, signal_part};
use crate::kill;
use crate::secrets_extension::SecretsExtension;
use crate::shop::{Plan, Shop};
use crate::visibility::quantile;
use crate::waiting::{Look, in_the_end};
use crate::world::World;

/// What each invocation may take. An answer that comes later is none.
const TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_millis(300);
const WARM: usize = 100;
/// More than the gateway takes of one event.
const TOO_MUCH: usize = 400 * 1024;

/// The gateway's function and the consumer, at brokers with TLS and passwords: what was answered as accepted is in the table, once, whatever goes wrong in between.
pub async fn test_api_gateway_to_dynamodb(world: &World) -> Result<Vec<Shop<'_>>> {
    let mut plan = Plan::named("function")?.by(Entrance::Scram);
    // This one ends at the table.
    plan.pipeline.spec.suspend = true;
    let ingest = plan
        .pipeline
        .spec
        .stages
        .ingest
        .as_mut()
        .context("the example has ingest")?;
    (ingest.runs_on, ingest.replicas) = (RunsOn::Lambda, None);
    let shop = Shop::open_afresh(world, plan).await?;
    is_not_measured(&shop).await?;

    let program = world.stack.functions.gateway.clone();
    let program = program.context("the workspace has no gateway-lambda; `cargo local up` builds it")?;
    let zip = package(&shop, "ingest", &program).await?;
    let size = std::fs::metadata(&zip)?.len();
    let credentials = shop.plan.entrance.credentials(&world.stack)?.unwrap_or_default();
    let secrets = BTreeMap::from([
        ("AmazonMSK_shop".to_owned(), credentials),
        ("tills".to_owned(), json!({"tokens": shop.token})),
    ]);
    let extension = SecretsExtension::start(secrets).await?;
    let function = Function::start(&world.stack, "gateway", &zip, TIMEOUT, &extension.environment()).await?;
    let mut till = Till {
        shop: &shop,
        function,
        accepted: BTreeMap::new(),
    };

    till.good_events().await?;
    till.events_that_are_refused().await?;
    till.duplicates().await?;
    till.brokers_that_do_not_answer().await?;
    till.frozen_while_the_brokers_start_anew().await?;
    till.warm().await?;
    till.everything_arrives().await?;

    let mut each = till.function.durations();
    let first = each.first().copied().unwrap_or_default();
    each.sort_by(f64::total_cmp);
    world.progress.line(format!(
        "function: {size} bytes zipped, started and answered in {first:.0} ms, p50 {:.1} ms, p90 {:.1} ms",
        quantile(&each, 0.5),
        quantile(&each, 0.9)
    ));
    till.function.stop().await?;
    Ok(vec![shop])
}

/// No pods, no endpoint, and a status that says what it does not know; the pipeline is ready and healthy all the same.
async fn is_not_measured(shop: &Shop<'_>) -> Result<()> {
    let world = shop.world;
    let step = world.progress.step("ingest is a function's");
    let stage = shop
        .wait_for_stage(&step, Stage::Ingest, PATIENCE, |stage| {
            stage.state == StageState::Unknown
        })
        .await?;
    ensure!(
        stage
            .reason
            .as_ref()
            .is_some_and(|reason| reason.as_str() == "NotMeasured"),
        "{:?}",
        stage.reason
    );
    let pods = world.cluster.pods(&shop.namespace, &shop.name, "gateway").await?;
    ensure!(pods.is_empty(), "there are {} gateway pods", pods.len());
    let status = shop.pipeline().await?.status.context("a status")?;
    let endpoint = status.endpoints.and_then(|endpoints| endpoints.ingest);
    ensure!(endpoint.is_none(), "nobody listens at {endpoint:?}");
    step.done("");
    Ok(())
}

/// The shop's tills behind API Gateway, and what the function has answered them.
struct Till<'s> {
    shop: &'s Shop<'s>,
    function: Function,
    accepted: BTreeMap<Identity, String>,
}

/// What API Gateway passes on to its client.
struct Answer {
    code: u64,
    headers: Value,
    body: Value,
    took: Duration,
}

impl Answer {
    /// One letter per event: accepted, refused, unknown.
    fn letters(&self) -> String {
        let results = self.body["results"].as_array().cloned().unwrap_or_default();
        let words = results
            .iter()
            .filter_map(|result| result["status"].as_str()?.chars().next());
        words.collect()
    }
}

impl Till<'_> {
    async fn good_events(&mut self) -> Result<()> {
        let events = many("function", 3, 1)?;
        let texts: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
        let answer = self
            .post_base64("application/json", &format!("[{}]", texts.join(",")))
            .await?;
        ensure!(answer.letters() == "aaa", "{} {}", answer.code, answer.body);
        self.keep(&events);
        let status = self.shop.pipeline().await?.status.context("a status")?;
        let versions = status.contract.map(|contract| contract.versions).unwrap_or_default();
        let digest = versions.last().map(|version| version.digest.as_str());
        ensure!(
            digest.is_some() && answer.headers["medallion-contract-version"].as_str() == digest,
            "the function admits by {}, the pipeline by {digest:?}",
            answer.headers
        );
        self.arrives(&events[0]).await
    }

    async fn events_that_are_refused(&mut self) -> Result<()> {
        let headers = json!({"content-type": "application/json"});
        let stranger = self.invoke(&json!({"headers": headers, "body": "{}"})).await?;
        ensure!(stranger.code == 401, "{} {}", stranger.code, stranger.body);
        let malformed = self.post_base64("application/json", "{\"event_id\": ").await?;
        ensure!(malformed.code == 400, "{} {}", malformed.code, malformed.body);
        let no_base64 = self.invoke(&json!({"isBase64Encoded": true, "body": "{"})).await?;
        ensure!(no_base64.code == 400, "{} {}", no_base64.code, no_base64.body);

        let good = many("among-bad", 2, 1)?;
        let lines = format!("{}\n{{}}\nnonsense\n{}", good[0].text, good[1].text);
        let partly = self.post_base64("application/x-ndjson", &lines).await?;
        ensure!(
            (partly.code, partly.letters().as_str()) == (200, "arra"),
            "{}",
            partly.body
        );
        self.keep(&good);

        let oversized = sale("oversized", &"x".repeat(TOO_MUCH))?;
        let answer = self.post_base64("application/json", &oversized.text).await?;
        ensure!(
            (answer.code, answer.letters().as_str()) == (422, "r"),
            "{}",
            answer.body
        );

        // No event of API Gateway at all, and one in its older form: answered with what is wrong, and the function lives on.
        let older = json!({"version": "1.0", "path": "/v1/events", "httpMethod": "POST", "headers": {}, "body": "{}"});
        for strange in [json!({"hello": "world"}), older] {
            let answer = self.function.invoke(&strange).await?;
            ensure!(
                answer["statusCode"] == 500 && answer["headers"]["medallion-contract-version"].is_string(),
                "{answer}"
            );
        }
        self.one("after-bad").await
    }

    /// A client that did not get its answer sends again.
    async fn duplicates(&mut self) -> Result<()> {
        let event = sale("again", "RED WOOLLY HOTTIE")?;
        for _ in 0..3 {
            let answer = self.post(&event).await?;
            ensure!(answer.letters() == "a", "{} {}", answer.code, answer.body);
        }
        self.keep(std::slice::from_ref(&event));
        self.arrives(&event).await
    }

    /// The answer comes before the invocation ends, and says that nobody knows; sent again, the event is there once.
    async fn brokers_that_do_not_answer(&mut self) -> Result<()> {
        let stack = &self.shop.world.stack;
        let event = sale("unanswered", "RED WOOLLY HOTTIE")?;
        signal_part(stack, "kafka", Signal::SIGSTOP).await?;
        let answer = self.post(&event).await;
        signal_part(stack, "kafka", Signal::SIGCONT).await?;
        let answer = answer?;
        ensure!(
            (answer.code, answer.letters().as_str()) == (503, "u"),
            "{}",
            answer.body
        );
        ensure!(answer.headers["retry-after"].is_string(), "{}", answer.headers);
        ensure!(answer.took < TIMEOUT, "answered after {:?}", answer.took);
        ensure!(
            self.function.log().contains("were not acknowledged"),
            "the log says nothing: {}",
            self.function.log()
        );
        self.until_taken(&event).await
    }

    /// Its connections died while it was frozen; the first event afterwards is taken all the same.
    async fn frozen_while_the_brokers_start_anew(&mut self) -> Result<()> {
        let world = self.shop.world;
        self.function.freeze()?;
        kill::part(&world.stack, "kafka").await?;
        let step = world.progress.step("Kafka is killed while the function is frozen");
        let topic = &self.shop.plan.pipeline.spec.kafka.topic;
        in_the_end(&step, PATIENCE, SOON, async || {
            world.kafka.count(topic).await?;
            Ok(Look::Done(()))
        })
        .await?;
        self.function.thaw()?;
        step.done("");
        self.one("thawed").await
    }

    async fn warm(&mut self) -> Result<()> {
        for event in many("warm", WARM, 1)? {
            let answer = self.post(&event).await?;
            ensure!(answer.letters() == "a", "{} {}", answer.code, answer.body);
            self.keep(std::slice::from_ref(&event));
        }
        Ok(())
    }

    /// The table has each accepted event, as it was sent, and nothing else.
    async fn everything_arrives(&self) -> Result<()> {
        let world = self.shop.world;
        let table = &self.shop.plan.pipeline.spec.table.name;
        let step = world
            .progress
            .step(format!("{} items in the table", self.accepted.len()));
        in_the_end(&step, PATIENCE, SOON, async || {
            let items = world.stores.payloads(table).await?;
            let missing = self
                .accepted
                .keys()
                .filter(|identity| !items.contains_key(identity))
                .count();
            Ok(if missing == 0 {
                Look::Done(())
            } else {
                Look::Waiting(format!("{missing} are not there yet"))
            })
        })
        .await?;
        let items = world.stores.payloads(table).await?;
        ensure!(items == self.accepted, "the table differs from what was accepted");
        step.done("");
        Ok(())
    }

    /// One event, taken at the first attempt.
    async fn one(&mut self, id: &str) -> Result<()> {
        let event = sale(id, "RED WOOLLY HOTTIE")?;
        let answer = self.post(&event).await?;
        ensure!(
            answer.letters() == "a",
            "{} {} after {:?}; {}",
            answer.code,
            answer.body,
            answer.took,
            self.function.log()
        );
        self.keep(std::slice::from_ref(&event));
        Ok(())
    }

    async fn until_taken(&mut self, event: &Event) -> Result<()> {
        let begun = Instant::now();
        while self.post(event).await?.letters() != "a" {
            ensure!(begun.elapsed() < PATIENCE, "it is not taken; {}", self.function.log());
        }
        self.keep(std::slice::from_ref(event));
        Ok(())
    }

    fn keep(&mut self, events: &[Event]) {
        let all = events.iter().map(|event| (event.identity.clone(), event.text.clone()));
        self.accepted.extend(all);
    }

    async fn arrives(&self, event: &Event) -> Result<()> {
        let world = self.shop.world;
        let table = &self.shop.plan.pipeline.spec.table.name;
        let step = world.progress.step(format!("{} is in the table", event.identity));
        in_the_end(&step, PATIENCE, SOON, async || {
            let items = world.stores.payloads(table).await?;
            Ok(if items.get(&event.identity) == Some(&event.text) {
                Look::Done(())
            } else {
                Look::Waiting(format!("the table has {} items", items.len()))
            })
        })
        .await?;
        step.done("");
        Ok(())
    }

    /// As text, which API Gateway passes on as it is.
    async fn post(&self, event: &Event) -> Result<Answer> {
        let fields = json!({"headers": self.headers("application/json"), "body": event.text});
        self.invoke(&fields).await
    }

    fn headers(&self, content_type: &str) -> Value {
        json!({"content-type": content_type, "authorization": format!("Bearer {}", self.shop.token)})
    }

    /// In base64, as API Gateway does with what is no text to it.
    async fn post_base64(&self, content_type: &str, body: &str) -> Result<Answer> {
        let fields = json!({
            "headers": self.headers(content_type), "isBase64Encoded": true, "body": STANDARD.encode(body),
        });
        self.invoke(&fields).await
    }

    /// An event with these fields, and what API Gateway makes of the function's answer.
    async fn invoke(&self, fields: &Value) -> Result<Answer> {
        let mut event = http_event(fields);
        if fields.get("headers").is_none() {
            event["headers"] = self.headers("application/json");
        }
        let begun = Instant::now();
        let answer = self.function.invoke(&event).await?;
        let took = begun.elapsed();
        let code = answer["statusCode"].as_u64();
        let code = code.with_context(|| format!("{answer}; the function's log: {}", self.function.log()))?;
        let body = answer["body"].as_str().unwrap_or_default();
        Ok(Answer {
            code,
            headers: answer["headers"].clone(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
            took,
        })
    }
}

fn sale(id: &str, product: &str) -> Result<Event> {
    Sale {
        order: id,
        line: 1,
        event: id,
        product,
        quantity: 4,
        at: "2010-12-02T09:00:00Z",
    }
    .event()
}
