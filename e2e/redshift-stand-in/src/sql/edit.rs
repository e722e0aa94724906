//! Replaces parts of a text by their positions, so that everything else stays as it was written; touches no network.

use std::ops::Range;

#[derive(Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Edits must come in the order of their positions.
    pub fn replace(&mut self, range: Range<usize>, text: &str) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| last.end <= range.start));
        self.0.push((range, text.to_owned()));
    }

    pub fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    pub fn apply(self, text: &str) -> String {
        let mut edited = String::with_capacity(text.len());
        let mut position = 0;
        for (range, replacement) in self.0 {
            edited.push_str(&text[position..range.start]);
            edited.push_str(&replacement);
            position = range.end;
        }
        edited.push_str(&text[position..]);
        edited
    }
}
