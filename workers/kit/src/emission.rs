//! Whether a worker's metrics also stand among its log lines, for CloudWatch, and under which dimensions. Writes to standard output.

use medallion_crds::launch::{PipelineIdentity, environment};
use medallion_crds::{Stage, Worker};
use medallion_metrics::{Embedder, Emission};

use crate::metrics::Metrics;

/// Begins to write them, if the environment says so.
pub(crate) fn begin(
    worker: Worker,
    pipeline: &PipelineIdentity,
    stage: Option<Stage>,
    metrics: &Metrics,
) -> Option<Emission> {
    let told = std::env::var(environment::EMBEDDED_METRICS).is_ok_and(|value| value == "true");
    told.then(|| {
        let metrics = metrics.clone();
        Emission::begin(embedder(worker, pipeline, stage), move || metrics.text())
    })
}

/// By the dimensions that alarms ask for: namespace, pipeline, and the stage, which the provisioner has none of.
fn embedder(worker: Worker, pipeline: &PipelineIdentity, stage: Option<Stage>) -> Embedder {
    let mut dimensions = vec![
        ("namespace", pipeline.namespace.clone()),
        ("pipeline", pipeline.name.clone()),
    ];
    dimensions.extend(stage.map(|stage| ("stage", stage.as_str().to_owned())));
    Embedder::new(worker.as_str(), dimensions)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use medallion_crds::pipeline::Retention;
    use medallion_crds::progress::Identity;
    use serde_json::{Value, json};

    use super::*;
    use crate::progress::ProgressHandle;

    fn lines(stage: Option<Stage>) -> Vec<Value> {
        let metrics = Metrics::default();
        let progress = ProgressHandle::new(Identity::default(), Timestamp::now);
        progress.update(|work| {
            work.retention = Some(Retention {
                used_seconds: 70_000,
                of_seconds: 86_400,
            });
        });
        metrics.show_retention(progress);
        let pipeline = PipelineIdentity {
            installation: "test".to_owned(),
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
            uid: "u".to_owned(),
        };
        let lines = embedder(Worker::Exporter, &pipeline, stage).lines(&metrics.text(), 0);
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_streaming_worker_tells_of_its_retention_by_stage() {
        let lines = lines(Some(Stage::Bronze));
        let [line] = &lines[..] else {
            panic!("one set of labels is one line")
        };
        assert_eq!(line["medallion_retention_used_seconds"], 70_000.0);
        assert_eq!(line["medallion_retention_of_seconds"], 86_400.0);
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["namespace", "pipeline", "stage"]])
        );
        assert_eq!(
            (line["stage"].as_str(), line["pipeline"].as_str()),
            (Some("bronze"), Some("orders"))
        );
    }

    #[test]
    fn a_worker_without_a_stage_has_no_such_dimension() {
        let lines = lines(None);
        let [line] = &lines[..] else {
            panic!("one set of labels is one line")
        };
        let dimensions = &line["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert_eq!(*dimensions, json!([["namespace", "pipeline"]]));
    }
}
