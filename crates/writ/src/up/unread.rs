//! Answers that a peer does not take. What is held for it must not be held for ever: over HTTP/2 it may ask for a hundred
//! of them and give room for none (RFC 9113, section 6.9.2).

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// The answers of one connection that have something for its peer, and since when it took nothing of them. Those that
/// wait for something to say are not among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers(Arc<Mutex<Offered>>);

#[derive(Debug, Default)]
struct Offered {
    last: u64,
    since: BTreeMap<u64, Instant>,
}

impl Offers {
    /// Returns when nothing of one of them was taken for `patience`.
    pub(super) async fn untaken(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let oldest = self.offered().since.values().min().copied();
            let end = oldest.unwrap_or(now) + patience;
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// An answer's body, offered to the peer. `kept` is dropped with it.
    pub(super) fn offer<K>(&self, body: Body, kept: K) -> Watched<K> {
        let number = {
            let mut offered = self.offered();
            offered.last += 1;
            offered.last
        };
        let watched = Watched { body, offer: Offer { offers: self.clone(), number }, _kept: kept };
        watched.offer.stands();
        watched
    }

    fn offered(&self) -> MutexGuard<'_, Offered> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until dropped.
#[derive(Debug)]
struct Offer {
    offers: Offers,
    number: u64,
}

impl Offer {
    /// There is something for the peer from now on.
    fn stands(&self) {
        self.offers.offered().since.insert(self.number, Instant::now());
    }

    /// The peer has room for more than there is.
    fn is_taken(&self) {
        self.offers.offered().since.remove(&self.number);
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.is_taken();
    }
}

/// An answer's body. It is asked for its next piece only when the one before was taken.
#[derive(Debug)]
pub(super) struct Watched<K> {
    body: Body,
    offer: Offer,
    _kept: K,
}

impl<K: Unpin> hyper::body::Body for Watched<K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(_)) => self.offer.stands(),
            Poll::Ready(None) | Poll::Pending => self.offer.is_taken(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::body::{Body, Bytes};
    use futures_util::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;
    use tokio::time::Instant;

    use super::Offers;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn ends_after(offers: &Offers) -> Option<Duration> {
        let began = Instant::now();
        let ended = tokio::time::timeout(3 * PATIENCE, offers.untaken(PATIENCE)).await;
        ended.ok().map(|()| began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_there_and_not_taken_ends_a_connection() {
        let offers = Offers::default();
        assert_eq!(ends_after(&offers).await, None, "nothing is offered");
        let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from("one")), Ok(Bytes::from("two"))]);
        let mut answer = offers.offer(Body::from_stream(pieces.chain(stream::pending())), ());
        assert_eq!(ends_after(&offers).await, Some(PATIENCE), "nothing was taken");
        answer.frame().await.unwrap().unwrap();
        assert_eq!(ends_after(&offers).await, Some(PATIENCE), "nothing more was taken");
        answer.frame().await.unwrap().unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, answer.frame()).await.is_err());
        assert_eq!(ends_after(&offers).await, None, "there is nothing to take");
        let other = offers.offer(Body::from("other"), ());
        assert_eq!(ends_after(&offers).await, Some(PATIENCE), "one of two was not taken");
        drop(other);
        assert_eq!(ends_after(&offers).await, None);
    }
}
