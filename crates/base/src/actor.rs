//! Who acts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AgentId, PersonId, WorkloadId};

/// Who causes an event. Comes from a verified credential, never from a header or an argument.
///
/// INVARIANT: every actor leads to a person: agents and workloads through their owner, and the system acts only
/// on what persons set up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody is known yet: the request has not been authenticated.
    Anonymous,
    /// A person, directly.
    Person(PersonId),
    /// An agent, for itself or for a person; the chain is found through its task.
    Agent(AgentId),
    /// A workload, for itself.
    Workload(WorkloadId),
    /// Writ itself: start-up, expiry, sweeping. The text says which of its duties.
    System(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Person(id) => id.fmt(f),
            Self::Agent(id) => id.fmt(f),
            Self::Workload(id) => id.fmt(f),
            Self::System(duty) => write!(f, "system:{duty}"),
        }
    }
}
