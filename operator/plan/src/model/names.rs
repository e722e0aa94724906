//! Names of children as functions of what they are for, so that a second try meets the first one's object. No network.

use medallion_crds::{Stage, Worker};

/// Child of a pipeline for a worker: Deployment, Service, `ServiceAccount`, `PodDisruptionBudget`.
pub fn child(pipeline: &str, worker: Worker) -> String {
    format!("{pipeline}-{worker}")
}

/// `ConfigMap` with a worker's settings; other settings are another object, so that old pods keep theirs.
pub fn settings(pipeline: &str, worker: Worker, hash: &str) -> String {
    format!("{pipeline}-{worker}-{}", short(hash))
}

/// Job of one try of the provisioner.
pub fn provisioner(pipeline: &str, hash: &str) -> String {
    settings(pipeline, Worker::Provisioner, hash)
}

/// `StageRun` made by the operator.
pub fn run(pipeline: &str, stage: Stage, number: i64) -> String {
    format!("{pipeline}-{stage}-{number:06}")
}

/// Running number in a `StageRun`'s name; `None` for names that the operator does not give.
pub fn run_number(pipeline: &str, stage: Stage, name: &str) -> Option<i64> {
    let digits = name
        .strip_prefix(pipeline)?
        .strip_prefix('-')?
        .strip_prefix(stage.as_str())?
        .strip_prefix('-')?;
    (digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// Job of an attempt of a run.
pub fn attempt(run: &str, attempt: i32) -> String {
    format!("{run}-{attempt}")
}

fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_number_is_read_back_from_the_name() {
        assert_eq!(
            run_number("shop", Stage::Silver, &run("shop", Stage::Silver, 42)),
            Some(42)
        );
        assert_eq!(
            run_number("shop", Stage::Silver, &run("shop", Stage::Silver, 12_345_678)),
            Some(12_345_678)
        );
        assert_eq!(run_number("shop", Stage::Gold, "shop-silver-000042"), None);
        assert_eq!(run_number("shop", Stage::Silver, "shop-silver-by-hand"), None);
    }

    #[test]
    fn the_longest_names_fit_into_a_label() {
        let pipeline = "p".repeat(40);
        let run = run(&pipeline, Stage::Warehouse, 999_999);
        assert!(run.len() <= 58, "{run}");
        assert!(attempt(&run, 9999).len() <= 63);
        assert!(provisioner(&pipeline, &"f".repeat(64)).len() <= 63);
    }
}
