//! containerd: runs the pods' containers with Debian's runc and CNI plugins. Touches only the stack's own network.

use std::fs;

use anyhow::Result;
use serde_json::json;

use super::part::{Part, Run};
use super::probe::Probe;
use crate::run;
use crate::stack::{POD_CIDR, POD_GATEWAY, Stack};
use crate::toolchains::on_path;

pub fn part(stack: &Stack) -> Part {
    let programs = stack.fetched.containerd.display();
    let command = Run::new(stack.fetched.containerd.join("containerd"))
        .arg("--config")
        .arg(stack.etc("containerd.toml").display().to_string())
        // It looks for its shim on the path.
        .env(
            "PATH",
            format!("{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        );
    let socket = stack.containerd_socket().display().to_string();
    let probe = Probe::program(stack.fetched.containerd.join("ctr"), &["--address", &socket, "version"]);
    Part {
        setup: Some(setup),
        ..Part::new("containerd", Some(command), probe)
    }
}

fn setup(stack: &Stack) -> Result<()> {
    if let Some(folder) = stack.containerd_socket().parent() {
        fs::create_dir_all(folder)?;
    }
    run::write_if_changed(&stack.etc("containerd.toml"), configuration(stack))?;
    let network = json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods0",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "mtu": fs::read_to_string("/sys/class/net/eth0/mtu")?.trim().parse::<u32>()?,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni",
                    "ranges": [[{"subnet": POD_CIDR, "gateway": POD_GATEWAY}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    run::write_if_changed(&stack.etc("cni/10-pods.conflist"), serde_json::to_vec_pretty(&network)?)
}

fn configuration(stack: &Stack) -> String {
    let data = stack.data("containerd");
    let (data, socket) = (data.display(), stack.containerd_socket());
    let socket = socket.display();
    let network = stack.etc("cni");
    let network = network.display();
    let pause = stack.pause_image();
    let runc = on_path("runc").unwrap_or_else(|| "runc".into());
    let runc = runc.display();
    format!(
        r#"version = 3
root = "{data}/root"
state = "/run/containerd-state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{data}/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{network}"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        Root = "/run/runc"
        SystemdCgroup = false
"#
    )
}
