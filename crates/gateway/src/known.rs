//! Which generations of the protocol servers know: seen, remembered for all, and asked anew when a server is not as it was.

use base::ServerId;
use http::Uri;

use crate::{Gateway, Plane, Upstream, request::Generation, session::lock};

/// How many servers' generations are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Which generations a server knows, as far as that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    sessions: Option<bool>,
    stateless: Option<bool>,
}

impl Known {
    const fn get(self, generation: Generation) -> Option<bool> {
        match generation {
            Generation::Sessions => self.sessions,
            Generation::Stateless => self.stateless,
        }
    }

    /// Whether a server is better asked in the other generation first: it knows that one, and not this one.
    pub(crate) fn is_of_the_other(self, generation: Generation) -> bool {
        self.get(generation) == Some(false) && self.get(generation.other()) == Some(true)
    }
}

impl<P: Plane> Gateway<P> {
    /// The generation in which a server is spoken to for a client of this one; none while that is not known.
    pub(crate) fn speaks(&self, upstream: &Upstream, own: Generation) -> Option<Generation> {
        let known = self.known(upstream);
        if known.get(own) == Some(true) {
            return Some(own);
        }
        known.is_of_the_other(own).then(|| own.other())
    }

    pub(crate) fn known(&self, upstream: &Upstream) -> Known {
        let key = key(upstream);
        lock(&self.tongues).get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn remember(&self, upstream: &Upstream, generation: Generation, is_known: bool) {
        let mut tongues = lock(&self.tongues);
        if tongues.len() >= REMEMBERED_MAX {
            tongues.clear();
        }
        let known = tongues.entry(key(upstream)).or_default();
        let seen = match generation {
            Generation::Sessions => &mut known.sessions,
            Generation::Stateless => &mut known.stateless,
        };
        // SECURITY: what one client's own words provoke must not make the others be served worse.
        *seen = Some(is_known || *seen == Some(true));
    }

    /// Lets a server be asked anew which generations it knows.
    pub(crate) fn unlearn(&self, upstream: &Upstream) {
        lock(&self.tongues).remove(&key(upstream));
    }
}

fn key(upstream: &Upstream) -> (ServerId, Uri) {
    (upstream.id.clone(), upstream.url.clone())
}
