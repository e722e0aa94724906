//! What every command and every phase knows: where things lie, what is pinned, which stack is meant. Touches no network.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;
use crate::stack::{self, Extent, Stack, namespaces};

/// What every command knows.
pub struct Context {
    pub layout: Layout,
    pub pins: Pins,
    pub progress: Progress,
    pub name: String,
    /// Whether `up` compiles the workspace first, or takes the binaries that are there.
    pub compile: bool,
    /// Whether `up` compiles the tests along.
    pub with_tests: bool,
    /// Whether it also compiles the tests that need the stack, while that starts.
    pub with_stack_tests: bool,
    /// What `up` starts.
    pub extent: Extent,
}

impl Context {
    pub fn new(name: &str) -> Result<Self> {
        stack::check_name(name)?;
        let layout = Layout::find()?;
        let pins = Pins::read(&layout)?;
        Ok(Self {
            layout,
            pins,
            progress: Progress::new(),
            name: name.to_owned(),
            compile: true,
            with_tests: false,
            with_stack_tests: false,
            extent: Extent::Whole,
        })
    }

    pub fn home(&self) -> PathBuf {
        self.layout.stack_home(&self.name)
    }

    /// The stack, if it runs.
    pub fn running(&self) -> Result<Stack> {
        if namespaces::running(&self.home()).is_none() {
            bail!("stack `{}` does not run; `cargo local up` starts it", self.name);
        }
        Stack::read(&self.home())
    }
}
