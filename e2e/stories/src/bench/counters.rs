//! Counters of the API server and of the operator, out of their metrics. Touches no network.

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
}
