//! The README of each module: its purpose by hand, its variables and outputs from what OpenTofu reads of it. Touches no network but for missing
//! parts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Map, Value};

use super::workspace::{TREE, Workspace, folders, name};
use crate::cache;
use crate::context::Context;
use crate::fetch::terraform;

const README: &str = "README.md";
/// What stands above it is written by hand.
const MARK: &str = "<!-- From here on made by `cargo local terraform docs`. -->";
/// Defaults longer than this are left to the file.
const LONGEST: usize = 60;

/// Writes the README of every module anew, but for what a person wrote.
pub async fn write(context: &Context) -> Result<()> {
    let tools = terraform::tools(&context.layout, &context.pins, &context.progress).await?;
    let workspace = Workspace::make(&context.layout, tools).await?;
    for module in folders(&workspace.files.join("modules"))? {
        let place = context.layout.root.join(TREE).join("modules").join(name(&module));
        fs::write(place.join(README), readme(&workspace, &module).await?)?;
    }
    cache::clear(&workspace.folder)
}

/// The README says what the module has now.
pub async fn check(workspace: &Workspace, module: &Path) -> Result<()> {
    let written = fs::read_to_string(module.join(README)).unwrap_or_default();
    ensure!(
        written == readme(workspace, module).await?,
        "{README} of {} is not what its files say; `cargo local terraform docs` writes it",
        name(module)
    );
    Ok(())
}

async fn readme(workspace: &Workspace, module: &Path) -> Result<String> {
    let about = workspace.json(module, &["show", "-json", "-module=."]).await?;
    let by_hand = match fs::read_to_string(module.join(README)) {
        Ok(text) => text.split(MARK).next().unwrap_or_default().trim_end().to_owned(),
        Err(_) => format!("# {}\n\n{}", name(module), purpose(module)?),
    };
    let root = &about["root_module"];
    let (variables, outputs) = (variables(&root["variables"])?, outputs(&root["outputs"])?);
    Ok(format!("{by_hand}\n\n{MARK}\n{variables}{outputs}"))
}

/// The comment with which `main.tf` begins.
fn purpose(module: &Path) -> Result<String> {
    let main = fs::read_to_string(module.join("main.tf"))?;
    let lines = main.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    let purpose = lines.collect::<Vec<_>>().join("\n");
    ensure!(
        !purpose.is_empty(),
        "main.tf of {} does not begin with what it is for",
        name(module)
    );
    Ok(purpose)
}

fn variables(all: &Value) -> Result<String> {
    let Some(all) = all.as_object().filter(|all| !all.is_empty()) else {
        return Ok(String::new());
    };
    let mut text = "\n## Variables\n\n| name | type | default | what |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, about) in all {
        let default = match (&about["required"], about.get("default")) {
            (Value::Bool(true), _) => "required".to_owned(),
            (_, None) => "`null`".to_owned(),
            (_, Some(default)) => default_text(default),
        };
        let (kind, what) = (type_text(&about["type"]), description(name, about)?);
        let _ = writeln!(text, "| `{name}` | `{kind}` | {default} | {what} |");
    }
    Ok(text)
}

fn outputs(all: &Value) -> Result<String> {
    let Some(all) = all.as_object().filter(|all| !all.is_empty()) else {
        return Ok(String::new());
    };
    let mut text = "\n## Outputs\n\n| name | what |\n| --- | --- |\n".to_owned();
    for (name, about) in all {
        let _ = writeln!(text, "| `{name}` | {} |", description(name, about)?);
    }
    Ok(text)
}

fn description(name: &str, about: &Value) -> Result<String> {
    let text = about["description"].as_str().unwrap_or_default().trim();
    ensure!(!text.is_empty(), "{name} has no description");
    Ok(text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|"))
}

fn default_text(default: &Value) -> String {
    let text = default.to_string().replace('|', "\\|");
    if text.len() > LONGEST {
        "in `variables.tf`".to_owned()
    } else {
        format!("`{text}`")
    }
}

/// A type as it is written in a configuration: `["list", "string"]` is `list(string)`.
fn type_text(kind: &Value) -> String {
    match kind {
        Value::String(primitive) if primitive == "dynamic" => "any".to_owned(),
        Value::String(primitive) => primitive.clone(),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(word), Value::Object(fields), rest @ ..] if word == "object" => {
                object_text(fields, rest.first())
            }
            [Value::String(word), Value::Array(elements)] if word == "tuple" => {
                let elements = elements.iter().map(type_text).collect::<Vec<_>>();
                format!("tuple([{}])", elements.join(", "))
            }
            [Value::String(word), inner] => format!("{word}({})", type_text(inner)),
            _ => "any".to_owned(),
        },
        _ => "any".to_owned(),
    }
}

fn object_text(fields: &Map<String, Value>, optional: Option<&Value>) -> String {
    let optional = optional.and_then(Value::as_array);
    let is_optional = |name: &String| optional.is_some_and(|names| names.iter().any(|one| one == name));
    let fields = fields.iter().map(|(name, kind)| {
        let kind = type_text(kind);
        if is_optional(name) {
            format!("{name} = optional({kind})")
        } else {
            format!("{name} = {kind}")
        }
    });
    format!("object({{ {} }})", fields.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_written_as_in_a_configuration() {
        for (kind, text) in [
            (json!("string"), "string"),
            (json!("dynamic"), "any"),
            (json!(null), "any"),
            (json!(["map", ["list", "number"]]), "map(list(number))"),
            (json!(["object", {"a": "bool"}]), "object({ a = bool })"),
            (
                json!(["object", {"a": "bool", "b": ["set", "string"]}, ["b"]]),
                "object({ a = bool, b = optional(set(string)) })",
            ),
        ] {
            assert_eq!(type_text(&kind), text);
        }
    }

    #[test]
    fn tables_have_a_row_each_and_demand_a_description() {
        let all = json!({
            "mode": {"type": "string", "default": "a", "description": "`a`|`b`,\nas one likes."},
            "name": {"type": "string", "required": true, "description": "Name."},
            "other": {"type": "string", "description": "Other."},
        });
        let text = variables(&all).unwrap();
        let rows = "| `mode` | `string` | `\"a\"` | `a`\\|`b`, as one likes. |\n| `name` | `string` | required | Name. |\n\
                    | `other` | `string` | `null` | Other. |\n";
        assert!(text.ends_with(rows), "{text}");
        let error = outputs(&json!({"arn": {}})).unwrap_err().to_string();
        assert_eq!(error, "arn has no description");
        assert_eq!(outputs(&json!({})).unwrap(), "");
    }

    #[test]
    fn a_long_default_is_left_to_the_file() {
        assert_eq!(default_text(&json!(["a"])), "`[\"a\"]`");
        assert_eq!(default_text(&json!("x".repeat(LONGEST))), "in `variables.tf`");
    }
}
