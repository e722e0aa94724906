//! A client that is made anew when what is mounted for it changes, so that rotated passwords and certificates need no restart. Reads files.

use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::error::KafkaResult;

use crate::brokers::{Brokers, Snapshot};
use crate::diagnosis::Diagnosis;

type Make<T> = Box<dyn Fn(&Snapshot) -> KafkaResult<T> + Send + Sync>;

/// A client, and the next one when it is time. Nothing happens by itself: whoever owns it calls [`Self::look`] about every
/// second. Files are read and compared, which is what survives every way in which they are replaced.
pub struct Renewed<T> {
    brokers: Brokers,
    make: Make<T>,
    state: RwLock<State<T>>,
}

struct State<T> {
    /// The client and what it was made from.
    client: Option<(Arc<T>, Snapshot)>,
    /// Why what is mounted now cannot be used.
    fault: Option<Diagnosis>,
}

impl<T> Renewed<T> {
    /// Makes the first client at once, if that can be done.
    pub fn new(brokers: Brokers, make: impl Fn(&Snapshot) -> KafkaResult<T> + Send + Sync + 'static) -> Self {
        let renewed = Self {
            brokers,
            make: Box::new(make),
            state: RwLock::new(State {
                client: None,
                fault: None,
            }),
        };
        let _ = renewed.look();
        renewed
    }

    /// The client of now. One whose files have become unusable stays in use as long as there is no better.
    pub fn get(&self) -> Result<Arc<T>, Diagnosis> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match (&state.client, &state.fault) {
            (Some((client, _)), _) => Ok(client.clone()),
            (None, Some(fault)) => Err(fault.clone()),
            (None, None) => Err(Diagnosis::unavailable("there is no Kafka client yet")),
        }
    }

    /// Why what is mounted now cannot be used, although an earlier client may go on.
    pub fn fault(&self) -> Option<Diagnosis> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.fault.clone()
    }

    /// Looks at the files, and makes a new client if they have changed. The client that it takes the place of is returned, for
    /// whatever must still be done with it.
    pub fn look(&self) -> Option<Arc<T>> {
        match self.brokers.read() {
            Ok(snapshot) if self.is_made_of(&snapshot) => {
                self.state.write().unwrap_or_else(PoisonError::into_inner).fault = None;
                None
            }
            Ok(snapshot) => self.make(snapshot),
            Err(fault) => self.failed(fault),
        }
    }

    /// Makes a new client of the same files, in the place of one that can do no more. Returns that.
    pub fn renew(&self) -> Option<Arc<T>> {
        match self.brokers.read() {
            Ok(snapshot) => self.make(snapshot),
            Err(fault) => self.failed(fault),
        }
    }

    fn is_made_of(&self, snapshot: &Snapshot) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let made_of = state.client.as_ref().map(|(_, made_of)| made_of);
        made_of.is_some_and(|made_of| made_of.material == snapshot.material)
    }

    fn make(&self, snapshot: Snapshot) -> Option<Arc<T>> {
        // Not under the lock: whoever uses the client of before goes on meanwhile.
        match (self.make)(&snapshot) {
            Ok(client) => {
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                state.fault = None;
                let before = state.client.replace((Arc::new(client), snapshot));
                if before.is_some() {
                    tracing::info!("a new Kafka client takes over, with what is mounted now");
                }
                before.map(|(client, _)| client)
            }
            Err(error) => self.failed(snapshot.unusable(&error)),
        }
    }

    fn failed(&self, fault: Diagnosis) -> Option<Arc<T>> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.fault.as_ref() != Some(&fault) {
            tracing::warn!(
                reason = fault.reason.as_str(),
                detail = fault.message,
                "no Kafka client can be made"
            );
        }
        state.fault = Some(fault);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use medallion_crds::Reason;
    use medallion_crds::launch::KafkaSettings;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;
    use crate::material::Proof;
    use crate::material::tests::scram;

    fn brokers(folder: &Path) -> Brokers {
        Brokers::without_tokens(&KafkaSettings {
            authentication: scram(folder),
            ..KafkaSettings::default()
        })
    }

    /// A "client" that is the password that it was made with; some passwords make none.
    fn passwords(folder: &Path) -> Renewed<String> {
        Renewed::new(brokers(folder), |snapshot| match &snapshot.material.proof {
            Proof::User { password, .. } if password != "unfit" => Ok(password.clone()),
            _ => Err(KafkaError::Global(RDKafkaErrorCode::Fail)),
        })
    }

    #[test]
    fn a_changed_password_makes_a_new_client_and_an_unchanged_one_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("written");
        write("username", "shop");
        write("password", "first");
        let client = passwords(folder.path());
        let first = client.get().expect("a client");
        assert_eq!((first.as_str(), client.look()), ("first", None));
        assert!(Arc::ptr_eq(&first, &client.get().expect("a client")), "the same one");

        write("password", "second\n");
        assert_eq!(client.look(), Some(first), "the one of before is handed out");
        assert_eq!(client.get().expect("a client").as_str(), "second");
        assert_eq!(client.renew().expect("the one of before").as_str(), "second");
        assert_eq!(client.get().expect("a client").as_str(), "second");
    }

    #[test]
    fn files_that_cannot_be_used_are_named_while_the_client_of_before_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("written");
        let client = passwords(folder.path());
        let fault = client.get().expect_err("nothing is mounted");
        assert_eq!(fault.reason, Reason::KafkaCredentialsUnreadable);
        write("username", "shop");
        write("password", "first");
        assert_eq!(client.look(), None);
        assert_eq!(
            (client.get().expect("a client").as_str(), client.fault()),
            ("first", None)
        );

        for (password, words) in [("", "is empty"), ("unfit", "no Kafka client can be made")] {
            write("password", password);
            assert_eq!(client.look(), None);
            assert_eq!(client.get().expect("a client").as_str(), "first");
            let fault = client.fault().expect("a fault");
            assert!(fault.message.contains(words), "{fault}");
        }
        write("password", "first");
        assert_eq!((client.look(), client.fault()), (None, None), "as it was");
    }
}
