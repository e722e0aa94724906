//! Reads what Jobs say about themselves. No network.

use k8s_openapi::api::batch::v1::Job;
use kube::Resource;
use medallion_crds::StageRun;

/// How a Job ended.
pub(crate) enum JobEnd<'a> {
    Complete,
    Failed { reason: &'a str, message: &'a str },
}

/// Name of the run that a Job is of; `None` for the provisioner's. Its owner tells, for labels may be taken away.
pub(crate) fn run_of(job: &Job) -> Option<&str> {
    let mut owners = job.metadata.owner_references.iter().flatten();
    owners
        .find(|owner| owner.kind == StageRun::kind(&()))
        .map(|owner| owner.name.as_str())
}

/// Whether a Job has ended; its pods are gone or done then.
pub fn has_ended(job: &Job) -> bool {
    end(job).is_some()
}

/// How a Job ended, if it has; its pods are gone or done then.
pub(crate) fn end(job: &Job) -> Option<JobEnd<'_>> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions
        .iter()
        .filter(|condition| condition.status == "True")
        .find_map(|condition| match condition.type_.as_str() {
            "Complete" => Some(JobEnd::Complete),
            "Failed" => Some(JobEnd::Failed {
                reason: condition.reason.as_deref().unwrap_or_default(),
                message: condition.message.as_deref().unwrap_or_default(),
            }),
            _ => None,
        })
}
