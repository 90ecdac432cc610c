//! How many requests read the database at once.
//!
//! The database has few connections for readers, and one search may keep one of them busy for seconds. So each sort of
//! reader has places of its own, fewer than there are connections, and whoever finds none is told so before anything is
//! read. Decisions and whoever keeps the node fresh do not pass here: they wait for nobody of these.

use std::time::Duration;

use base::{Class, Refuse};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a reader waits for a place.
const PATIENCE: Duration = Duration::from_millis(250);

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Anybody: the public half of the log.
    Stranger,
    /// Whoever may read everything.
    Auditor,
    /// Whoever looks at what is theirs.
    Owner,
}

/// The places.
#[derive(Debug)]
pub(crate) struct Readers {
    strangers: Semaphore,
    auditors: Semaphore,
    owners: Semaphore,
}

/// No place was free.
#[derive(Debug, thiserror::Error)]
#[error("too many requests read the database")]
pub(crate) struct ReadersCrowded;

impl Refuse for ReadersCrowded {
    fn class(&self) -> Class {
        Class::Busy
    }

    fn code(&self) -> &'static str {
        "busy"
    }

    fn help(&self) -> Option<String> {
        Some("try again shortly".into())
    }
}

impl Default for Readers {
    fn default() -> Self {
        Self { strangers: Semaphore::new(1), auditors: Semaphore::new(2), owners: Semaphore::new(2) }
    }
}

impl Readers {
    /// A place, if there is one soon. It is free again when this is dropped.
    pub(crate) async fn admit(&self, reader: Reader) -> Result<SemaphorePermit<'_>, ReadersCrowded> {
        match tokio::time::timeout(PATIENCE, self.wait(reader)).await {
            Ok(admitted) => admitted,
            Err(_) => Err(ReadersCrowded),
        }
    }

    /// The same for who has begun to answer and cannot refuse any more.
    pub(crate) async fn wait(&self, reader: Reader) -> Result<SemaphorePermit<'_>, ReadersCrowded> {
        let places = match reader {
            Reader::Stranger => &self.strangers,
            Reader::Auditor => &self.auditors,
            Reader::Owner => &self.owners,
        };
        places.acquire().await.map_err(|_| ReadersCrowded)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Readers};

    #[tokio::test(start_paused = true)]
    async fn whoever_fills_their_own_places_keeps_no_others_out() {
        let readers = Readers::default();
        let mut held = Vec::new();
        while let Ok(place) = readers.admit(Reader::Stranger).await {
            held.push(place);
            assert!(held.len() < 100, "there is no end of places");
        }
        assert!(readers.admit(Reader::Auditor).await.is_ok());
        assert!(readers.admit(Reader::Owner).await.is_ok());
        held.pop();
        assert!(readers.admit(Reader::Stranger).await.is_ok());
    }
}
