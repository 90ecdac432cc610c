//! The control plane: what is kept, what is decided, what is recorded.
//!
//! One folder per concept. A change is a [`draft::Draft`] or a service's transaction; it is kept only with its
//! records. The [`follow::Follower`] turns records into a new [`snapshot::Snapshot`], and everything that is read
//! or decided is read and decided from there.
//!
//! What is absent on purpose: the data plane, the process environment, the wall clock, and SQL outside the
//! `store` files and [`kind`]'s statements.

pub mod account;
pub mod audit;
pub mod authenticator;
pub mod authority;
pub mod bootstrap;
pub mod catalogue;
pub mod client;
pub mod control;
pub mod credential;
pub mod decide;
pub mod delegation;
pub mod documents;
pub mod draft;
pub mod follow;
pub mod grant;
pub mod http;
pub mod judge;
pub mod key;
pub mod kind;
pub mod login;
pub mod oauth;
mod opaque;
pub mod principal;
mod readers;
pub mod revoke;
mod row;
pub mod rule;
pub mod secret;
pub mod session;
pub mod snapshot;
pub mod task;
