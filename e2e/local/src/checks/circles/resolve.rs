//! Finds out which module each import and each path in code means. Touches no network.

use super::module::{Module, Names};
use super::source::Crate;

/// How far re-exports are followed: a circle of globs would have no end.
const DEEPEST: usize = 16;

/// One use of another module's.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Edge {
    pub from: Names,
    pub to: Names,
    pub line: usize,
    /// As it stands in the code.
    pub path: String,
}

/// What a path means.
#[derive(Debug)]
enum Meaning<'c> {
    /// A module itself: a name for what follows, and no use yet.
    Module(&'c Module),
    /// Something that stands in this module.
    Item(&'c Module),
}

/// All uses between different modules of a crate.
pub fn edges(sources: &Crate) -> Vec<Edge> {
    let mut edges = sources
        .modules
        .values()
        .flat_map(|module| of(sources, module))
        .collect::<Vec<_>>();
    edges.sort();
    edges.dedup();
    edges
}

fn of<'c>(sources: &'c Crate, module: &'c Module) -> impl Iterator<Item = Edge> + 'c {
    let imports = module.imports.iter().filter_map(|import| {
        let used = match (meaning(sources, module, &import.path, 0)?, &import.name) {
            (Meaning::Item(used), _) | (Meaning::Module(used), None) => used,
            (Meaning::Module(_), Some(_)) => return None,
        };
        let shown = import.re_exports && used.path.starts_with(&module.path);
        (!shown).then(|| edge(module, used, &import.path, import.line))
    });
    let mentions = module.mentions.iter().filter_map(|mention| {
        let Meaning::Item(used) = meaning(sources, module, &mention.path, 0)? else {
            return None;
        };
        Some(edge(module, used, &mention.path, mention.line))
    });
    imports.chain(mentions).filter(|edge| edge.from != edge.to)
}

fn edge(from: &Module, to: &Module, path: &[String], line: usize) -> Edge {
    Edge {
        from: from.path.clone(),
        to: to.path.clone(),
        line,
        path: path.join("::"),
    }
}

/// None: another crate's, or nothing that has a path.
fn meaning<'c>(sources: &'c Crate, within: &'c Module, path: &[String], depth: usize) -> Option<Meaning<'c>> {
    let (first, rest) = path.split_first()?;
    let start = match first.as_str() {
        "crate" => Meaning::Module(sources.modules.get(&Names::new())?),
        "self" => Meaning::Module(within),
        "super" => Meaning::Module(parent(sources, within)?),
        name => named(sources, within, name, rest.is_empty(), depth)?,
    };
    let mut at = start;
    for (index, name) in rest.iter().enumerate() {
        let Meaning::Module(module) = at else {
            // A variant, an associated function: it stands where its type does.
            return Some(at);
        };
        at = if name == "super" {
            Meaning::Module(parent(sources, module)?)
        } else {
            let last = index + 1 == rest.len();
            match named(sources, module, name, last, depth) {
                Some(meaning) => meaning,
                // The name of another crate that is re-exported.
                None if module.imports.iter().any(|import| import.name.as_ref() == Some(name)) => return None,
                // A macro may have made it.
                None => Meaning::Item(module),
            }
        };
    }
    Some(at)
}

/// What a name means in a module.
fn named<'c>(sources: &'c Crate, module: &'c Module, name: &str, last: bool, depth: usize) -> Option<Meaning<'c>> {
    if depth > DEEPEST {
        return None;
    }
    let imported = || {
        let import = module
            .imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name))?;
        // `use x::x` within `x`'s parent does not mean itself.
        meaning(sources, module, &import.path, depth + 1)
    };
    let child = || {
        let mut path = module.path.clone();
        path.push(name.to_owned());
        sources.modules.get(&path).map(Meaning::Module)
    };
    if module.declares.contains(name) && (last || !module.children.contains(name)) {
        return Some(Meaning::Item(module));
    }
    if module.children.contains(name) {
        // A function may be called like its module; at a path's end it is the function that is meant.
        let item = last
            .then(imported)
            .flatten()
            .filter(|meaning| matches!(meaning, Meaning::Item(_)));
        return item.or_else(child);
    }
    imported().or_else(|| {
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        globs
            .filter_map(|glob| meaning(sources, module, &glob.path, depth + 1))
            .find_map(|meaning| match meaning {
                Meaning::Module(from) if from.path != module.path => named(sources, from, name, last, depth + 1),
                _ => None,
            })
    })
}

fn parent<'c>(sources: &'c Crate, module: &Module) -> Option<&'c Module> {
    let (_, path) = module.path.split_last()?;
    sources.modules.get(path)
}
