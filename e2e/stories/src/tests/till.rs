//! Small purchases made by hand, and what every story of purchases does with them. Touches all of the stack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::account::Account;
use crate::event::{Event, Identity, Pointers};
use crate::gateway::Delivery;
use crate::news::News;
use crate::purchases;
use crate::reference;
use crate::shop::{Shop, in_words};
use crate::waiting::{Look, in_the_end};

pub const PATIENCE: Duration = Duration::from_mins(2);
const ARRIVAL: Duration = Duration::from_mins(7);

/// One line of an order.
#[derive(Clone)]
pub struct Sale<'a> {
    pub order: &'a str,
    pub line: u32,
    pub event: &'a str,
    pub product: &'a str,
    pub quantity: i64,
    pub at: &'a str,
}

impl Sale<'_> {
    /// The event; a piece costs a quarter of a pound.
    pub fn event(&self) -> Result<Event> {
        let total = self.quantity * 25;
        let sign = if total < 0 { "-" } else { "" };
        let total = format!("{sign}{}.{:02}", total.abs() / 100, total.abs() % 100);
        let mut event = json!({
            "event_id": self.event, "order_id": format!("{}-{}", self.order, self.line), "line_number": self.line,
            "buyer_id": "17850", "product_id": self.product, "description": "RED WOOLLY HOTTIE",
            "quantity": self.quantity, "unit_price": 0.25, "country": "France", "ordered_at": self.at,
        });
        event["total_amount"] = serde_json::from_str(&total)?;
        pointers().event(&event).context("a purchase has key and id")
    }
}

pub fn pointers() -> Pointers {
    purchases::pointers()
}

/// Many purchases, each an order of its own, spread evenly over so many days from the first of December 2010.
pub fn many(name: &str, count: usize, days: usize) -> Result<Vec<Event>> {
    let first: jiff::Timestamp = "2010-12-01T09:00:00Z".parse()?;
    let day =
        |number: usize| Ok::<_, anyhow::Error>(first + jiff::SignedDuration::from_hours(24 * i64::try_from(number)?));
    (0..count)
        .map(|number| {
            let at = day(number % days.max(1))?.to_string();
            let (order, event) = (format!("{name}{number}"), format!("{name}-{number}"));
            let product = format!("P{}", number % 500);
            Sale {
                order: &order,
                line: 1,
                event: &event,
                product: &product,
                quantity: 4,
                at: &at,
            }
            .event()
        })
        .collect()
}

/// A value of an event.
pub fn field(event: &Event, name: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(&event.text)?;
    value
        .get(name)
        .cloned()
        .with_context(|| format!("{} has no {name}", event.identity))
}

/// An event with some values changed, its identity taken anew.
pub fn altered(event: &Event, changes: &[(&str, Value)]) -> Result<Event> {
    let mut value: Value = serde_json::from_str(&event.text)?;
    for (name, change) in changes {
        value[*name] = change.clone();
    }
    pointers().event(&value).context("a purchase has key and id")
}

/// Everything that one story has sent.
#[derive(Default)]
pub struct Ledger {
    pub delivery: Delivery,
    /// By identity: the first payload counts, another one for the same identity is a dead letter.
    accepted: BTreeMap<Identity, Event>,
}

impl Ledger {
    /// Posts events and keeps what became of them.
    pub async fn post(&mut self, shop: &Shop<'_>, events: &[Event]) -> Result<Delivery> {
        let step = shop.world.progress.step(format!("posting {} events", events.len()));
        let delivery = shop
            .gateway()
            .await?
            .deliver_all(events, 100, 4, PATIENCE, |done| step.say(format!("{done}")))
            .await?;
        step.done(format!(
            "{} accepted, {} refused",
            delivery.accepted().count(),
            delivery.refused().count()
        ));
        self.keep(events, delivery.clone());
        Ok(delivery)
    }

    pub fn keep(&mut self, events: &[Event], delivery: Delivery) {
        for event in events {
            if delivery.accepted().any(|(identity, _)| *identity == event.identity) {
                self.accepted
                    .entry(event.identity.clone())
                    .or_insert_with(|| event.clone());
            }
        }
        self.delivery.merge(delivery);
    }

    /// The events that Bronze must hold.
    pub fn events(&self) -> Vec<Event> {
        self.accepted.values().cloned().collect()
    }

    /// Waits until every accepted event is in Bronze or dead-lettered, and Silver, Gold and the warehouse follow; then
    /// nothing may be lost, doubled or made up. Fails with what differs.
    pub async fn settle(&self, shop: &Shop<'_>) -> Result<Account> {
        let world = shop.world;
        let step = world.progress.step("everything arrives");
        let folder: PathBuf = world.stack.home().join(&shop.namespace);
        std::fs::create_dir_all(&folder)?;
        let mut news = News::of(shop);
        let settled = in_the_end(&step, ARRIVAL, Duration::ZERO, async || {
            news.wait().await;
            let account = Account::take(shop).await?;
            let open = account.unaccounted(&self.delivery).len();
            if open > 0 {
                return Ok(Look::Waiting(format!(
                    "{open} events are not in Bronze; {}",
                    in_words(&shop.pipeline().await?)
                )));
            }
            let mut referee = world.referee().await;
            reference::expect_events(&mut referee, &folder, &self.events()).await?;
            let differences = reference::compare_all(&mut referee, shop, &folder).await?;
            Ok(if differences.is_empty() {
                Look::Done(account)
            } else {
                Look::Waiting(format!(
                    "{}; {}",
                    differences.join("; "),
                    in_words(&shop.pipeline().await?)
                ))
            })
        });
        let account = settled.await?;
        step.done(format!("{} events", account.bronze.len()));
        let mut faults = account.faults();
        faults.extend(account.faults_of(&self.delivery));
        ensure!(faults.is_empty(), "{}", faults.join("\n  "));
        ensure!(
            account.of_others(&self.delivery).is_empty(),
            "the topic holds events that nobody sent"
        );
        Ok(account)
    }
}

impl Ledger {
    /// As [`Ledger::settle`], once so many dead letters are there.
    pub async fn settle_with_dead_letters(&self, shop: &Shop<'_>, count: usize) -> Result<Account> {
        let step = shop.world.progress.step(format!("{count} dead letters arrive"));
        in_the_end(&step, PATIENCE, Duration::from_secs(1), async || {
            let found = Account::take(shop).await?.dead_letters.len();
            Ok(if found >= count {
                Look::Done(())
            } else {
                Look::Waiting(format!("{found} of {count}"))
            })
        })
        .await?;
        step.done("");
        self.settle(shop).await
    }
}

/// Waits until the operator knows of all that stands in Bronze, nothing waits anywhere and no run is under way: tables that are as they
/// should be may still be written by a run that changes no row.
pub async fn come_to_rest(shop: &Shop<'_>) -> Result<()> {
    let step = shop.world.progress.step("the stages come to rest");
    shop.wait_until_bronze_is_known(&step, PATIENCE).await?;
    // Silver, Gold and the warehouse may each have a run before them.
    shop.wait_until_idle(&step, ARRIVAL).await?;
    step.done("");
    Ok(())
}
