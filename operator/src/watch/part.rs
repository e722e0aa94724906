//! How each kind of object stands in a pipeline's room, and what its changes are. No network.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use medallion_crds::StageRun;
use medallion_plan::{Pod, forget_details};

use crate::requests::Urgency;
use crate::watch::news::{self, Change};
use crate::watch::room::{GuardedRun, Room, Shelf, StoredChild};

/// A kind of object that rooms hold.
pub(crate) trait Part: Sized {
    /// Where a room keeps it.
    fn shelf<'a>(room: &'a mut Room, kind: &'static str) -> &'a mut Shelf<Self>;
    /// Its metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// How soon a change of one of them is to be looked at; `None`: nothing that is read has changed.
    fn urgency(change: &Change<'_, Self>, room: &Room) -> Option<Urgency>;
    /// One of them has been filed.
    fn filed(_shelf: &mut Shelf<Self>, _name: &str) {}
}

macro_rules! part {
    ($type:ty, $shelf:ident, $urgency:expr) => {
        impl Part for $type {
            fn shelf<'a>(room: &'a mut Room, _: &'static str) -> &'a mut Shelf<Self> {
                &mut room.$shelf
            }
            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn urgency(change: &Change<'_, Self>, room: &Room) -> Option<Urgency> {
                $urgency(change, room)
            }
        }
    };
}

part!(Deployment, deployments, news::of_deployment);
part!(Job, jobs, news::of_job);
part!(Pod, pods, news::of_pod);

impl Part for StageRun {
    fn shelf<'a>(room: &'a mut Room, _: &'static str) -> &'a mut Shelf<Self> {
        &mut room.runs
    }

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn urgency(change: &Change<'_, Self>, _: &Room) -> Option<Urgency> {
        Some(news::of_run(change))
    }

    /// By default sixty of them are kept of each pipeline: most of the objects that there are.
    fn filed(shelf: &mut Shelf<Self>, name: &str) {
        let Some(stage) = shelf.get(name).map(|run| run.spec.stage) else {
            return;
        };
        forget_details(shelf.values_mut().filter(|run| run.spec.stage == stage));
    }
}

impl Part for GuardedRun {
    fn shelf<'a>(room: &'a mut Room, _: &'static str) -> &'a mut Shelf<Self> {
        &mut room.unreadable
    }

    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }

    /// Each that comes or changes is reported once.
    fn urgency(change: &Change<'_, Self>, _: &Room) -> Option<Urgency> {
        change.after.map(|_| Urgency::Now)
    }
}

impl Part for StoredChild {
    fn shelf<'a>(room: &'a mut Room, kind: &'static str) -> &'a mut Shelf<Self> {
        room.children.entry(kind).or_default()
    }

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    /// Most of what the watch shows of them is what the operator wrote. What somebody changed or removed is put right a little later.
    fn urgency(_: &Change<'_, Self>, _: &Room) -> Option<Urgency> {
        Some(Urgency::Soon)
    }
}
