//! Bearer tokens from a mounted Secret, re-read when it changes. No network; reads a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Shorter tokens could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Why nobody can post.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TokensError {
    #[error("cannot read the tokens at {path}: {message}; check the Secret that stages.ingest.authentication names")]
    Unreadable { path: PathBuf, message: String },
    #[error("the Secret holds no token of at least {SHORTEST_TOKEN} characters; put one on each line")]
    NoToken,
}

type TokenDigest = [u8; 32];

/// The tokens that are valid now. Without a readable token nobody is let in.
#[derive(Clone, Debug)]
pub struct Tokens {
    path: Arc<Path>,
    digests: Arc<RwLock<Vec<TokenDigest>>>,
}

impl Tokens {
    /// No tokens yet; [`Self::reload`] reads them.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
            digests: Arc::default(),
        }
    }

    /// Reads the file again. When it cannot be read the tokens that were valid stay valid: a Secret being remounted
    /// must not lock everybody out.
    pub(crate) fn reload(&self) -> Result<(), TokensError> {
        let text = std::fs::read_to_string(&self.path).map_err(|error| TokensError::Unreadable {
            path: self.path.to_path_buf(),
            message: error.to_string(),
        })?;
        let digests: Vec<TokenDigest> = text
            .lines()
            .map(str::trim)
            .filter(|token| token.len() >= SHORTEST_TOKEN)
            .map(|token| Sha256::digest(token).into())
            .collect();
        let is_empty = digests.is_empty();
        *self.digests.write().unwrap_or_else(PoisonError::into_inner) = digests;
        if is_empty { Err(TokensError::NoToken) } else { Ok(()) }
    }

    /// Whether the request carries a valid token. The time it takes says nothing about the tokens: digests are compared,
    /// all of them, to their last byte.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let mut authorizations = headers.get_all(AUTHORIZATION).iter();
        let (Some(authorization), None) = (authorizations.next(), authorizations.next()) else {
            return false;
        };
        let Some((scheme, token)) = authorization.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return false;
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return false;
        }
        let presented: TokenDigest = Sha256::digest(token.trim()).into();
        let digests = self.digests.read().unwrap_or_else(PoisonError::into_inner);
        digests
            .iter()
            .fold(false, |found, digest| found | equal(digest, &presented))
    }
}

fn equal(left: &TokenDigest, right: &TokenDigest) -> bool {
    let difference = left
        .iter()
        .zip(right)
        .fold(0, |difference, (left, right)| difference | (left ^ right));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn admitted(tokens: &Tokens, header: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(header).expect("a header"));
        tokens.admit(&headers)
    }

    #[rstest]
    #[case("Bearer first-token-0123456789", true)]
    #[case("bearer  second-token-987654321 ", true)]
    #[case("Bearer first-token-012345678", false)]
    #[case("Bearer ", false)]
    #[case("Bearer short", false)]
    #[case("Basic first-token-0123456789", false)]
    #[case("first-token-0123456789", false)]
    fn only_a_whole_token_opens(#[case] header: &str, #[case] opens: bool) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "first-token-0123456789\n\n  second-token-987654321\nshort\n").expect("written");
        let tokens = Tokens::at(file.path());
        tokens.reload().expect("tokens");
        assert_eq!(admitted(&tokens, header), opens);
        assert!(!tokens.admit(&HeaderMap::new()));
    }

    #[test]
    fn a_rotated_secret_takes_effect_and_an_unreadable_one_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        let tokens = Tokens::at(&path);
        assert!(matches!(tokens.reload(), Err(TokensError::Unreadable { .. })));
        assert!(
            !admitted(&tokens, "Bearer old-token-0123456789"),
            "nobody is let in before there are tokens"
        );

        std::fs::write(&path, "old-token-0123456789").expect("written");
        tokens.reload().expect("tokens");
        std::fs::remove_file(&path).expect("removed");
        assert!(tokens.reload().is_err());
        assert!(admitted(&tokens, "Bearer old-token-0123456789"));

        std::fs::write(&path, "new-token-0123456789").expect("written");
        tokens.reload().expect("tokens");
        assert!(!admitted(&tokens, "Bearer old-token-0123456789"));
        assert!(admitted(&tokens, "Bearer new-token-0123456789"));

        std::fs::write(&path, "short").expect("written");
        assert_eq!(tokens.reload(), Err(TokensError::NoToken));
        assert!(!admitted(&tokens, "Bearer new-token-0123456789"));
    }
}
