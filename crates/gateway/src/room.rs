//! The room that a message takes until it is served: the bytes that it holds, and, where it belongs to no session that bounds
//! it, a place among its holder's.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::body::Body;
use base::{Actor, Bodies, Charge, HeldBody, Sender};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{Holder, session::lock, upstream::Trouble};

/// What an answer may hold without an account. There are few enough at a time.
const LITTLE_BYTES: usize = 64 * 1024;
/// In what steps more is taken.
const STEP_BYTES: usize = 256 * 1024;

/// What one message takes.
pub(crate) struct Room {
    _body: HeldBody,
    pub(crate) place: Option<Place>,
}

impl Room {
    pub(crate) const fn of(body: HeldBody) -> Self {
        Self { _body: body, place: None }
    }
}

/// The room that what a server answers takes, until the client has it.
///
/// SECURITY: a server may answer much, and a client ask often: what is held at a time is bounded for each agent and in all.
pub(crate) struct AnswerRoom {
    charge: Option<Charge>,
    from: Option<(Bodies, Actor)>,
}

impl AnswerRoom {
    pub(crate) fn of(answers: &Bodies, actor: &Actor) -> Self {
        Self { charge: None, from: Some((answers.clone(), actor.clone())) }
    }

    /// For the few questions of the control plane itself.
    pub(crate) const fn unbounded() -> Self {
        Self { charge: None, from: None }
    }

    /// Makes room for so many bytes in all.
    pub(crate) fn reach(&mut self, bytes: usize) -> Result<(), Trouble> {
        if bytes <= LITTLE_BYTES {
            return Ok(());
        }
        if self.charge.is_none() {
            self.charge =
                self.from.as_ref().map(|(answers, actor)| answers.charge(Sender::Known(actor.clone())));
        }
        let Some(charge) = &mut self.charge else { return Ok(()) };
        charge.reach(bytes.next_multiple_of(STEP_BYTES)).map_err(|_| Trouble::NoRoom)
    }

    /// What was taken, to be kept with what goes to the client.
    pub(crate) const fn take(&mut self) -> Option<Charge> {
        self.charge.take()
    }
}

/// A body with the room that it takes.
pub(crate) struct Holding {
    pub(crate) body: Body,
    pub(crate) _rooms: Vec<Charge>,
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many requests without a session each holder has under way.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<Holder, usize>>);

impl Places {
    /// A place for one more; `None` when the holder has as many as it may.
    pub(crate) fn take(self: &Arc<Self>, holder: &Holder, limit: usize) -> Option<Place> {
        let mut taken = lock(&self.0);
        let count = taken.entry(holder.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { places: Arc::clone(self), holder: holder.clone() })
    }
}

/// A place; dropping it gives it back.
pub(crate) struct Place {
    places: Arc<Places>,
    holder: Holder,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.0);
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
    }
}
