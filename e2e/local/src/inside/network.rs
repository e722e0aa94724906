//! The stack's end of its link to the host. Touches only the stack's own network.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::run;
use crate::stack::namespaces::ip;
use crate::stack::{LINKS, Stack};

pub fn prepare(stack: &Stack) -> Result<()> {
    run::wait_for("the link to the host", Duration::from_secs(10), || {
        Path::new("/sys/class/net/eth0").exists().then_some(())
    })?;
    ip(&["link", "set", "lo", "up"])?;
    ip(&["address", "add", &format!("{}/30", stack.node_ip()), "dev", "eth0"])?;
    ip(&["link", "set", "eth0", "up"])?;
    ip(&["route", "add", "default", "via", &stack.host_ip()])?;
    // Other stacks stay apart even where the host forwards.
    ip(&["route", "add", "blackhole", &format!("{LINKS}.0.0/16")])?;
    // A connection of a dead pod must not keep the link alive after the end.
    fs::write("/proc/sys/net/ipv4/tcp_orphan_retries", "1")?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    Ok(())
}
