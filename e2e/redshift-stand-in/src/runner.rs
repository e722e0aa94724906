//! Takes one submitted statement or batch from SUBMITTED to its end; talks to PostgreSQL and S3.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use tokio::sync::{Mutex, Semaphore};

use crate::copy::load::{CopyRun, load};
use crate::copy::objects::Objects;
use crate::faults::{Action, COMMIT, Faults, Met};
use crate::sql::plan::{Place, Plan, plan, verb};
use crate::sql::target::rewritten;
use crate::statement::{Statement, Status};
use crate::warehouse::conflicts::Committed;
use crate::warehouse::session::{Executed, Session};
use crate::warehouse::system;
use crate::warehouse::users::Users;

/// Statements that run at the same time; the others wait as SUBMITTED. Below PostgreSQL's default of 100 connections.
const SLOTS: usize = 40;

pub struct Warehouse {
    users: Users,
    objects: Objects,
    faults: Arc<Faults>,
    slots: Semaphore,
    query_ids: AtomicI64,
    /// Held while a transaction commits, so that each is judged by all that were committed before.
    committed: Mutex<Committed>,
}

/// How a statement ended when it did not finish.
enum Stop {
    Failed(String),
    Aborted,
}

impl Warehouse {
    pub fn new(users: Users, objects: Objects, faults: Arc<Faults>) -> Self {
        Self {
            users,
            objects,
            faults,
            slots: Semaphore::new(SLOTS),
            query_ids: AtomicI64::new(1_000),
            committed: Mutex::default(),
        }
    }

    /// Creates the system objects; says whether PostgreSQL can be reached.
    pub async fn prepare(&self) -> Result<(), String> {
        let session = Session::open(self.users.administrator()).await?;
        system::install(&session.client)
            .await
            .map_err(|error| session.describe(&error))
    }

    pub async fn ping(&self) -> Result<(), String> {
        Session::open(self.users.administrator()).await.map(drop)
    }

    /// `sqls` are the statement's texts with their parameters bound.
    pub async fn run(&self, statement: &Statement, sqls: &[String], fault: Option<Met>) {
        let began = Instant::now();
        let (status, error) = match self.drive(statement, sqls, fault).await {
            Ok(()) => (Status::Finished, None),
            Err(Stop::Failed(error)) => (Status::Failed, Some(error)),
            Err(Stop::Aborted) => (Status::Aborted, None),
        };
        tracing::info!(
            id = statement.id,
            name = statement.submission.name,
            status = status.name(),
            error,
            "statement ended"
        );
        statement.end(status, began.elapsed(), error);
    }

    async fn drive(&self, statement: &Statement, sqls: &[String], fault: Option<Met>) -> Result<(), Stop> {
        match fault {
            Some(met) if met.fault.action == Action::Hold => until_cancelled(statement, met.held()).await?,
            Some(met) if met.fault.action == Action::Delay => until_cancelled(statement, met.passed()).await?,
            Some(met) if met.fault.action == Action::Fail => {
                let error = met.message_or("ERROR: failed as the test asked");
                statement.fail_part(0, std::time::Duration::ZERO, &error);
                return Err(Stop::Failed(error));
            }
            _ => {}
        }
        let Ok(_slot) = until_cancelled(statement, self.slots.acquire()).await? else {
            return Err(Stop::Aborted);
        };
        statement.advance(Status::Picked);
        let session = until_cancelled(statement, self.session(statement))
            .await?
            .map_err(Stop::Failed)?;
        statement
            .state
            .send_modify(|state| state.process_id = session.process_id);
        statement.advance(Status::Started);
        if statement.submission.auto_commit {
            self.each_for_itself(session, statement, sqls).await
        } else if let [sql] = sqls
            && !statement.submission.is_batch
        {
            self.alone(session, statement, sql).await
        } else {
            self.together(session, statement, sqls, 0, Place::InTransaction).await.1
        }
    }

    /// A session of the database user that the statement's caller is.
    async fn session(&self, statement: &Statement) -> Result<Session, String> {
        Session::open(&self.users.of(&statement.submission.caller).await?).await
    }

    async fn alone(&self, session: Session, statement: &Statement, sql: &str) -> Result<(), Stop> {
        match plan(sql, Place::Alone) {
            Ok(Plan::WithoutTransaction(_)) => {
                if let Err(stop) = self.part(&session, statement, 0, sql, Place::Alone).await {
                    session.roll_back().await;
                    return Err(stop);
                }
                Ok(())
            }
            _ => {
                self.together(session, statement, &[sql.to_owned()], 0, Place::Alone)
                    .await
                    .1
            }
        }
    }

    /// Every statement commits by itself; the failure of one does not stop the others.
    async fn each_for_itself(&self, session: Session, statement: &Statement, sqls: &[String]) -> Result<(), Stop> {
        let mut session = Some(session);
        let mut first_error = None;
        for (index, sql) in sqls.iter().enumerate() {
            let current = match session.take() {
                Some(open) => open,
                None => self.session(statement).await.map_err(Stop::Failed)?,
            };
            let (kept, outcome) = self
                .together(current, statement, std::slice::from_ref(sql), index, Place::Alone)
                .await;
            session = kept;
            match outcome {
                Err(Stop::Aborted) => return Err(Stop::Aborted),
                Err(Stop::Failed(error)) => first_error = first_error.or(Some(error)),
                Ok(()) => statement.commit_over(),
            }
        }
        first_error.map_or(Ok(()), |error| Err(Stop::Failed(error)))
    }

    /// One transaction over all texts; `first` is the number of the first one among the statement's parts.
    async fn together(
        &self,
        session: Session,
        statement: &Statement,
        sqls: &[String],
        first: usize,
        place: Place,
    ) -> (Option<Session>, Result<(), Stop>) {
        match self.transaction(&session, statement, sqls, first, place).await {
            Ok(()) => (Some(session), Ok(())),
            Err(stop) => {
                session.roll_back().await;
                (None, Err(stop))
            }
        }
    }

    async fn transaction(
        &self,
        session: &Session,
        statement: &Statement,
        sqls: &[String],
        first: usize,
        place: Place,
    ) -> Result<(), Stop> {
        session.begin().await.map_err(Stop::Failed)?;
        for (offset, sql) in sqls.iter().enumerate() {
            self.part(session, statement, first + offset, sql, place).await?;
        }
        self.meet(statement, COMMIT, sqls).await?;
        if !statement.begin_commit() {
            return Err(Stop::Aborted);
        }
        self.commit(session, sqls).await.map_err(Stop::Failed)
    }

    async fn commit(&self, session: &Session, sqls: &[String]) -> Result<(), String> {
        if sqls.iter().all(|sql| verb(sql) == "SELECT") {
            return session.commit().await;
        }
        let rewritten: Vec<String> = sqls.iter().filter_map(|sql| rewritten(sql)).collect();
        let mut committed = self.committed.lock().await;
        let footprint = session.footprint(&rewritten).await?;
        if let Some(violation) = committed.violated_by(&footprint) {
            return Err(violation.described(session.process_id));
        }
        session.commit().await?;
        committed.add(footprint);
        Ok(())
    }

    async fn part(
        &self,
        session: &Session,
        statement: &Statement,
        index: usize,
        sql: &str,
        place: Place,
    ) -> Result<(), Stop> {
        let query_id = self.query_ids.fetch_add(1, Ordering::Relaxed);
        statement.start_part(index, query_id);
        let began = Instant::now();
        let run = async {
            self.meet(statement, &verb(sql), std::slice::from_ref(&sql)).await?;
            self.execute(session, sql, place, query_id).await.map_err(Stop::Failed)
        };
        match until_cancelled(statement, run).await? {
            Ok(executed) => {
                statement.finish_part(index, began.elapsed(), executed.rows, executed.result);
                Ok(())
            }
            Err(Stop::Failed(error)) => {
                statement.fail_part(index, began.elapsed(), &error);
                let is_batch = statement.submission.is_batch;
                Err(Stop::Failed(if is_batch {
                    format!("Query #{} failed with {error}", index + 1)
                } else {
                    error
                }))
            }
            Err(Stop::Aborted) => Err(Stop::Aborted),
        }
    }

    async fn execute(&self, session: &Session, sql: &str, place: Place, query_id: i64) -> Result<Executed, String> {
        match plan(sql, place).map_err(|error| error.to_string())? {
            Plan::Sql(sql) | Plan::WithoutTransaction(sql) => session.execute(&sql).await,
            Plan::Copy(command) => {
                let run = CopyRun {
                    session,
                    objects: &self.objects,
                    command: &command,
                    query_id,
                };
                load(run).await.map_err(|error| error.to_string())?;
                // The Data API was seen to report no rows for COPY, so a loader must ask the session or count.
                Ok(Executed { rows: 0, result: None })
            }
        }
    }

    /// A fault that waits for this kind of statement.
    async fn meet<Text: AsRef<str>>(&self, statement: &Statement, target: &str, texts: &[Text]) -> Result<(), Stop> {
        let mut found_in: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        found_in.extend(statement.submission.name.as_deref());
        let Some(met) = self.faults.meet(target, &found_in) else {
            return Ok(());
        };
        match met.fault.action {
            Action::Hold => until_cancelled(statement, met.held()).await,
            Action::Delay => until_cancelled(statement, met.passed()).await,
            Action::Refuse => Err(Stop::Failed(met.message_or("ERROR: permission denied"))),
            Action::Fail | Action::LoseAnswer | Action::Throttle => {
                Err(Stop::Failed(met.message_or("ERROR: failed as the test asked")))
            }
        }
    }
}

async fn until_cancelled<Output>(statement: &Statement, work: impl Future<Output = Output>) -> Result<Output, Stop> {
    tokio::select! {
        biased;
        () = statement.cancelled() => Err(Stop::Aborted),
        output = work => Ok(output),
    }
}
