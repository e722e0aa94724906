//! The list of everything that is watched: pipelines, runs, what they are made into, and the table of children. Talks to the Kubernetes API.

use k8s_openapi::api::batch::v1::Job;
use kube::runtime::watcher::watcher;
use kube::{Resource, ResourceExt};
use medallion_crds::{Pipeline, StageRun};
use medallion_plan::Pod;

use crate::key::PipelineKey;
use crate::requests::Request;
use crate::watch::child_kinds::KINDS;
use crate::watch::follow::Filing;
use crate::watch::guard::Guarded;
use crate::watch::index::{Index, POD};
use crate::watch::room::{GuardedPipeline, GuardedRun};
use crate::watch::slim::Slim;
use crate::watch::start::{Start, everything, ours};

/// The kind under which runs are filed that cannot be read.
const UNREADABLE: &str = "StageRun that cannot be read";

/// Starts all watches.
pub(crate) fn watch(start: &Start) {
    pipelines(start);
    runs(start);
    jobs(start);
    pods(start);
    for kind in &KINDS {
        (kind.watch)(start);
    }
}

fn pipelines(start: &Start) {
    let filing = Filing {
        kind: "Pipeline",
        put: |index, mut object: GuardedPipeline| {
            match &mut object.0 {
                Ok(pipeline) => Pipeline::slim(pipeline),
                Err(invalid) => invalid.metadata.managed_fields = None,
            }
            index.put_pipeline(object)
        },
        remove: |index, object| index.remove_pipeline(object),
        retain: |index, namespace, listed| index.retain_pipelines(namespace, listed),
    };
    start.follow(watcher(start.api::<GuardedPipeline>(), everything()), filing);
}

fn runs(start: &Start) {
    let filing = Filing {
        kind: "StageRun",
        put: file_run,
        remove: |index, object| {
            let mut news = index.remove::<StageRun>("StageRun", object.meta());
            news.extend(index.remove::<GuardedRun>(UNREADABLE, object.meta()));
            news
        },
        retain: |index, namespace, listed| {
            let mut news = index.retain::<StageRun>("StageRun", namespace, listed);
            news.extend(index.retain::<GuardedRun>(UNREADABLE, namespace, listed));
            news
        },
    };
    start.follow(watcher(start.api::<GuardedRun>(), everything()), filing);
}

/// A run made by a person has no label, only the reference in its spec. One that cannot be read is filed under no pipeline.
pub(crate) fn file_run(index: &Index, object: GuardedRun) -> Vec<Request> {
    match object.0 {
        Ok(mut run) => {
            run.slim();
            let home = run
                .namespace()
                .map(|namespace| PipelineKey::new(&namespace, &run.spec.pipeline_ref.name));
            let mut news = index.remove::<GuardedRun>(UNREADABLE, &run.metadata);
            news.extend(index.put("StageRun", home, run));
            news
        }
        Err(mut invalid) => {
            invalid.metadata.managed_fields = None;
            let mut news = index.remove::<StageRun>("StageRun", &invalid.metadata);
            let home = invalid.metadata.namespace.as_deref().map(PipelineKey::of_none);
            news.extend(index.put(UNREADABLE, home, Guarded(Err(invalid))));
            news
        }
    }
}

fn jobs(start: &Start) {
    let filing = Filing {
        kind: "Job",
        put: |index, object: Guarded<Job>| match object.0 {
            Ok(mut job) => {
                job.slim();
                index.put("Job", PipelineKey::by_label(&job), job)
            }
            Err(invalid) => index.remove::<Job>("Job", &invalid.metadata),
        },
        remove: |index, object| index.remove::<Job>("Job", object.meta()),
        retain: |index, namespace, listed| index.retain::<Job>("Job", namespace, listed),
    };
    start.follow(watcher(start.api::<Guarded<Job>>(), ours()), filing);
}

fn pods(start: &Start) {
    let filing = Filing {
        kind: POD,
        put: |index, object: Guarded<Pod>| match object.0 {
            Ok(mut pod) => {
                pod.slim();
                index.put(POD, PipelineKey::by_label(&pod), pod)
            }
            Err(invalid) => index.remove::<Pod>(POD, &invalid.metadata),
        },
        remove: |index, object| index.remove::<Pod>(POD, object.meta()),
        retain: |index, namespace, listed| index.retain::<Pod>(POD, namespace, listed),
    };
    start.follow(watcher(start.api::<Guarded<Pod>>(), ours()), filing);
}
