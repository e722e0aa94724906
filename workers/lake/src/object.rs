//! Reads bytes of one data file, piece by piece. Talks to object storage.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange};
use url::Url;

use crate::error::LakeError;
use crate::store::LakeStore;

/// Bytes as the store sends them.
pub type Pieces = BoxStream<'static, Result<Bytes, LakeError>>;

impl LakeStore {
    /// Reads a range of a data file by its address, which is decoded ([`crate::DataFile::url`]). No more than a piece of it is
    /// in memory at once. A file that ends within the range is an error.
    pub async fn read(&self, address: &str, range: Range<u64>) -> Result<Pieces, LakeError> {
        let (bucket, key) = split(address)?;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let objects = self.bucket(&bucket)?.objects;
        let found = objects
            .get_opts(&key, options)
            .await
            .map_err(LakeError::store(format!("read {address}")))?;
        // A store gives what there is of a range.
        if found.range != range {
            return Err(LakeError::FileDiffers {
                file: address.to_owned(),
                reason: format!(
                    "it has {} bytes, and those from {} to {} were to be read",
                    found.meta.size, range.start, range.end
                ),
            });
        }
        let address = address.to_owned();
        let named = move |error| LakeError::store(format!("read {address}"))(error);
        Ok(found.into_stream().map_err(named).boxed())
    }
}

/// The bucket's address and the key: a decoded address is no URL, whose path would be decoded once more.
fn split(address: &str) -> Result<(Url, Path), LakeError> {
    let bad = |reason: String| LakeError::BadAddress {
        address: address.to_owned(),
        reason,
    };
    let parts = address.split_once("://");
    let parts = parts.and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?)));
    let Some((scheme, (host, key))) = parts else {
        return Err(bad("is no address of an object".to_owned()));
    };
    let bucket = Url::parse(&format!("{scheme}://{host}/")).map_err(|error| bad(error.to_string()))?;
    let key = Path::parse(key).map_err(|error| bad(error.to_string()))?;
    Ok((bucket, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_as_it_is() {
        let (bucket, key) = split("s3://shop-gold/days/part_day=a%2Fb c/1.parquet").expect("an address");
        assert_eq!(bucket.as_str(), "s3://shop-gold/");
        assert_eq!(key.as_ref(), "days/part_day=a%2Fb c/1.parquet");
        let (bucket, key) = split("file:///lake/days/1.parquet").expect("an address");
        assert_eq!((bucket.as_str(), key.as_ref()), ("file:///", "lake/days/1.parquet"));
        for address in ["nonsense", "s3://bucket", "s3://bucket/../other/1.parquet"] {
            assert!(split(address).is_err(), "{address}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_range_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("a%20b.parquet"), "0123456789").expect("written");
        let store = LakeStore::local().expect("a store");
        let address = format!("file://{}/a%20b.parquet", folder.path().display());
        let pieces = store.read(&address, 3..6).await.expect("it is there");
        let pieces: Vec<Bytes> = pieces.try_collect().await.expect("bytes");
        assert_eq!(pieces.concat(), b"345");
        assert!(store.read(&address.replace("a%20b", "c"), 0..1).await.is_err());
        let short = store.read(&address, 6..11).await.err().expect("it ends before");
        assert!(matches!(short, LakeError::FileDiffers { .. }), "{short}");
    }
}
