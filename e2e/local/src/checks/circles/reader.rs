//! Collects from a parsed file what its modules declare, import and mention, tests left out. Touches no network.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

use super::module::{Import, Mention, Module, Names};

/// Reads one module; modules inside it are left to the caller.
pub struct Reader<'m, 'f> {
    module: &'m mut Module,
    /// Modules that are declared here, with a body or in a file of their own.
    pub inner: Vec<&'f ItemMod>,
}

impl<'m, 'f> Reader<'m, 'f> {
    pub fn read(module: &'m mut Module, items: &'f [Item]) -> Vec<&'f ItemMod> {
        let mut reader = Self {
            module,
            inner: Vec::new(),
        };
        for item in items {
            if let Some(name) = declared(item) {
                reader.module.declares.insert(name);
            }
            reader.visit_item(item);
        }
        reader.inner
    }

    fn mention(&mut self, path: Names, line: usize) {
        if path.len() > 1 {
            self.module.mentions.push(Mention { path, line });
        }
    }

    /// Paths among tokens that nobody has parsed: the arguments of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Names::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.mention(std::mem::take(&mut path), line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.mention(std::mem::take(&mut path), line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.mention(path, line);
    }

    /// Paths that stand in the texts of an attribute, as those of serde do.
    fn texts(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.texts(group.stream()),
                TokenTree::Literal(literal) => {
                    let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) else {
                        continue;
                    };
                    if let Ok(path) = text.parse::<syn::Path>() {
                        self.mention(names(&path), literal.span().start().line);
                    }
                }
                _ => {}
            }
        }
    }

    fn import(&mut self, tree: &UseTree, before: &[String], re_exports: bool) {
        let mut path = before.to_vec();
        let (name, span) = match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                return self.import(&step.tree, &path, re_exports);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before, re_exports);
                }
                return;
            }
            UseTree::Name(name) if name.ident == "self" => (path.last().cloned(), name.ident.span()),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                (Some(name.ident.to_string()), name.ident.span())
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                (Some(rename.rename.to_string()), rename.ident.span())
            }
            UseTree::Glob(glob) => (None, glob.star_token.spans[0]),
        };
        self.module.imports.push(Import {
            name,
            path,
            re_exports,
            line: span.start().line,
        });
    }
}

impl<'f> Visit<'f> for Reader<'_, 'f> {
    fn visit_item(&mut self, item: &'f Item) {
        if !attributes(item).iter().any(of_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'f ItemMod) {
        self.module.children.insert(module.ident.to_string());
        self.inner.push(module);
    }

    fn visit_item_use(&mut self, item: &'f ItemUse) {
        if item.leading_colon.is_none() {
            let re_exports = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, &[], re_exports);
        }
    }

    fn visit_path(&mut self, path: &'f syn::Path) {
        if path.leading_colon.is_none() {
            let line = path
                .segments
                .first()
                .map_or(0, |segment| segment.ident.span().start().line);
            self.mention(names(path), line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'f Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'f Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.texts(list.tokens.clone());
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(in path)` uses nothing.
    fn visit_visibility(&mut self, _: &'f Visibility) {}
}

fn names(path: &syn::Path) -> Names {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn declared(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, `#[cfg(all(test, ...))]` and `#[test]`.
fn of_tests(attribute: &Attribute) -> bool {
    let path = attribute.path();
    if path.is_ident("test") {
        return true;
    }
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    path.is_ident("cfg") && wants_test(list.tokens.clone())
}

fn wants_test(tokens: TokenStream) -> bool {
    let mut negated = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            negated = ident == "not" || ident == "any";
            ident == "test"
        }
        TokenTree::Group(group) => !negated && wants_test(group.stream()),
        _ => false,
    })
}
