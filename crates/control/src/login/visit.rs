//! Why somebody came: what has to be known again after they signed in.
//!
//! It travels with them, sealed, so that nothing is kept of strangers and any node can go on.

use base::{Fault, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{control::Control, principal::Level};

/// How long somebody may take from coming to agreeing, in seconds.
const SECONDS_MAX: i64 = 3600;
/// The longest sealed visit, in bytes.
const SEALED_BYTES_MAX: usize = 48 * 1024;
const BOUND_TO: &[u8] = b"visit";

/// A visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) purpose: Purpose,
    /// When they came.
    pub(crate) came: Timestamp,
    /// What the client calls itself.
    pub(crate) client: Option<String>,
    /// Where the answer goes.
    pub(crate) target: Option<String>,
    /// Whether they must prove themself anew, after they came.
    pub(crate) anew: bool,
    /// How strongly they must prove themself.
    pub(crate) level: Option<Level>,
    /// Who is expected.
    pub(crate) hint: Option<String>,
}

/// What somebody came for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// To let a client act: the request as it was sent.
    Authorize(String),
    /// To connect a device with this code.
    Device(String),
    /// To look after their account: this page of it.
    Account(String),
    /// To sign out, and then to go on to this address.
    SignOut(Option<String>),
}

impl Visit {
    /// Where whoever signed in goes on; `sealed` is this visit.
    pub(crate) fn onward(&self, sealed: &str) -> String {
        match &self.purpose {
            Purpose::Authorize(_) => format!("/consent?visit={sealed}"),
            Purpose::Device(_) => format!("/device?visit={sealed}"),
            Purpose::Account(page) => page.clone(),
            Purpose::SignOut(_) => format!("/logout?visit={sealed}"),
        }
    }
}

impl Control {
    /// A visit as it travels. Letters that need no escape in a URL.
    pub(crate) fn seal_visit(&self, visit: &Visit) -> Result<String, Fault> {
        let plain = serde_json::to_vec(visit).map_err(|error| Fault::new("writing a visit", error))?;
        self.store().seal_keepsake(&plain, BOUND_TO)
    }

    /// The visit that came back, if it is one of ours and not too old.
    pub(crate) fn open_visit(&self, sealed: &str, now: Timestamp) -> Option<Visit> {
        if sealed.is_empty() || sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        let plain = self.store().open_keepsake(sealed, BOUND_TO)?;
        let visit: Visit = serde_json::from_slice(&plain).ok()?;
        (visit.came <= now && now < visit.came.plus_seconds(SECONDS_MAX)).then_some(visit)
    }
}
