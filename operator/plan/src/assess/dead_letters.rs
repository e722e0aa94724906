//! Dead letters as the consumer last measured them. No network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use medallion_crds::pipeline::DeadLetterStatus;
use medallion_crds::text::cut;

use crate::model::time::whole_seconds;
use crate::stages::Basis;

/// The newest measurement of any pod that measures them, or what was stored before.
pub(crate) fn measured(basis: &Basis<'_>) -> Option<DeadLetterStatus> {
    let newest = basis
        .streaming()
        .flat_map(|(place, _)| basis.observed.pods_of_worker(place.entry.worker()))
        .filter_map(|pod| basis.observed.progress_of(pod))
        .filter(|progress| progress.work.dead_letters.is_some())
        .max_by_key(|progress| (progress.time, progress.identity.pod_uid.clone()));
    let Some(measured) = newest.and_then(|progress| progress.work.dead_letters.clone()) else {
        return basis.observed.stored.dead_letters.clone();
    };
    let newest = measured
        .newest
        .into_iter()
        .take(10)
        .map(|mut letter| {
            letter.message = cut(&letter.message, 512);
            letter.source = cut(&letter.source, 300);
            letter.time = Time(whole_seconds(letter.time.0));
            letter
        })
        .collect();
    Some(DeadLetterStatus {
        count: measured.count,
        newest,
    })
}
