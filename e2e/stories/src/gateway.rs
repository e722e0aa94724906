//! A client of the gateway that keeps every answer and sends again what has none. Posts over HTTP.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde::Deserialize;

use crate::event::{Event, Identity};

const NDJSON: &str = "application/x-ndjson";
/// A gateway that does not answer for so long is not there; the client tries another connection.
const ANSWER: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Gateway {
    http: Client<HttpConnector, Full<Bytes>>,
    url: String,
    token: String,
}

/// What the gateway said about one event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    Accepted {
        event_id: String,
    },
    Refused {
        field: String,
        reason: String,
        message: String,
    },
    Unknown {
        reason: String,
        message: String,
    },
}

/// One answer, as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// One per event; empty when the request was not judged event by event.
    pub outcomes: Vec<Outcome>,
    pub body: String,
}

/// What became of an event in the end, from the client's side.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    Accepted { at: Timestamp },
    Refused { reason: String, field: String },
}

/// All that a client knows: each event's fate, and how often it had to send.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    pub fates: BTreeMap<Identity, Fate>,
    /// Requests whose answer said nothing about some event, or that had no answer.
    pub repeats: usize,
    pub begun: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Vec<Outcome>,
}

impl Gateway {
    pub fn new(url: String, token: String) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(3)));
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Self { http, url, token }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// One request; an error means that there was no answer, and that nobody knows what happened.
    pub async fn post(&self, body: String) -> Result<Answer> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(CONTENT_TYPE, NDJSON)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(Bytes::from(body)))?;
        let exchange = async {
            let response = self.http.request(request).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(ANSWER, exchange)
            .await
            .context("no answer in time")??;
        let body = String::from_utf8_lossy(&body).into_owned();
        let outcomes = serde_json::from_str::<Results>(&body)
            .map(|results| results.results)
            .unwrap_or_default();
        Ok(Answer { status, outcomes, body })
    }

    /// Sends events until each has a fate, as a careful client does: what is unknown is sent again, whatever the reason.
    pub async fn deliver(&self, events: &[Event], patience: Duration) -> Result<Delivery> {
        let mut delivery = Delivery {
            begun: Some(Timestamp::now()),
            ..Delivery::default()
        };
        let mut open: Vec<&Event> = events.iter().collect();
        let begun = Instant::now();
        while !open.is_empty() {
            let body = open
                .iter()
                .map(|event| event.text.as_str())
                .collect::<Vec<_>>()
                .join("\n");
            let answer = self.post(body).await;
            let problem = match &answer {
                Ok(answer) => {
                    open = delivery.take(&open, answer)?;
                    format!(
                        "{} {}",
                        answer.status,
                        answer.body.chars().take(300).collect::<String>()
                    )
                }
                Err(error) => format!("{error:#}"),
            };
            if open.is_empty() {
                break;
            }
            delivery.repeats += 1;
            if begun.elapsed() > patience {
                bail!(
                    "{} events have no answer after {} s, the last was: {problem}",
                    open.len(),
                    patience.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(delivery)
    }
}

impl Delivery {
    /// Keeps what an answer says and gives the events that it says nothing about.
    fn take<'e>(&mut self, sent: &[&'e Event], answer: &Answer) -> Result<Vec<&'e Event>> {
        if answer.outcomes.is_empty() {
            // 5xx and 401 (a Secret not mounted yet) pass; other codes speak of the client.
            if answer.status >= 500 || matches!(answer.status, 401 | 404 | 408 | 429) {
                return Ok(sent.to_vec());
            }
            bail!("the gateway answered {}: {}", answer.status, answer.body);
        }
        if answer.outcomes.len() != sent.len() {
            bail!(
                "{} events were sent and {} outcomes came back",
                sent.len(),
                answer.outcomes.len()
            );
        }
        let at = Timestamp::now();
        let mut open = Vec::new();
        for (event, outcome) in sent.iter().zip(&answer.outcomes) {
            let fate = match outcome {
                Outcome::Accepted { event_id } if *event_id == event.identity.id => Fate::Accepted { at },
                Outcome::Accepted { event_id } => bail!("event {} was accepted as {event_id}", event.identity),
                Outcome::Refused { field, reason, .. } => Fate::Refused {
                    reason: reason.clone(),
                    field: field.clone(),
                },
                Outcome::Unknown { .. } => {
                    open.push(*event);
                    continue;
                }
            };
            self.fates.insert(event.identity.clone(), fate);
        }
        Ok(open)
    }

    pub fn merge(&mut self, other: Self) {
        self.repeats += other.repeats;
        self.begun = [self.begun, other.begun].into_iter().flatten().min();
        self.fates.extend(other.fates);
    }

    pub fn accepted(&self) -> impl Iterator<Item = (&Identity, Timestamp)> {
        self.fates.iter().filter_map(|(identity, fate)| match fate {
            Fate::Accepted { at } => Some((identity, *at)),
            Fate::Refused { .. } => None,
        })
    }

    pub fn refused(&self) -> impl Iterator<Item = (&Identity, String)> {
        self.fates.iter().filter_map(|(identity, fate)| match fate {
            Fate::Refused { reason, field } => Some((identity, format!("{reason} {field}"))),
            Fate::Accepted { .. } => None,
        })
    }
}

impl Gateway {
    /// Sends many events in batches, several at a time; `seen` gets how many have a fate.
    pub async fn deliver_all(
        &self,
        events: &[Event],
        batch: usize,
        concurrency: usize,
        patience: Duration,
        mut seen: impl FnMut(usize),
    ) -> Result<Delivery> {
        let mut answers = futures::stream::iter(events.chunks(batch).map(|chunk| self.deliver(chunk, patience)))
            .buffer_unordered(concurrency);
        let mut all = Delivery::default();
        while let Some(delivery) = answers.next().await {
            all.merge(delivery?);
            seen(all.fates.len());
        }
        Ok(all)
    }
}
