//! Reads what the registry writes, the OpenMetrics text of one program, line by line. No network.

use std::collections::BTreeMap;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// What kind of figures a family has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A line with a figure.
#[derive(Debug, PartialEq)]
pub(crate) struct Sample<'t> {
    pub kind: Kind,
    /// Name of the family.
    pub family: &'t str,
    /// The family's with its ending: what a query asks for.
    pub name: &'t str,
    pub labels: Labels,
    pub value: f64,
}

/// All figures of a text. What is of no known kind is passed over.
pub(crate) fn samples(text: &str) -> Vec<Sample<'_>> {
    let mut of_family = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            of_family = typed
                .split_once(' ')
                .and_then(|(name, kind)| Some((name, known(kind)?)));
        } else if let Some((family, kind)) = of_family
            && !line.starts_with('#')
        {
            found.extend(sample(line, family, kind));
        }
    }
    found
}

fn known(kind: &str) -> Option<Kind> {
    match kind {
        "counter" => Some(Kind::Counter),
        "gauge" => Some(Kind::Gauge),
        "histogram" => Some(Kind::Histogram),
        _ => None,
    }
}

fn sample<'t>(line: &'t str, family: &'t str, kind: Kind) -> Option<Sample<'t>> {
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels_of(rest)?,
        None => (Labels::new(), rest),
    };
    Some(Sample {
        kind,
        family,
        name,
        labels,
        value: rest.split_whitespace().next()?.parse().ok()?,
    })
}

/// The labels behind an opening brace, and what stands behind the closing one.
fn labels_of(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, behind) = unquoted(quoted)?;
        labels.insert(name.to_owned(), value);
        rest = behind;
    }
}

/// The text up to the closing quote, without its escapes, and what stands behind.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[place + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn what_the_registry_writes_is_read_again() {
        let mut registry = Registry::with_prefix("medallion");
        let events = Family::<Vec<(String, String)>, Counter>::default();
        let said = "a \"word\", a \\ and\na line } of it";
        let labels = vec![
            ("reason".to_owned(), said.to_owned()),
            ("outcome".to_owned(), String::new()),
        ];
        events.get_or_create(&labels).inc_by(3);
        registry.register("events", "Events", events);
        let lag: Gauge = Gauge::default();
        lag.set(-7);
        registry.register("lag", "Lag", lag);
        let seconds = Histogram::new([0.5, 2.0]);
        seconds.observe(1.5);
        registry.register("put_seconds", "Seconds", seconds);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();

        let found = samples(&text);
        let of = |name: &str| found.iter().filter(|sample| sample.name == name).collect::<Vec<_>>();
        let [counted] = of("medallion_events_total")[..] else {
            panic!("{text}")
        };
        assert_eq!(
            (counted.kind, counted.family, counted.value),
            (Kind::Counter, "medallion_events", 3.0)
        );
        assert_eq!(
            (counted.labels["reason"].as_str(), counted.labels["outcome"].as_str()),
            (said, "")
        );
        let [gauge] = of("medallion_lag")[..] else {
            panic!("{text}")
        };
        assert_eq!((gauge.kind, gauge.value, gauge.labels.len()), (Kind::Gauge, -7.0, 0));
        let buckets: Vec<_> = of("medallion_put_seconds_bucket")
            .iter()
            .map(|bucket| (bucket.labels["le"].clone(), bucket.value))
            .collect();
        let bucket = |bound: &str, value| (bound.to_owned(), value);
        assert_eq!(buckets, [bucket("0.5", 0.0), bucket("2.0", 1.0), bucket("+Inf", 1.0)]);
        let [sum] = of("medallion_put_seconds_sum")[..] else {
            panic!("{text}")
        };
        assert_eq!((sum.kind, sum.value), (Kind::Histogram, 1.5));
    }

    #[test]
    fn what_is_no_figure_is_passed_over() {
        for text in [
            "# EOF\n",
            "a 1\n# TYPE b info\nb_info{c=\"d\"} 1\n",
            "# TYPE a gauge\na{b=\"c 1\na one\na\n\n",
        ] {
            assert!(samples(text).is_empty(), "{text}");
        }
    }
}
