//! By what operator and workers know that they speak of the same text of a contract. No network.

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Hex SHA-256 of a schema's text as its `ConfigMap` has it and as it is mounted.
pub fn schema_digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sha_256_of_the_very_bytes() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(schema_digest(""), of_nothing);
        assert_ne!(
            schema_digest("{}"),
            schema_digest("{}\n"),
            "a space more is another text"
        );
    }
}
