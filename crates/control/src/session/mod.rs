//! Persons' sessions in browsers.
//!
//! A session is a secret in a cookie, kept as its digest, and a record of how its person proved themself. Like every
//! credential it carries the generation and the position at which it was made and is dead once a revocation that concerns
//! its person, or itself, is later. It ends by itself: a while after it was last used, and in any case after a week.

mod model;
mod service;
mod store;

pub(crate) use model::SessionSecret;
pub use model::{Session, SessionRefusal, Visitor};
pub(crate) use service::{InSession, SeenCache, Which, seen_cache};
pub(crate) use store::{load_all, reload};
