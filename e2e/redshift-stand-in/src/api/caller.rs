//! Who calls: the identity that a request is signed for; touches no network.

use super::error::ApiError;

/// An identity by its access key. Nobody checks the signature: any key is somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub String);

impl Caller {
    /// From the `Authorization` header of an AWS signature: `AWS4-HMAC-SHA256 Credential=<access key>/<day>/..., ...`.
    pub fn of(authorization: Option<&str>) -> Result<Self, ApiError> {
        let key = authorization
            .and_then(|header| header.split_once("Credential="))
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(key, _)| key)
            .filter(|key| !key.is_empty());
        key.map(|key| Self(key.to_owned())).ok_or_else(ApiError::unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_an_access_key() {
        let header = "AWS4-HMAC-SHA256 Credential=shop-loader/20260101/eu-west-1/redshift-data/aws4_request, SignedHeaders=host, \
                      Signature=0";
        assert_eq!(Caller::of(Some(header)), Ok(Caller("shop-loader".to_owned())));
    }

    #[test]
    fn nobody_is_nobody() {
        for header in [None, Some("Bearer x"), Some("AWS4-HMAC-SHA256 Credential=/2026")] {
            assert_eq!(
                Caller::of(header).unwrap_err().code,
                "MissingAuthenticationTokenException"
            );
        }
    }
}
