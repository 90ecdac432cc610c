//! The pages that people see: what a service found, as HTML.
//!
//! Pure: a view goes in, text comes out. Everything that is shown comes escaped out of a template; every word comes out
//! of one catalogue, in four languages. What is absent on purpose: sockets, clocks, storage, and any decision.
//!
//! Pages work without JavaScript. One static script serves the ceremony of passkeys, which no form can express.

#![warn(missing_docs)]

mod asset;
mod language;
mod letter;
mod moment;
mod page;
mod view;

pub use asset::{ASSETS, Asset};
pub use language::Language;
pub use letter::Letter;
pub use page::{Notice, Page};
pub use view::{
    Account, AgentRow, Already, AuthenticatorRow, CallRow, Ceremony, Choice, Codes, ConfirmSignOut, Consent,
    Device, Factor, Join, Login, Message, Recover, Rule, SecondFactor, SessionRow, Setup, TotpSetup, Trust,
};
