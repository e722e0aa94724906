//! What the supervisor inside reports to the launcher outside, in one small file. Touches no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::run;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its program is not there (yet); the stack does without.
    Absent,
    /// Others have to be ready first.
    Waiting,
    Starting,
    Ready,
    /// It died and is being started again.
    Restarting,
    /// It is not ready after the time it normally takes; still being tried.
    Failing,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartStatus {
    pub name: String,
    pub state: State,
    /// The process id inside.
    pub pid: Option<i32>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Since the stack began.
    pub restarts: u32,
    /// Since it was last ready; a stack of an earlier build does not count them.
    #[serde(default)]
    pub deaths: u32,
    pub message: String,
    pub endpoint: Option<String>,
    pub log: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub started: Timestamp,
    pub parts: Vec<PartStatus>,
}

impl Status {
    pub fn read(home: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(home.join("status.json")).ok()?).ok()
    }

    pub fn part(&self, name: &str) -> Option<&PartStatus> {
        self.parts.iter().find(|part| part.name == name)
    }

    pub fn ready(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part.state, State::Ready | State::Absent))
    }
}

/// The supervisor's side: every change goes to the file at once.
pub struct Board {
    path: PathBuf,
    status: Mutex<Status>,
}

impl Board {
    pub fn new(home: &Path, parts: Vec<PartStatus>) -> Self {
        let board = Self {
            path: home.join("status.json"),
            status: Mutex::new(Status {
                started: Timestamp::now(),
                parts,
            }),
        };
        board.change(|_| {});
        board
    }

    pub fn set(&self, part: &str, state: State, message: impl Into<String>) {
        self.update(part, |one| {
            if one.state != state {
                one.since = Timestamp::now();
            }
            one.state = state;
            one.message = message.into();
        });
    }

    pub fn update(&self, part: &str, change: impl FnOnce(&mut PartStatus)) {
        self.change(|status| {
            if let Some(one) = status.parts.iter_mut().find(|one| one.name == part) {
                change(one);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        let written = serde_json::to_vec_pretty(&*status).map_err(anyhow::Error::from);
        if let Err(error) = written.and_then(|bytes| run::write_if_changed(&self.path, bytes)) {
            eprintln!("cannot write the status: {error:#}");
        }
    }
}
