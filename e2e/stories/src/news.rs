//! Says when it is worth looking at the stores again: reading them whole takes a processor, asking how far the stages are does not. Touches the API server.

use std::time::Duration;

use medallion_crds::pipeline::StageState;
use medallion_crds::{Pipeline, Stage};
use tokio::time::{Instant, sleep};

use crate::shop::Shop;

const EVERY: Duration = Duration::from_millis(500);
/// The stores have the last word, so they are looked at after so long whatever the operator says.
const LONGEST: Duration = Duration::from_secs(10);

/// What the status says of one stage.
type Mark = (Stage, StageState, Option<i64>);

/// From one look to the next.
pub struct News<'s> {
    shop: &'s Shop<'s>,
    /// What was said before the last look; none before the first one.
    seen: Option<Vec<Mark>>,
}

impl<'s> News<'s> {
    pub fn of(shop: &'s Shop<'s>) -> Self {
        Self { shop, seen: None }
    }

    /// Waits until some stage has moved since the look before this one; not at all before the first one.
    pub async fn wait(&mut self) {
        let begun = Instant::now();
        loop {
            let now = self.shop.pipeline().await.ok().map(|pipeline| marks(&pipeline));
            if is_worth_a_look(self.seen.as_deref(), now.as_deref()) || begun.elapsed() >= LONGEST {
                self.seen = Some(now.unwrap_or_default());
                return;
            }
            sleep(EVERY).await;
        }
    }
}

/// An API server that does not answer has no news.
fn is_worth_a_look(seen: Option<&[Mark]>, now: Option<&[Mark]>) -> bool {
    seen.is_none() || (now.is_some() && now != seen)
}

fn marks(pipeline: &Pipeline) -> Vec<Mark> {
    let stages = pipeline.status.iter().flat_map(|status| &status.stages);
    stages.map(|stage| (stage.name, stage.state, stage.position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_and_one_after_a_move_are_worth_it() {
        let at = |version| [(Stage::Bronze, StageState::Running, Some(version))];
        assert!(is_worth_a_look(None, None));
        assert!(is_worth_a_look(None, Some(&at(1))));
        assert!(!is_worth_a_look(Some(&at(1)), Some(&at(1))));
        assert!(is_worth_a_look(Some(&at(1)), Some(&at(2))));
        let idle = [(Stage::Bronze, StageState::Idle, Some(1))];
        assert!(is_worth_a_look(Some(&at(1)), Some(&idle)));
        assert!(!is_worth_a_look(Some(&at(1)), None), "nobody answers");
    }
}
