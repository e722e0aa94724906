//! Circles of imports between the modules of a crate: none may stand, because the rooms of a circle can only be understood, tested and changed all at once. Touches no network.
//!
//! A parent may re-export what its children hold; whoever uses that uses the child. Anything else that a parent takes from
//! a child, or a child from its parent, is a use like any other. Tests are left out.

mod graph;
mod module;
mod reader;
mod resolve;
mod source;

use std::path::Path;

use anyhow::{Result, bail};

use crate::cargo::{Metadata, Target};
use crate::context::Context;
use graph::Circle;
use source::Crate;

/// Targets whose files are the product's, not its tests'.
const KINDS: [&str; 3] = ["lib", "bin", "proc-macro"];

pub async fn check(context: &Context) -> Result<()> {
    let metadata = Metadata::read(context).await?;
    let (mut found, mut crates) = (Vec::new(), 0);
    for package in metadata.members() {
        for target in package.targets.iter().filter(|target| is_product(target)) {
            crates += 1;
            let circles = circles_of(&target.src_path)?;
            found.extend(
                circles
                    .iter()
                    .map(|circle| circle.describe(&target.name, &context.layout.root)),
            );
        }
    }
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    println!("{crates} crates are free of circles");
    Ok(())
}

fn is_product(target: &Target) -> bool {
    target.kind.iter().any(|kind| KINDS.contains(&kind.as_str()))
}

/// The circles of the crate whose first file this is.
fn circles_of(root: &Path) -> Result<Vec<Circle>> {
    let sources = Crate::read(root)?;
    Ok(graph::circles(&sources, &resolve::edges(&sources)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The circles of a crate made of these files, in words.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let circles = circles_of(&folder.path().join("lib.rs")).unwrap();
        circles
            .iter()
            .map(|circle| circle.describe("example", folder.path()))
            .collect()
    }

    #[test]
    fn a_circle_is_named_with_its_lines() {
        let found = found(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "pub struct B;\nfn f() {\n    super::c::g();\n}\n"),
            ("c.rs", "pub fn g() -> Option<crate::a::A> { None }\n"),
        ]);
        assert_eq!(
            found,
            [
                "example: a -> b -> c -> a\n  a.rs:1 uses crate::b::B\n  b.rs:3 uses super::c::g\n  c.rs:1 uses crate::a::A"
            ]
        );
    }

    #[test]
    fn without_a_circle_nothing_is_found() {
        let found = found(&[
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\n"),
            ("a.rs", "pub struct A;\n"),
            (
                "b.rs",
                "use crate::A;\nuse std::fmt;\nfn f(_: A) -> fmt::Result { Ok(()) }\n",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_child_may_not_use_a_parent_that_uses_it() {
        let parent = "mod child;\npub struct Shared;\npub fn all() { child::one(Shared) }\n";
        let child = "use super::Shared;\npub fn one(_: Shared) {}\n";
        let found = found(&[("lib.rs", "mod p;\n"), ("p/mod.rs", parent), ("p/child.rs", child)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("example: p -> p::child -> p\n"), "{}", found[0]);
    }

    #[test]
    fn what_a_parent_re_exports_is_the_childs() {
        // `one` uses `two` through their parent, which uses neither.
        let harmless = [
            ("lib.rs", "mod p;\n"),
            ("p/mod.rs", "mod one;\nmod two;\npub use one::One;\npub use two::Two;\n"),
            ("p/one.rs", "use super::Two;\npub struct One(Two);\n"),
        ];
        let two = ("p/two.rs", "pub struct Two;\n");
        assert!(found(&[&harmless[..], &[two]].concat()).is_empty());
        let two = ("p/two.rs", "pub struct Two(Option<Box<super::One>>);\n");
        let found = found(&[&harmless[..], &[two]].concat());
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("example: p::one -> p::two -> p::one\n"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn rooms_are_looked_at_whole() {
        // No file is in a circle, but neither room can do without the other.
        let found = found(&[
            ("lib.rs", "mod left;\nmod right;\n"),
            ("left/mod.rs", "pub mod a;\npub mod b;\n"),
            ("left/a.rs", "use crate::right::c;\npub fn f() { c::f() }\n"),
            ("left/b.rs", "pub fn f() {}\n"),
            ("right/mod.rs", "pub mod c;\npub mod d;\n"),
            ("right/c.rs", "pub fn f() {}\n"),
            ("right/d.rs", "pub fn f() { crate::left::b::f() }\n"),
        ]);
        assert_eq!(
            found,
            ["example: left -> right -> left\n  left/a.rs:2 uses c::f\n  right/d.rs:1 uses crate::left::b::f"]
        );
    }

    #[test]
    fn inline_modules_macros_and_attributes_count_and_tests_do_not() {
        let body = "mod inner { pub fn f() { println!(\"{}\", crate::b::X) } }\n\
                    #[serde(default = \"crate::b::f\")] struct S;\n\
                    #[cfg(test)] mod tests { use crate::c::C; }\n\
                    pub const Y: u8 = 0;\n";
        let back = "pub const X: u8 = crate::a::Y;\n";
        let c = "use crate::a::Y;\npub struct C;\n";
        let found = found(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("a.rs", body),
            ("b.rs", back),
            ("c.rs", c),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("example: a -> b -> a\n"), "{}", found[0]);
    }

    #[test]
    fn visibility_is_no_use() {
        let found = found(&[
            ("lib.rs", "mod p;\n"),
            ("p/mod.rs", "mod child;\npub struct S;\nfn f() { child::g() }\n"),
            ("p/child.rs", "pub(super) fn g() {}\npub(in crate::p) fn h() {}\n"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
