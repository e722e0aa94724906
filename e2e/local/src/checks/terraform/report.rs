//! Names each check with its result, counts it, and lets two go on at a time. Touches no network.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;

use anyhow::{Result, bail};

use crate::checks::tally::Tally;

/// Checks that go on beside others, and report themselves.
pub type Job<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Of the whole phase.
pub struct Report<'a> {
    tally: &'a Tally,
    failed: RefCell<Vec<String>>,
}

impl<'a> Report<'a> {
    pub fn new(tally: &'a Tally) -> Self {
        Self {
            tally,
            failed: RefCell::default(),
        }
    }

    /// One check; its value if it passed.
    pub async fn check<T>(&self, name: impl Into<String>, work: impl Future<Output = Result<T>>) -> Option<T> {
        let name = name.into();
        match work.await {
            Ok(value) => {
                self.tally.add(1, 0);
                println!("terraform: ok      {name}");
                Some(value)
            }
            Err(error) => {
                self.fail(name, &format!("{error:#}"));
                None
            }
        }
    }

    /// Checks that another program has done: how many passed, and what it says of each that did not.
    pub fn checked(&self, name: &str, passed: u64, failed: Vec<(String, String)>) {
        self.tally.add(passed, 0);
        println!("terraform: {passed} ok    {name}");
        for (what, why) in failed {
            self.fail(format!("{name}, {what}"), &why);
        }
    }

    fn fail(&self, name: String, why: &str) {
        self.tally.add(0, 1);
        println!("terraform: FAILED  {name}: {why}");
        self.failed.borrow_mut().push(name);
    }

    /// The phase's own result.
    pub fn end(&self) -> Result<()> {
        let failed = self.failed.borrow();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{}", failed.join("; "))
    }
}

/// All jobs, two at a time and begun in their order: the programs that they start use a processor each.
pub async fn two_at_a_time(jobs: Vec<Job<'_>>) {
    let waiting = RefCell::new(VecDeque::from(jobs));
    let lane = async || {
        loop {
            let next = waiting.borrow_mut().pop_front();
            let Some(job) = next else {
                return;
            };
            job.await;
        }
    };
    tokio::join!(lane(), lane());
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn one_failure_hides_no_other_check_and_fails_the_phase() {
        let tally = Tally::default();
        let report = Report::new(&tally);
        assert_eq!(report.check("good", async { Ok(7) }).await, Some(7));
        let bad = async { bail!("a word is misspelt") };
        assert_eq!(report.check::<()>("bad", bad).await, None);
        report.checked("module", 3, vec![("run x".to_owned(), "refused".to_owned())]);
        assert_eq!(report.end().unwrap_err().to_string(), "bad; module, run x");
        assert_eq!(tally.close(false), (4, 2));
    }

    #[tokio::test]
    async fn two_go_on_and_never_three() {
        let (now, most) = (&Cell::new(0_u32), &Cell::new(0_u32));
        let jobs = (0..6).map(|_| {
            let job: Job<'_> = Box::pin(async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::task::yield_now().await;
                now.set(now.get() - 1);
            });
            job
        });
        two_at_a_time(jobs.collect()).await;
        assert_eq!((now.get(), most.get()), (0, 2));
    }
}
