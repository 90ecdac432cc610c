//! The room that a message takes until it is served: the bytes that it holds, and, where it belongs to no session that bounds
//! it, a place among its holder's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base::HeldBody;

use crate::{Holder, session::lock};

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
