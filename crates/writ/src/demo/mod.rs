//! The demonstration: a real server, a scripted agent that speaks MCP over HTTP, and a small MCP server to call.
//!
//! Nothing here is a short cut: the agent's client and the sample server know only their URLs, and everything
//! between them is the product.

pub(crate) mod client;
pub(crate) mod sample;
