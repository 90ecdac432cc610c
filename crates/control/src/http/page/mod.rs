//! Pages over HTTP: who looks at one, in which language, what may be posted to it, and how it goes out.
//!
//! SECURITY: a form counts only when the browser says that it was sent from a page of ours (`Origin`, or `Sec-Fetch-Site`
//! where a browser leaves it out). Cookies are `__Host-`, so no other host can set or read them. Nothing is framed, no script
//! runs but the one of ours, and a form goes nowhere but to us and, where a client waits for the answer, to its address.

mod cookie;
mod form;
mod guest;
mod out;

pub(crate) use cookie::Cookie;
pub(crate) use form::Posted;
pub(crate) use guest::Guest;
pub(crate) use out::{Trouble, asset, html, redirect};
