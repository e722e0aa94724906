//! One run, step by step: describe, plan, read, build, test, upload, commit. Talks to object storage and the dbt process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use medallion_crds::launch::report::RunReport;
use medallion_crds::launch::{DbtRunnerSettings, Settings};
use medallion_crds::stage_run::{OutputTable, RunProgress};
use medallion_lake::{Claim, LakeStore};
use tokio_util::sync::CancellationToken;
use worker_kit::ProgressHandle;

use crate::driver::{Driver, Python};
use crate::error::RunError;
use crate::metrics::RunMetrics;
use crate::plan::{Plan, TableState, Work, decide};
use crate::position::{Position, Projects, TableIds, Versions, from_list, to_entry, to_list};
use crate::project;
use crate::protocol::{Exported, File, Layer, NodeStart, Replace, Request, RunContext, Timed, TouchedAnswer};
use crate::reader::Reader;
use crate::settings::LayerPlace;
use crate::sink::{self, Upload};
use crate::source::{self, Inputs, Needs, Target, open_inputs, open_targets, read_input};
use crate::timing::Timing;
use crate::touched::{Partitions, Touched};
use crate::views::{Input, Layers, Own, Part, views};

/// Rows of one Parquet file: some ten row groups, about as much as a reader takes in one go.
const MAX_FILE_ROWS: u64 = 1_228_800;
/// How long the end of a run waits for a checkpoint under way; without it the next runs only read a longer log.
const CHECKPOINT: Duration = Duration::from_mins(1);

/// All that a run works with.
pub struct Run<'r> {
    /// The settings.
    pub settings: &'r Settings<DbtRunnerSettings>,
    /// Where the layer and its inputs live.
    pub place: &'r LayerPlace,
    /// The lake.
    pub store: &'r LakeStore,
    /// Python with dbt.
    pub python: &'r Python,
    /// Folder to work in.
    pub scratch: &'r Path,
    /// What `/progress` answers.
    pub progress: &'r ProgressHandle,
    /// What `/metrics` answers.
    pub metrics: &'r RunMetrics,
    /// How long the parts took.
    pub timing: &'r Timing,
    /// Cancelled when the pod is asked to stop.
    pub shutdown: &'r CancellationToken,
}

impl Run<'_> {
    /// Does the run and says what stands committed.
    pub async fn execute(&self) -> Result<RunReport, RunError> {
        let reader = Reader::start(self.store.clone()).await?;
        let outcome = self.with_reader(&reader).await;
        outcome.map_err(|error| error.caused_by(reader.failure()))
    }

    async fn with_reader(&self, reader: &Reader) -> Result<RunReport, RunError> {
        let worker = &self.settings.worker;
        let inputs = from_list(&worker.run.inputs)?;
        let project = project::digest(Path::new(&worker.project_path))?;
        let mut driver = Driver::start(self.python, self.scratch)?;
        let request = self.open_request(reader);
        let layer: Layer = self.timed("parsing the project", driver.ask(&request, |_| {})).await?;

        let (targets, sources) = self.timed("reading the logs", self.open(&layer, &inputs)).await?;
        let ids = source::ids(&sources)?;
        let states: Vec<_> = targets.iter().map(|target| target.state(&ids)).collect();
        let work = match decide(&states, &worker.run.uid, &inputs) {
            Plan::AlreadyCommitted => return Ok(self.report(&targets, &BTreeMap::new(), &inputs, true, 0)),
            Plan::Process(work) => work,
        };
        let (range, publish) = (work.range(), work.tables());
        tracing::info!(%project, range, publish, "range decided");

        let read = self
            .timed(
                "listing the files of the inputs",
                self.read_inputs(&layer, &sources, &work),
            )
            .await?;
        let uploads = if has_news(&read) || work.begins_afresh() {
            let going_on = states.iter().filter(|state| state.goes_on(&work.until));
            let going_on: BTreeSet<&str> = going_on.map(|state| state.name.as_str()).collect();
            self.build((&mut driver, reader), &layer, (&targets, &going_on), &work, &read)
                .await?
        } else {
            work.publish
                .iter()
                .map(|name| (name.clone(), Upload::nothing()))
                .collect()
        };
        let committed = self
            .commit((&targets, &states), &work, &uploads, (&ids, &project))
            .await?;
        self.settle(&targets, &committed).await;
        let rows = uploads.values().map(Upload::rows).sum();
        Ok(self.report(&targets, &committed, &work.until, false, rows))
    }

    fn open_request<'a>(&'a self, reader: &'a Reader) -> Request<'a> {
        let worker = &self.settings.worker;
        Request::Open {
            project: &worker.project_path,
            scratch: self.scratch.to_str().unwrap_or_default(),
            lake: reader.base(),
            layer: self.place.layers().own,
            memory_bytes: worker.memory_bytes,
            threads: worker.threads,
        }
    }

    async fn open(&self, layer: &Layer, inputs: &Versions) -> Result<(Vec<Target>, Inputs), RunError> {
        let run_uid = &self.settings.worker.run.uid;
        let claim = Claim::new(self.settings.pipeline.owner().to_string(), self.settings.adopt.clone());
        let tables = layer.tables.iter().map(|model| {
            let table = self.store.table(&format!("{}/{}", self.place.folder, model.name))?;
            Ok::<_, RunError>((table, model.clone()))
        });
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        let targets = open_targets(tables, &claim, run_uid).await?;
        let sources = open_inputs(self.store, inputs, |name| self.place.input(name)).await?;
        Ok((targets, sources))
    }

    async fn read_inputs(
        &self,
        layer: &Layer,
        sources: &Inputs,
        work: &Work,
    ) -> Result<BTreeMap<String, Input>, RunError> {
        let needs = needs(layer, self.place.layers())?;
        let mut inputs = BTreeMap::new();
        for (name, source) in sources {
            inputs.insert(name.clone(), read_input(name, source, work, needs).await?);
        }
        Ok(inputs)
    }

    /// Builds and tests the layer, and uploads the new content of the tables to publish.
    async fn build(
        &self,
        (driver, reader): (&mut Driver, &Reader),
        layer: &Layer,
        (targets, going_on): (&[Target], &BTreeSet<&str>),
        work: &Work,
        inputs: &BTreeMap<String, Input>,
    ) -> Result<BTreeMap<String, Upload>, RunError> {
        let mut own = self.own_tables((targets, going_on), work, inputs).await?;
        self.make_views((&mut *driver, reader), layer, work, inputs, &own)
            .await?;
        if own.values().any(|table| table.touched.is_none()) {
            self.look_up_touched(driver, reader, &mut own).await?;
            self.make_views((&mut *driver, reader), layer, work, inputs, &own)
                .await?;
        }

        let publishing = i32::try_from(work.publish.len()).unwrap_or_default();
        let request = Request::Build {
            layer: self.place.layers().own,
        };
        let begun = Instant::now();
        let built: Timed = driver
            .ask(&request, |node: NodeStart| {
                self.progress(node.done, node.total + publishing, node.node);
            })
            .await?;
        self.timing.ended(self.metrics, "building and testing", begun);
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(nodes = built.took.len(), seconds, "layer built and tested");
        self.timing.reported(self.metrics, "node", built.took);
        self.advance(|run| run.done = run.total - publishing);
        self.stop_if_asked()?;

        let mut uploads = BTreeMap::new();
        // The process tells attempts apart, and a process that was restarted in the middle of one.
        let prefix = format!("{}-{}", self.settings.worker.run.uid, uuid::Uuid::new_v4().simple());
        for target in targets
            .iter()
            .filter(|target| work.publish.contains(&target.model.name))
        {
            let model = &target.model;
            let request = Request::Export {
                table: &model.name,
                key: &model.key,
                partition_by: &model.partition_by,
                max_file_rows: MAX_FILE_ROWS,
            };
            let touched = own
                .get(&model.name)
                .and_then(|table| table.touched.clone())
                .unwrap_or(Touched::Whole);
            let write = async {
                let exported: Exported = driver.ask(&request, |_| {}).await?;
                let present = own.get(&model.name).map_or(&[][..], |table| &table.files);
                sink::upload(target, exported, (&touched, present), &prefix).await
            };
            let upload = self.timed(&format!("writing {}", model.name), write).await?;
            self.metrics.rows.set(&model.name, upload.rows());
            uploads.insert(model.name.clone(), upload);
        }
        Ok(uploads)
    }

    async fn own_tables(
        &self,
        (targets, going_on): (&[Target], &BTreeSet<&str>),
        work: &Work,
        inputs: &BTreeMap<String, Input>,
    ) -> Result<BTreeMap<String, Own>, RunError> {
        let changed: BTreeMap<String, Partitions> = inputs
            .iter()
            .map(|(name, input)| (name.clone(), input.changed.clone()))
            .collect();
        let present: Vec<_> = inputs.values().map(|input| input.files.as_slice()).collect();
        let mut own = BTreeMap::new();
        for target in targets {
            let model = target.model.clone();
            let name = model.name.clone();
            let goes_on = going_on.contains(name.as_str());
            if !goes_on && target.stood() {
                tracing::warn!(
                    table = name,
                    "its rows were not made from this run's inputs: it is written anew, whole"
                );
            }
            let files = target.files_before().await?;
            let table = Own::new(model, files, (goes_on, work.begins_afresh()), &changed, &present)?;
            own.insert(name, table);
        }
        Ok(own)
    }

    async fn make_views(
        &self,
        (driver, reader): (&mut Driver, &Reader),
        layer: &Layer,
        work: &Work,
        inputs: &BTreeMap<String, Input>,
        own: &BTreeMap<String, Own>,
    ) -> Result<(), RunError> {
        let run = &self.settings.worker.run;
        let context = RunContext {
            as_of: run.as_of.to_string(),
            run_uid: run.uid.clone(),
        };
        let layers = self.place.layers();
        let mut views = views(&layer.sources, layers, inputs, own, work.begins_afresh())?;
        for file in views.iter_mut().flat_map(|view| view.files.iter_mut()) {
            reader.offer(file);
        }
        let request = Request::Views {
            context: &context,
            views: &views,
        };
        let made: Timed = self.timed("making the views", driver.ask(&request, |_| {})).await?;
        self.timing.reported(self.metrics, "view", made.took);
        self.stop_if_asked()
    }

    /// Builds the models of changed rows, and looks up which partitions they concern.
    async fn look_up_touched(
        &self,
        driver: &mut Driver,
        reader: &Reader,
        own: &mut BTreeMap<String, Own>,
    ) -> Result<(), RunError> {
        let unknown = own.values().filter(|table| table.touched.is_none());
        let models: Vec<String> = unknown.filter_map(|table| table.model.changes.clone()).collect();
        let request = Request::Changes { models: &models };
        let ask = driver.ask(&request, |node: NodeStart| self.step(&node.node));
        let _: Timed = self.timed("building the changed rows", ask).await?;
        for table in own.values_mut().filter(|table| table.touched.is_none()) {
            let Some(changes) = &table.model.changes else {
                continue;
            };
            let mut files: Vec<File> = table.files.iter().map(Into::into).collect();
            for file in &mut files {
                reader.offer(file);
            }
            let request = Request::Touched {
                table: &table.model.name,
                changes,
                key: &table.model.key,
                partition_by: &table.model.partition_by,
                files,
            };
            let step = format!("looking up the keys of {}", table.model.name);
            let answer: TouchedAnswer = self.timed(&step, driver.ask(&request, |_| {})).await?;
            table.touched = Some(Touched::Partitions(answer.partitions.into_iter().collect()));
        }
        self.stop_if_asked()
    }

    /// Commits table by table, those that others read first.
    async fn commit(
        &self,
        (targets, states): (&[Target], &[TableState]),
        work: &Work,
        uploads: &BTreeMap<String, Upload>,
        (ids, project): (&TableIds, &str),
    ) -> Result<BTreeMap<String, OutputTable>, RunError> {
        let run = &self.settings.worker.run;
        let hold = format!("between-{}-table-commits", self.place.layers().own);
        let mut versions = BTreeMap::new();
        for target in targets {
            let name = &target.model.name;
            let Some(upload) = uploads.get(name) else {
                continue;
            };
            if !versions.is_empty() {
                worker_kit::hold_point(&hold).await;
            }
            self.stop_if_asked()?;
            let before = target.position.as_ref().map(|position| &position.projects);
            let projects = Projects::after(before, project, upload.rewritten());
            let goes_on = states
                .iter()
                .any(|state| state.name == *name && state.goes_on(&work.until));
            let position = Position::new(&run.uid, run.attempt, &work.until, ids, projects)
                .begun_by(target.begun_by(&run.uid, goes_on));
            let commit = sink::commit(target, upload, &position, &work.until, self.shutdown);
            let snapshot = self.timed(&format!("committing {name}"), commit).await?;
            self.advance(|run| run.done += 1);
            let version = snapshot.version();
            tracing::info!(table = name, version, rows = upload.rows(), "committed");
            // Another attempt of this run may have done it.
            let position = source::position(name, &snapshot)?;
            versions.insert(name.clone(), to_entry(name, version, position.as_ref()));
        }
        Ok(versions)
    }

    /// Lets checkpoints end that the commits have begun: the process ends after this.
    async fn settle(&self, targets: &[Target], committed: &BTreeMap<String, OutputTable>) {
        let tables = targets
            .iter()
            .filter(|target| committed.contains_key(&target.model.name));
        let all = async {
            for target in tables {
                target.table.settle().await;
            }
        };
        if tokio::time::timeout(CHECKPOINT, all).await.is_err() {
            tracing::warn!(seconds = CHECKPOINT.as_secs(), "a checkpoint did not end in time");
        }
    }

    fn report(
        &self,
        targets: &[Target],
        committed: &BTreeMap<String, OutputTable>,
        consumed: &Versions,
        already_committed: bool,
        rows: u64,
    ) -> RunReport {
        let run = &self.settings.worker.run;
        let outputs = targets.iter().filter_map(|target| {
            let name = &target.model.name;
            let unchanged = || {
                Some(to_entry(
                    name,
                    target.snapshot.as_ref()?.version(),
                    target.position.as_ref(),
                ))
            };
            committed.get(name).cloned().or_else(unchanged)
        });
        let mut outputs: Vec<_> = outputs.collect();
        outputs.sort();
        RunReport {
            run_uid: run.uid.clone(),
            attempt: run.attempt,
            already_committed,
            inputs: to_list(consumed),
            outputs,
            rows: i64::try_from(rows).unwrap_or(i64::MAX),
        }
    }

    /// Does a part of the run, and notes how long it took.
    async fn timed<T>(&self, name: &str, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        self.step(name);
        let begun = Instant::now();
        let outcome = work.await;
        self.timing.ended(self.metrics, name, begun);
        outcome
    }

    fn step(&self, current: &str) {
        tracing::debug!(step = current, "step");
        self.progress.update(|work| {
            let run = work.run.get_or_insert(RunProgress {
                done: 0,
                total: 0,
                current: None,
            });
            run.current = Some(current.to_owned());
        });
    }

    fn progress(&self, done: i32, total: i32, current: String) {
        self.progress.update(|work| {
            work.run = Some(RunProgress {
                done,
                total,
                current: Some(current),
            });
        });
    }

    /// Moves the progress on, where it is known how much there is to do.
    fn advance(&self, change: impl FnOnce(&mut RunProgress)) {
        self.progress.update(|work| {
            if let Some(run) = work.run.as_mut().filter(|run| run.total > 0) {
                change(run);
            }
        });
    }

    fn stop_if_asked(&self) -> Result<(), RunError> {
        if self.shutdown.is_cancelled() {
            Err(RunError::Interrupted)
        } else {
            Ok(())
        }
    }
}

fn has_news(inputs: &BTreeMap<String, Input>) -> bool {
    inputs
        .values()
        .any(|input| !input.added.is_empty() || !input.changed.is_empty())
}

/// Which parts of the inputs the layer reads: lists of all files cost with the history, lists of new ones do not.
fn needs(layer: &Layer, layers: Layers<'_>) -> Result<Needs, RunError> {
    let mut needs = Needs::default();
    for source in &layer.sources {
        match layers.resolve(source)? {
            Some((_, Part::New)) => needs.added = true,
            Some((_, Part::Touched | Part::All)) => needs.files = true,
            _ => {}
        }
    }
    needs.files |= layer
        .tables
        .iter()
        .any(|table| table.changes.is_none() && table.replace == Replace::Partitions);
    needs.files |= !needs.added;
    Ok(needs)
}
