//! Formats in and out: strict JSON, JOSE and DPoP, OAuth messages, MCP frames, transparency-log tiles.
//!
//! INVARIANT: pure. No sockets, files, clock or SQL; whatever depends on the present takes it as an argument.

#![warn(missing_docs)]

pub mod dpop;
pub mod jose;
pub mod json;
pub mod mcp;
pub mod oauth;
pub mod sse;
pub mod tlog;

mod uri;
