//! How much the bench measures: figures to keep, or whether the goals are kept. Touches no network.

/// Everything that is measured.
pub const PARTS: [&str; 6] = ["passage", "gateway", "functions", "workers", "idle", "change"];

pub struct Sizes {
    /// What is measured where nothing is named.
    pub parts: &'static [&'static str],
    /// Events for the gateway in batches.
    pub batched: usize,
    /// Events for the gateway one by one.
    pub single: usize,
}

pub const FULL: Sizes = Sizes {
    parts: &PARTS,
    batched: 60_000,
    single: 12_000,
};

/// Parts that have a goal and are through within minutes.
pub const SHORT: Sizes = Sizes {
    parts: &["passage", "gateway", "idle"],
    batched: 20_000,
    single: 4_000,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_sizes_measure_less_of_the_same() {
        assert!(SHORT.parts.iter().all(|part| PARTS.contains(part)));
        let events = |sizes: &Sizes| [sizes.batched, sizes.single];
        let fewer = events(&SHORT).into_iter().zip(events(&FULL));
        assert!(fewer.into_iter().all(|(short, full)| short < full));
    }
}
