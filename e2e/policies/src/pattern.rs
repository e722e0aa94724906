//! Patterns as policies have them: `*` and `?` in texts, and ARNs part by part. Touches no network.

/// Whether a text is as a pattern says: `*` is any text, `?` any one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut seen) = (0, 0);
    // Where to go on behind the newest star when what follows it does not fit: it takes one character more.
    let mut again = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                again = Some((at, seen));
            }
            Some(one) if *one == '?' || *one == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((behind, from)) = again else {
                    return false;
                };
                again = Some((behind, from + 1));
                (at, seen) = (behind, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

/// Whether an ARN is as a pattern says. A star ends where its part does, but in the last part, which is the resource.
pub fn matches_arn(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let patterns: Vec<_> = pattern.splitn(PARTS, ':').collect();
    let parts: Vec<_> = arn.splitn(PARTS, ':').collect();
    patterns.len() == parts.len()
        && patterns
            .iter()
            .zip(&parts)
            .all(|(pattern, part)| matches(pattern, part))
}

/// arn, partition, service, region, account, resource.
const PARTS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a*", "a"),
            ("a*c", "abbc"),
            ("*_delta_log/*.json", "t/_delta_log/_delta_log/7.json"),
            ("a?c", "abc"),
            ("**b", "ab"),
            ("*", "*"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("a*c", "abcd"),
            ("a?c", "ac"),
            ("A", "a"),
            ("*.json", "x.jsonl"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_star_in_one_part_of_an_arn_does_not_reach_into_the_next() {
        assert!(matches_arn("arn:aws:s3:::shop/*", "arn:aws:s3:::shop/a/b:c"));
        assert!(matches_arn(
            "arn:aws:dynamodb:*:1:table/t",
            "arn:aws:dynamodb:eu-west-1:1:table/t"
        ));
        assert!(!matches_arn(
            "arn:aws:dynamodb:*:table/t",
            "arn:aws:dynamodb:eu-west-1:1:table/t"
        ));
        assert!(!matches_arn("arn:aws:s3:::shop/*", "arn:aws:s3:::shop"));
        assert!(matches_arn("*", "*"));
        assert!(!matches_arn("arn:aws:s3:::shop", "*"));
    }
}
