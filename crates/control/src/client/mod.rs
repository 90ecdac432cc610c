//! Clients of the authorization server: programs that ask people for something.
//!
//! There are three sorts. Some an administrator registered: documents of kind Client, vouched for by this installation. Some
//! registered themselves (RFC 7591): nobody vouches for them, and they end by themselves until somebody agreed to one. Some
//! are described at the URL that is their id (client ID metadata documents): what they say is fetched, and remembered for a
//! while. Agents and workloads, which ask for themselves, are principals and not clients of this sort.

mod document;
mod kind;
mod known;
mod registration;

pub use document::{Documents, Fetch, FetchFailed, Fetched};
pub use kind::{Client, ClientBody, ClientSpec, ClientUse};
pub use known::{ClientRefusal, KnownClient, Sort};
pub use registration::{Registered, RegistrationRefusal};
pub(crate) use registration::{Registration, load_all, reload};
