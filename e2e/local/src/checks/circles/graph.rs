//! Finds circles among uses: at every level of the tree a module stands for all that lies in it. Touches no network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::module::Names;
use super::resolve::Edge;
use super::source::Crate;

/// A module that stands for what lies in it, or a parent that stands for its own lines alone.
type Room = Names;
type Uses<'e> = BTreeMap<Room, BTreeMap<Room, Vec<&'e Edge>>>;

/// Rooms that use each other all around, with a line for each step.
#[derive(Debug)]
pub struct Circle {
    steps: Vec<Step>,
    /// Rooms that this circle and others tie together.
    tied: Vec<Room>,
}

#[derive(Debug)]
struct Step {
    from: Room,
    file: PathBuf,
    line: usize,
    path: String,
}

impl Circle {
    /// Its name in the first line, then one line of code for each step.
    pub fn describe(&self, crate_name: &str, tree: &Path) -> String {
        let rooms = self.steps.iter().chain(self.steps.first());
        let rooms = rooms.map(|step| word(&step.from)).collect::<Vec<_>>().join(" -> ");
        let more = if self.tied.len() > self.steps.len() {
            let tied = self.tied.iter().map(|room| word(room)).collect::<Vec<_>>().join(", ");
            format!(" (one of the circles that tie together {tied})")
        } else {
            String::new()
        };
        let lines = self.steps.iter().map(|step| {
            let file = step.file.strip_prefix(tree).unwrap_or(&step.file);
            format!("\n  {}:{} uses {}", file.display(), step.line, step.path)
        });
        format!("{crate_name}: {rooms}{more}{}", lines.collect::<String>())
    }
}

fn word(room: &[String]) -> String {
    if room.is_empty() {
        "crate".to_owned()
    } else {
        room.join("::")
    }
}

/// One circle, a shortest one, for every set of rooms that are tied together.
pub fn circles(sources: &Crate, edges: &[Edge]) -> Vec<Circle> {
    let mut levels: BTreeMap<Room, Uses<'_>> = BTreeMap::new();
    for edge in edges {
        let (level, from, to) = rooms(edge);
        let uses = levels.entry(level).or_default();
        uses.entry(from).or_default().entry(to).or_default().push(edge);
    }
    levels.values().flat_map(|uses| of_level(sources, uses)).collect()
}

/// The deepest module that holds both, and the rooms right below it, or itself.
fn rooms(edge: &Edge) -> (Room, Room, Room) {
    let common = edge
        .from
        .iter()
        .zip(&edge.to)
        .take_while(|(from, to)| from == to)
        .count();
    let room = |path: &Names| path[..path.len().min(common + 1)].to_vec();
    (edge.from[..common].to_vec(), room(&edge.from), room(&edge.to))
}

fn of_level(sources: &Crate, uses: &Uses<'_>) -> Vec<Circle> {
    let reach: BTreeMap<&Room, BTreeSet<&Room>> = uses.keys().map(|room| (room, reached(uses, room))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for room in uses.keys() {
        let tied: BTreeSet<&Room> = reach[room]
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(room)))
            .collect();
        if tied.is_empty() || !seen.insert(tied.clone()) {
            continue;
        }
        let shortest = tied.iter().filter_map(|start| around(uses, start)).min_by_key(Vec::len);
        circles.extend(shortest.map(|rooms| circle(sources, uses, &rooms, &tied)));
    }
    circles
}

fn reached<'u>(uses: &'u Uses<'_>, from: &Room) -> BTreeSet<&'u Room> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from];
    while let Some(room) = left.pop() {
        for next in uses.get(room).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                left.push(next);
            }
        }
    }
    reached
}

/// The shortest way from a room back to itself, without the room once more at its end.
fn around<'u>(uses: &'u Uses<'_>, start: &'u Room) -> Option<Vec<&'u Room>> {
    let mut came_from: BTreeMap<&Room, &Room> = BTreeMap::new();
    let mut left = VecDeque::from([start]);
    while let Some(room) = left.pop_front() {
        for next in uses.get(room)?.keys() {
            if next == start {
                let mut way = vec![room];
                while let Some(before) = came_from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if uses.contains_key(next) && !came_from.contains_key(next) {
                came_from.insert(next, room);
                left.push_back(next);
            }
        }
    }
    None
}

fn circle(sources: &Crate, uses: &Uses<'_>, rooms: &[&Room], tied: &BTreeSet<&Room>) -> Circle {
    let next = rooms.iter().cycle().skip(1);
    let steps = rooms.iter().zip(next).map(|(from, to)| {
        let edge = uses[*from][*to][0];
        Step {
            from: (*from).clone(),
            file: sources.modules[&edge.from].file.clone(),
            line: edge.line,
            path: edge.path.clone(),
        }
    });
    Circle {
        steps: steps.collect(),
        tied: tied.iter().map(|room| (*room).clone()).collect(),
    }
}
