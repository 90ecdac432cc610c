//! What an agent wants to do.

use std::{collections::BTreeSet, fmt};

use base::Name;
use serde::{Deserialize, Serialize};
use wire::json::Json;

/// What a tool does to the world. A label of the catalogue, confirmed by a person; ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads what the upstream holds.
    Read,
    /// Reads from somewhere that an argument names: the web, a path, another system.
    Fetch,
    /// Changes what the upstream holds.
    Write,
    /// Sends something to others.
    Send,
    /// Deletes or overwrites beyond recall.
    Destroy,
    /// Changes who may do what.
    Admin,
}

impl Effect {
    /// All effects, from harmless to grave.
    pub const ALL: [Self; 6] = [Self::Read, Self::Fetch, Self::Write, Self::Send, Self::Destroy, Self::Admin];

    /// All effects but administration: what an agent does on an ordinary day.
    pub fn everyday() -> BTreeSet<Self> {
        Self::ALL.into_iter().filter(|effect| *effect != Self::Admin).collect()
    }

    /// The effect as written in documents; also the name of its Cedar action group.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Fetch => "fetch",
            Self::Write => "write",
            Self::Send => "send",
            Self::Destroy => "destroy",
            Self::Admin => "admin",
        }
    }

    /// The effect that is written like this.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effect| effect.as_str() == text)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One exact act, as it will be forwarded.
///
/// INVARIANT: `arguments` is the value that is decided on, digested and forwarded; there is no second copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// The server at which it happens.
    pub server: Name,
    /// What happens there.
    pub kind: ActKind,
    /// The arguments of a tool or a prompt; `null` or an object. Other acts have none.
    pub arguments: Json,
}

/// The kinds of acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ActKind {
    /// Calls a tool (MCP `tools/call`).
    Tool {
        /// The tool's name, verbatim.
        name: String,
        /// The SHA-256 of the definition that the server shows now; must be the pinned one.
        definition_hash: [u8; 32],
        /// What the catalogue says that the tool does.
        effect: Effect,
    },
    /// Reads or subscribes to a resource (MCP `resources/read`).
    Resource {
        /// The resource's URI, verbatim.
        uri: String,
    },
    /// Gets a prompt (MCP `prompts/get`).
    Prompt {
        /// The prompt's name, verbatim.
        name: String,
    },
    /// Opens a session at the server.
    Open,
    /// Lists what the server offers; each entry is decided by itself.
    List,
}

impl Act {
    /// How the act reads in a message: `crm/refund`, `crm resource file:///x`.
    pub fn describe(&self) -> String {
        let server = &self.server;
        match &self.kind {
            ActKind::Tool { name, .. } => format!("tool `{server}/{}`", shorten(name)),
            ActKind::Resource { uri } => format!("resource `{}` of `{server}`", shorten(uri)),
            ActKind::Prompt { name } => format!("prompt `{}` of `{server}`", shorten(name)),
            ActKind::Open => format!("a session at `{server}`"),
            ActKind::List => format!("the list of `{server}`"),
        }
    }
}

/// At most 80 characters of a text from outside, without control characters, for messages.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::Effect;

    #[test]
    fn effects_round_trip_in_documents_and_are_ordered_by_gravity() {
        for pair in Effect::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for effect in Effect::ALL {
            assert_eq!(Effect::parse(effect.as_str()), Some(effect));
            assert_eq!(serde_json::to_value(effect).unwrap(), effect.as_str());
        }
        assert_eq!(Effect::parse("Read"), None);
    }
}
