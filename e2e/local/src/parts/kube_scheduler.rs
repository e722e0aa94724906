//! kube-scheduler. Touches only the stack's own network.

use super::part::{Part, Run, healthz};
use crate::stack::Stack;

pub fn part(stack: &Stack) -> Part {
    let command = Run::new(stack.kubernetes("kube-scheduler"))
        .path("--kubeconfig", stack.certificate("scheduler.kubeconfig"))
        .args(&[
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
            "--v=1",
        ]);
    Part {
        after: &["kube-apiserver"],
        ..Part::new("kube-scheduler", Some(command), healthz(stack, 10259))
    }
}
