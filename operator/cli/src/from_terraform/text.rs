//! A document as a file's text: what it is and by which command it was made, then its YAML. No network.

use anyhow::Context as _;
use serde_json::Value;

/// A document under its comments.
pub(super) fn document(comments: &[&str], object: &Value) -> anyhow::Result<String> {
    let comments: String = comments.iter().map(|line| comment(line)).collect();
    // A long word, such as an ARN, stays on the line of its field.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(object, options).context("cannot write YAML")?;
    Ok(format!("{comments}{yaml}"))
}

/// Whatever stands in a name, a comment ends with its line.
fn comment(line: &str) -> String {
    let line = line.replace(char::is_control, " ");
    format!("# {}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gets_out_of_its_comment() {
        assert_eq!(comment("shop\nimage: evil\r\t"), "# shop image: evil\n");
    }
}
