//! What a person types, one command per file. Touches the network only through what each command says.

pub mod down;
pub mod kill;
pub mod look;
pub mod ready;
pub mod status;
pub mod stories;
pub mod up;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::layout::Layout;
use crate::pins::Pins;
use crate::progress::Progress;
use crate::stack::{self, Stack, namespaces};

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
