//! Counters of the API server and of the operator, out of their metrics. Touches no network.

use std::collections::BTreeMap;

/// Metrics as they were at one moment.
pub struct Counters(String);

impl Counters {
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Sum over the series of a name that carry all of these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = match series.strip_prefix(name)? {
                "" => "",
                rest => rest.strip_prefix('{')?,
            };
            wanted
                .iter()
                .all(|label| labels.contains(label))
                .then(|| value.parse::<f64>().ok())?
        });
        series.sum()
    }

    /// Sums over the series of a name, by the values that they give to these labels; one without a label has none there.
    pub fn sums_by<const N: usize>(&self, name: &str, labels: [&str; N]) -> BTreeMap<[String; N], f64> {
        let mut sums = BTreeMap::new();
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let given = series.strip_prefix(name)?.strip_prefix('{')?;
            Some((labels.map(|label| value_of(given, label)), value.parse::<f64>().ok()?))
        });
        for (key, value) in series {
            *sums.entry(key).or_default() += value;
        }
        sums
    }

    /// Writes of one resource, or of its status, that were not only tried.
    pub fn writes(&self, resource: &str, subresource: &str) -> f64 {
        let of = |verb| {
            let labels = [
                ("dry_run", ""),
                ("resource", resource),
                ("subresource", subresource),
                ("verb", verb),
            ];
            self.sum("apiserver_request_total", &labels)
        };
        ["POST", "PUT", "PATCH", "DELETE", "APPLY"].into_iter().map(of).sum()
    }
}

/// The value of a label among those of a series, none of whose values hold quotes.
fn value_of(given: &str, label: &str) -> String {
    let pairs = given.split("\",");
    let found = pairs
        .filter_map(|pair| pair.split_once("=\""))
        .find(|(name, _)| *name == label);
    found.map_or_else(String::new, |(_, value)| value.trim_end_matches(['}', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_told_apart_by_name_and_labels() {
        let counters = Counters::new(
            "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na_total{x=\"1\"} 100\nb 5\n".to_owned(),
        );
        assert!((counters.sum("a", &[("x", "1")]) - 7.0).abs() < 0.1);
        assert!((counters.sum("a", &[("y", "3"), ("x", "1")]) - 4.0).abs() < 0.1);
        assert!((counters.sum("b", &[]) - 5.0).abs() < 0.1);
    }

    #[test]
    fn series_are_summed_by_the_values_of_labels() {
        let counters = Counters::new(
            "requests{code=\"200\",resource=\"pods\",verb=\"GET\"} 3\nrequests{code=\"404\",resource=\"pods\",verb=\"GET\"} 1\n\
             requests{resource=\"jobs\",verb=\"POST\"} 2\nrequests_total 9\n"
                .to_owned(),
        );
        let sums = counters.sums_by("requests", ["verb", "resource"]);
        let sums: Vec<_> = sums
            .iter()
            .map(|([verb, resource], count)| format!("{verb} {resource} {count}"))
            .collect();
        assert_eq!(sums, ["GET pods 4", "POST jobs 2"]);
    }
}
