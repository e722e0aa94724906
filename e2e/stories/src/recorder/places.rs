//! What of a bucket's name and an object's key is the same in every pipeline, run and day. Touches no network.

/// A bucket of a layer by the layer's place; another by its ARN.
pub fn bucket(name: &str) -> String {
    match layer(name) {
        Some((_, layer)) => format!("{{{layer}}}"),
        None => format!("arn:aws:s3:::{name}"),
    }
}

/// The stories call buckets by pipeline and layer.
fn layer(bucket: &str) -> Option<(&str, &str)> {
    let (pipeline, layer) = bucket.rsplit_once('-')?;
    matches!(layer, "bronze" | "silver" | "gold").then_some((pipeline, layer))
}

/// A key, or what keys begin with, in a bucket.
pub fn key(bucket: &str, key: &str) -> String {
    let (first, rest) = match key.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let table = match layer(bucket) {
        _ if first.is_empty() => "",
        _ if first == "_runs" => return format!("{first}{}", rest.map_or("", |_| "/{any}")),
        // The table of Bronze is called as the one in DynamoDB, and that as the pipeline.
        Some((pipeline, "bronze")) if first == pipeline.replace('-', "_") => "{table-name}",
        Some((_, "bronze")) | None => first,
        Some(_) => "{any}",
    };
    match rest {
        None => table.to_owned(),
        Some(rest) => format!("{table}/{}", in_table(rest)),
    }
}

fn in_table(rest: &str) -> String {
    let Some((_, entry)) = rest.split_once("_delta_log").filter(|(before, _)| before.is_empty()) else {
        return ending(rest).map_or_else(|| place(rest, "{any}"), |ending| format!("{{any}}.{ending}"));
    };
    let name = entry.trim_start_matches('/');
    let parts = name.split('.').map(|part| match part {
        part if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) => "{number}",
        part if part.len() == 36 && part.split('-').count() == 5 => "{uuid}",
        part => part,
    });
    let slash = if entry.starts_with('/') { "/" } else { "" };
    format!("_delta_log{slash}{}", parts.collect::<Vec<_>>().join("."))
}

/// How a file's name ends.
fn ending(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// Nothing stays nothing.
fn place(text: &str, place: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        place.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_layers_are_places() {
        assert_eq!(bucket("story-late-gold"), "{gold}");
        assert_eq!(bucket("elsewhere"), "arn:aws:s3:::elsewhere");
    }

    #[test]
    fn keys_keep_what_is_the_same_everywhere() {
        for (bucket, asked, expected) in [
            ("story-late-bronze", "", ""),
            (
                "story-late-bronze",
                "story_late/_delta_log/",
                "{table-name}/_delta_log/",
            ),
            (
                "story-late-bronze",
                "story_late/_delta_log/00000000000000000012.json",
                "{table-name}/_delta_log/{number}.json",
            ),
            (
                "story-late-bronze",
                "story_other/_delta_log/_last_checkpoint",
                "story_other/_delta_log/_last_checkpoint",
            ),
            (
                "story-late-bronze",
                "story_late/part_day=2026-01-01/a-0-1.parquet",
                "{table-name}/{any}.parquet",
            ),
            (
                "story-late-gold",
                "orders/_delta_log/00000000000000000010.checkpoint.parquet",
                "{any}/_delta_log/{number}.checkpoint.parquet",
            ),
            (
                "story-late-gold",
                "orders/_delta_log/00000000000000000010.checkpoint.0b7c6f1e-0000-4000-8000-000000000000.parquet",
                "{any}/_delta_log/{number}.checkpoint.{uuid}.parquet",
            ),
            ("story-late-silver", "_runs/0b7c/1/report.json", "_runs/{any}"),
            ("elsewhere", "orders/x.csv", "orders/{any}.csv"),
        ] {
            assert_eq!(key(bucket, asked), expected, "{bucket} {asked}");
        }
    }
}
