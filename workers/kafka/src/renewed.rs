//! A client that is made anew in the place of one that can do no more. Opens no connection of its own.

use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::error::KafkaResult;

type Make<T> = Box<dyn Fn() -> KafkaResult<T> + Send + Sync>;

/// A client, and the next one when it is time.
pub struct Renewed<T> {
    make: Make<T>,
    client: RwLock<Arc<T>>,
}

impl<T> Renewed<T> {
    /// Makes the first client at once.
    pub fn new(make: impl Fn() -> KafkaResult<T> + Send + Sync + 'static) -> KafkaResult<Self> {
        let client = RwLock::new(Arc::new(make()?));
        Ok(Self {
            make: Box::new(make),
            client,
        })
    }

    /// The client of now.
    pub fn get(&self) -> Arc<T> {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a new client; the one of before stays if that fails. Whoever uses that still keeps it; otherwise this blocks
    /// until its threads have ended.
    pub fn renew(&self) -> KafkaResult<()> {
        let client = Arc::new((self.make)()?);
        let before = {
            let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, client)
        };
        // Outside of the lock: dropping a client waits for its threads.
        drop(before);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rdkafka::error::KafkaError;

    use super::*;

    #[test]
    fn a_new_client_takes_the_place_of_the_one_before_and_none_leaves_it() {
        let made = AtomicU32::new(0);
        let renewed = Renewed::new(move || match made.fetch_add(1, Ordering::Relaxed) {
            2 => Err(KafkaError::Canceled),
            number => Ok(number),
        })
        .expect("a client");
        let first = renewed.get();
        renewed.renew().expect("another");
        assert_eq!((*first, *renewed.get()), (0, 1));
        assert_eq!(renewed.renew(), Err(KafkaError::Canceled));
        assert_eq!(*renewed.get(), 1);
    }
}
