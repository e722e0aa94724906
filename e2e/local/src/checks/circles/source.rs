//! Reads a crate's files into modules, as the compiler finds them. Touches no network.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::{Attribute, Expr, Item, ItemMod, Lit, Meta};

use super::module::{Module, Names};
use super::reader::Reader;

/// All modules of a crate by their paths.
#[derive(Debug, Default)]
pub struct Crate {
    pub modules: BTreeMap<Names, Module>,
}

/// Where a module's children are looked for.
struct Place {
    file: PathBuf,
    folder: PathBuf,
}

impl Crate {
    /// The crate whose first file this is.
    pub fn read(root: &Path) -> Result<Self> {
        let mut sources = Self::default();
        let place = Place {
            file: root.to_path_buf(),
            folder: root.parent().context("a file lies in a folder")?.to_path_buf(),
        };
        sources.file(&[], &place)?;
        Ok(sources)
    }

    fn file(&mut self, path: &[String], place: &Place) -> Result<()> {
        let text = fs::read_to_string(&place.file).with_context(|| format!("cannot read {}", place.file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} is no Rust", place.file.display()))?;
        self.module(path, place, &parsed.items)
    }

    fn module(&mut self, path: &[String], place: &Place, items: &[Item]) -> Result<()> {
        let mut module = Module {
            path: path.to_vec(),
            file: place.file.clone(),
            ..Module::default()
        };
        let inner = Reader::read(&mut module, items);
        self.modules.insert(path.to_vec(), module);
        for child in inner {
            let name = child.ident.to_string();
            let mut below = path.to_vec();
            below.push(name.clone());
            match &child.content {
                Some((_, items)) => {
                    let folder = place.folder.join(&name);
                    let file = place.file.clone();
                    self.module(&below, &Place { file, folder }, items)?;
                }
                None => self.file(&below, &find(place, child)?)?,
            }
        }
        Ok(())
    }
}

/// The file of a module that has no body.
fn find(parent: &Place, module: &ItemMod) -> Result<Place> {
    let name = module.ident.to_string();
    let (flat, folder) = (parent.folder.join(format!("{name}.rs")), parent.folder.join(&name));
    if let Some(named) = module.attrs.iter().find_map(named_path) {
        let file = parent.file.with_file_name(named);
        let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
        return Ok(Place { file, folder });
    }
    for file in [flat, folder.join("mod.rs")] {
        if file.exists() {
            return Ok(Place { file, folder });
        }
    }
    bail!("{} has no file for its module {name}", parent.file.display())
}

/// `#[path = "..."]`.
fn named_path(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(literal) if pair.path.is_ident("path") => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
