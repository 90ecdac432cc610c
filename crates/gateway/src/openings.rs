//! One opening at a time for those who would share what comes of it: parallel first calls of a client that knows no sessions
//! wait for one of them to open the session that is kept for all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base::ServerId;
use http::Uri;
use tokio::sync::OwnedMutexGuard;
use wire::{
    json::{Json, Object},
    mcp::RpcError,
};

use crate::{Holder, Upstream, session::lock};

/// Whose session, with which server, for clients that can do what.
type Key = (Holder, ServerId, Uri, String);
/// Taken by whoever opens; why it failed, for those who waited for it.
type Slot = Arc<tokio::sync::Mutex<Option<RpcError>>>;

/// All openings under way. As many as there are requests that wait for them: those are bounded for each holder.
#[derive(Default)]
pub(crate) struct Openings(Mutex<HashMap<Key, Slot>>);

/// The right to open. Dropping it lets the next one try.
pub(crate) struct Turn<'a> {
    /// Given back before the place is looked at.
    guard: Option<OwnedMutexGuard<Option<RpcError>>>,
    place: Place<'a>,
}

/// A place at a slot; the last one takes the slot away.
struct Place<'a> {
    openings: &'a Openings,
    key: Key,
    slot: Slot,
}

impl Openings {
    /// Waits for everybody else who opens the same. May be dropped while it waits.
    pub(crate) async fn turn(&self, holder: &Holder, upstream: &Upstream, capabilities: &Object) -> Turn<'_> {
        let capabilities = Json::Object(capabilities.clone()).to_text();
        let key = (holder.clone(), upstream.id.clone(), upstream.url.clone(), capabilities);
        let slot = Arc::clone(lock(&self.0).entry(key.clone()).or_default());
        let place = Place { openings: self, key, slot };
        let guard = Arc::clone(&place.slot).lock_owned().await;
        Turn { guard: Some(guard), place }
    }
}

impl Turn<'_> {
    /// Why the one who was waited for has failed.
    pub(crate) fn failure(&self) -> Option<RpcError> {
        self.guard.as_deref()?.clone()
    }

    /// Tells those who wait. Whoever comes later tries again.
    pub(crate) fn fail(&mut self, error: &RpcError) {
        let Place { openings, key, slot } = &self.place;
        let mut all = lock(&openings.0);
        if all.get(key).is_some_and(|current| Arc::ptr_eq(current, slot)) {
            all.remove(key);
        }
        if let Some(guard) = &mut self.guard {
            **guard = Some(error.clone());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.openings.0);
        let is_last = |current: &Slot| Arc::ptr_eq(current, &self.slot) && Arc::strong_count(current) == 2;
        if all.get(&self.key).is_some_and(is_last) {
            all.remove(&self.key);
        }
    }
}
