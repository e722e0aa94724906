//! A store that loses answers and fails on demand. No network.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// What happens to the next put of a matching name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is done, but the answer is an error.
    AnswerLost,
    /// It is done, the answer was lost, and the client's own repetition met what it had written.
    AnswerLostAndRepeated,
    /// It is not done.
    NotDone,
    /// It is not done, and the client has given up on requests that were in each other's way.
    Conflicts,
}

#[derive(Debug)]
pub struct FaultyStore {
    inner: LocalFileSystem,
    next: Mutex<Option<(&'static str, Fault)>>,
    in_parts: AtomicU32,
    listings_empty: AtomicBool,
    gets: AtomicU32,
}

impl FaultyStore {
    pub fn new() -> Self {
        Self {
            inner: LocalFileSystem::new(),
            next: Mutex::new(None),
            in_parts: AtomicU32::new(0),
            listings_empty: AtomicBool::new(false),
            gets: AtomicU32::new(0),
        }
    }

    /// The next listing is the one of a moment before.
    pub fn list_nothing_once(&self) {
        self.listings_empty.store(true, Ordering::SeqCst);
    }

    /// Objects that were asked for, be they there or not.
    pub fn gets(&self) -> u32 {
        self.gets.load(Ordering::SeqCst)
    }

    /// Uploads in parts that were begun.
    pub fn in_parts(&self) -> u32 {
        self.in_parts.load(Ordering::SeqCst)
    }

    pub fn arm(&self, name_contains: &'static str, fault: Fault) {
        *self.next.lock().expect("lock") = Some((name_contains, fault));
    }

    fn fault_for(&self, location: &Path) -> Option<Fault> {
        let mut next = self.next.lock().expect("lock");
        next.take_if(|(name, _)| location.as_ref().contains(*name))
            .map(|(_, fault)| fault)
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic {
        store: "faulty",
        source: "connection reset".into(),
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let Some(fault) = self.fault_for(location) else {
            return self.inner.put_opts(location, payload, options).await;
        };
        match fault {
            Fault::NotDone => Err(broken()),
            Fault::Conflicts => Err(object_store::Error::AlreadyExists {
                path: location.to_string(),
                source: "409 conflict".into(),
            }),
            Fault::AnswerLost => self.inner.put_opts(location, payload, options).await.and(Err(broken())),
            Fault::AnswerLostAndRepeated => {
                self.inner.put_opts(location, payload.clone(), options.clone()).await?;
                self.inner.put_opts(location, payload, options).await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.in_parts.fetch_add(1, Ordering::SeqCst);
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.listings_empty.swap(false, Ordering::SeqCst) {
            return futures::stream::empty().boxed();
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("faulty store")
    }
}
