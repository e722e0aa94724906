//! Cutting text to a length without breaking a character. No network.

/// At most `limit` bytes of `text`; what was cut is shown by an ellipsis.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
