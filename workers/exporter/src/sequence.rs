//! Sequence numbers of stream records: decimal texts of up to 40 digits, ordered as numbers. No network.

use std::cmp::Ordering;
use std::fmt;

/// A sequence number inside a shard.
#[derive(Clone, Debug)]
pub struct Sequence(String);

impl Sequence {
    /// The number as the stream writes it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The number as the stream wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sequence {}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, other) = (self.0.trim_start_matches('0'), other.0.trim_start_matches('0'));
        one.len().cmp(&other.len()).then_with(|| one.cmp(other))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_longer_than_any_integer_are_compared_as_numbers() {
        let ascending = [
            "1",
            "000000000000000000002",
            "9",
            "10",
            "49640370000000000000000000000000000000009",
            "49640370000000000000000000000000000000010",
        ];
        for pair in ascending.windows(2) {
            assert!(Sequence::new(pair[0]) < Sequence::new(pair[1]), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(one: u64, two: u64, zeros in 0_usize..5) {
            let written = format!("{}{one}", "0".repeat(zeros));
            prop_assert_eq!(Sequence::new(written).cmp(&Sequence::new(two.to_string())), one.cmp(&two));
        }
    }
}
