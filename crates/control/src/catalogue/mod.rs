//! What agents can reach: servers and their tools. What is not here does not exist for an agent.
//!
//! A tool enters by being seen on its server and is usable once its definition is **pinned**: name, description,
//! schemas and annotations, digested together. A server that later shows another definition finds the tool
//! quarantined (threat class 29).

mod label_set;
mod observe;
mod server;
mod tool;

pub use label_set::{LabelSetSpec, apply_labels, labels_of};
pub use observe::{AskServer, Reach, Seen, Tested, Told};
pub use server::{Pass, Server, ServerBody, ServerCredential, ServerSpec, ServerState};
pub use tool::{
    EffectSource, Observed, Tool, ToolBody, ToolSpec, ToolState, definition_digest, guess_effect,
};

use base::{Class, Refuse};

use crate::snapshot::Snapshot;

/// What the catalogue's specs are refused for.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueRefusal {
    /// The address is not one of an MCP server.
    #[error("`url`: `{url}` {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The certificates of its own authority are none.
    #[error("`tls_ca` {0}")]
    Authority(&'static str),
    /// The credential's secret is unknown.
    #[error("`credential.secret`: there is no secret `{0}`")]
    NoSuchSecret(String),
    /// The credential's header may not be set.
    #[error("`credential.header`: `{0}` cannot carry a credential")]
    Header(String),
    /// The definition of a tool is not usable.
    #[error("tool `{tool}`: {why}")]
    Definition {
        /// The tool's name.
        tool: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such tool.
    #[error("server `{server}` has no tool `{tool}`")]
    NoSuchTool {
        /// The server's name.
        server: String,
        /// What was looked for.
        tool: String,
        /// What was probably meant, as `SERVER/TOOL`.
        meant: Option<String>,
    },
    /// The definition that shall be approved is not the one that was seen last.
    #[error("`digest`: what was last seen of tool `{0}` is another definition")]
    DefinitionMoved(String),
    /// There is no such server.
    #[error("there is no server `{0}`")]
    NoSuchServer(String),
    /// The server does not answer as an MCP server does.
    #[error("server `{server}` cannot be asked for its tools: {why}")]
    Unreachable {
        /// Its name.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// The server got another address while it was asked.
    #[error("server `{0}` was moved while it was asked for its tools; nothing was pinned")]
    Moved(String),
    /// The server was stopped.
    #[error("`state`: server `{0}` is stopped and is not started by applying a document")]
    Stopped(String),
    /// Something still stands on it.
    #[error("{0}")]
    InUse(String),
}

impl CatalogueRefusal {
    /// There is no such tool; for those who may see the catalogue, with the name that they probably meant.
    pub(crate) fn no_such_tool(server: &str, tool: &str, known: &Snapshot) -> Self {
        let meant = known.tools.nearest(&format!("{server}/{tool}"));
        Self::NoSuchTool { server: server.to_owned(), tool: tool.to_owned(), meant }
    }
}

impl Refuse for CatalogueRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. }
            | Self::Authority(_)
            | Self::NoSuchSecret(_)
            | Self::Header(_)
            | Self::Definition { .. } => Class::Invalid,
            Self::NoSuchTool { .. } | Self::NoSuchServer(_) => Class::Missing,
            Self::Stopped(_) | Self::InUse(_) | Self::DefinitionMoved(_) | Self::Moved(_) => Class::Conflict,
            Self::Unreachable { .. } => Class::Busy,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "bad_server_url",
            Self::Authority(_) => "bad_tls_ca",
            Self::NoSuchSecret(_) => "no_such_reference",
            Self::Header(_) => "bad_header",
            Self::Definition { .. } => "bad_tool_definition",
            Self::NoSuchTool { .. } => "no_such_tool",
            Self::DefinitionMoved(_) => "definition_moved",
            Self::NoSuchServer(_) => "no_such_server",
            Self::Unreachable { .. } => "server_unreachable",
            Self::Moved(_) => "server_moved",
            Self::Stopped(_) => "state_not_by_document",
            Self::InUse(_) => "still_in_use",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Url { .. } => {
                Some("give the address of its MCP endpoint, for example https://crm.example/mcp".into())
            }
            Self::Authority(_) => {
                Some("give its certificates as PEM: `-----BEGIN CERTIFICATE-----` ...".into())
            }
            Self::NoSuchSecret(name) => Some(format!("store it first: writ secret put {name}")),
            Self::NoSuchTool { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::NoSuchTool { server, .. } => {
                Some(format!("see what it offers: writ tool list --server {server}"))
            }
            Self::Unreachable { server, .. } => {
                Some(format!("see that it runs and what address it has: writ server show {server}"))
            }
            Self::DefinitionMoved(name) => {
                Some(format!("look at it again and name its `digest`: writ tool show {name}"))
            }
            Self::Moved(name) => Some(format!("ask it again: writ server discover {name}")),
            Self::Stopped(name) => Some(format!("writ server start {name}")),
            Self::Header(_) | Self::Definition { .. } | Self::NoSuchServer(_) | Self::InUse(_) => None,
        }
    }
}
