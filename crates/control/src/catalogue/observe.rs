//! Comparing what servers show with what was pinned.

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc};

use base::{Error, EventKind, Fault, Position, ServerId};
use policy::Effect;
use serde::{Deserialize, Serialize};
use url::Url;
use wire::json::Json;

use super::{
    CatalogueRefusal, EffectSource, LabelSetSpec, Observed, Pass, Server, Tool, ToolBody, ToolSpec,
    ToolState, apply_labels, guess_effect,
};
use crate::{authority::Authority, control::Control, draft::Draft, kind::Thing};

/// The most tools of one server.
const TOOLS_MAX: usize = 2000;

/// How to reach a server: what the data plane needs to ask it for its tools.
pub struct Reach {
    /// Which server.
    pub server: ServerId,
    /// The address of its MCP endpoint.
    pub url: Url,
    /// A header with the credential.
    pub credential: Option<(http::HeaderName, http::HeaderValue)>,
    /// The certificates of its own authority, PEM.
    pub authority: Option<Arc<str>>,
    /// How long it may take, in seconds.
    pub timeout_seconds: i64,
    /// What passes between it and clients although it does not by itself.
    pub passes: BTreeSet<Pass>,
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct Told {
    /// The revision of MCP that it was spoken to in.
    pub revision: String,
    /// Its name and version, as it says.
    pub info: Option<Json>,
    /// What it offers, as far as it is carried.
    pub capabilities: Json,
    /// All definitions of its tools, as it gives them.
    pub tools: Vec<Json>,
}

/// Asks a server what it speaks and has. The data plane provides it: the control plane opens no connections.
pub type AskServer =
    Arc<dyn Fn(Reach) -> Pin<Box<dyn Future<Output = Result<Told, String>> + Send>> + Send + Sync>;

/// What came of asking a server, with nothing taken note of.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tested {
    /// The revision of MCP that it speaks with Writ.
    pub revision: String,
    /// Its name and version, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub info: Option<serde_json::Value>,
    /// What it offers, as far as it is carried.
    #[schema(value_type = Object)]
    pub capabilities: serde_json::Value,
    /// How many tools it has.
    pub tools: usize,
    /// How long the conversation took, in milliseconds.
    pub milliseconds: i64,
}

/// What was seen of a tool.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Seen {
    /// Its name on the server.
    pub tool: String,
    /// `created` (pinned now), `unchanged`, or `changed` (quarantined).
    pub outcome: String,
    /// What calling it does, confirmed or guessed.
    #[schema(value_type = String)]
    pub effect: Effect,
    /// Who says so.
    pub effect_source: EffectSource,
    /// Whether it can be called.
    pub state: ToolState,
}

impl Control {
    /// Asks a server what it speaks and offers. Changes nothing.
    pub async fn test_server(&self, server: &str) -> Result<Tested, Error> {
        let begun = self.now();
        let thing = self.server_named(server)?;
        let told = self.ask(&thing).await?;
        let shown = |json: &Json| serde_json::from_str(&json.to_text()).unwrap_or_default();
        Ok(Tested {
            revision: told.revision,
            info: told.info.as_ref().map(shown),
            capabilities: shown(&told.capabilities),
            tools: told.tools.len(),
            milliseconds: self.now().millis_since(begun),
        })
    }

    fn server_named(&self, server: &str) -> Result<Arc<Thing<Server>>, Error> {
        let missing = || CatalogueRefusal::NoSuchServer(server.to_owned());
        Ok(self.snapshot().servers.find(server).cloned().ok_or_else(missing)?)
    }

    async fn ask(&self, thing: &Thing<Server>) -> Result<Told, Error> {
        let reach = Reach {
            server: thing.id.clone(),
            url: thing.body.url.clone(),
            credential: thing.body.lease(&self.snapshot())?,
            authority: thing.body.tls_ca.clone(),
            timeout_seconds: thing.body.timeout_seconds,
            passes: thing.body.passes.clone(),
        };
        let ask =
            self.ask_server().ok_or_else(|| Fault::new("asking a server", "no data plane is attached"))?;
        let unreachable = |why| CatalogueRefusal::Unreachable { server: thing.name.to_string(), why };
        let told = ask(reach).await.map_err(unreachable)?;
        if told.tools.len() > TOOLS_MAX {
            return Err(unreachable(format!("it offers more than {TOOLS_MAX} tools")).into());
        }
        Ok(told)
    }

    /// Asks a server for its tools, pins those that are new and quarantines those that changed. An administrator
    /// does this: seeing a tool is no reason to trust it.
    pub async fn discover(&self, by: &impl Authority, server: &str) -> Result<Vec<Seen>, Error> {
        let thing = self.server_named(server)?;
        let definitions = self.ask(&thing).await?.tools;
        let observed = definitions.into_iter().map(Observed::new).collect::<Result<Vec<_>, _>>()?;
        let make = |draft: &mut Draft| {
            // SECURITY: what one address said is not pinned for another.
            let present = draft.known().servers.get(&thing.id).map(|server| server.body.url.clone());
            if present.as_ref() != Some(&thing.body.url) {
                return Err(CatalogueRefusal::Moved(thing.name.to_string()).into());
            }
            let seen = observed.iter().map(|tool| compare(draft, &thing, tool, true));
            seen.collect::<Result<Vec<_>, _>>()
        };
        let (seen, _) = self.change(by, make).await?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// Takes note of what a server showed to a client: pinned tools that changed are quarantined, before the client
    /// sees anything. New tools stay unknown until an administrator pins them.
    pub async fn observe(&self, server: &ServerId, observed: &[Observed]) -> Result<(), Error> {
        let known = self.snapshot();
        let Some(thing) = known.servers.get(server).cloned() else { return Ok(()) };
        drop(known);
        let make = |draft: &mut Draft| {
            observed.iter().try_for_each(|tool| compare(draft, &thing, tool, false).map(drop))
        };
        self.change(&self.system("compare tools"), make).await.map(drop)
    }

    /// Confirms what calling a tool does.
    pub async fn label_tool(
        &self,
        by: &impl Authority,
        server: &str,
        tool: &str,
        effect: Effect,
    ) -> Result<Option<Position>, Error> {
        let labels = LabelSetSpec { effects: [(tool.to_owned(), effect)].into() };
        let make = |draft: &mut Draft| apply_labels(draft, server, &labels);
        self.change(by, make).await.map(|((), position)| position)
    }

    /// Pins the definition that was seen of a quarantined tool. Its effect is guessed anew, since what was confirmed
    /// was confirmed of another definition.
    ///
    /// SECURITY: `digest` is that of the definition which the person looked at, as the tool's view shows it. Where
    /// another was seen since, nothing is pinned: nobody has read that one.
    pub async fn approve_tool(
        &self,
        by: &impl Authority,
        server: &str,
        tool: &str,
        digest: &str,
    ) -> Result<Option<Position>, Error> {
        let name = format!("{server}/{tool}");
        let make = |draft: &mut Draft| {
            let missing = || CatalogueRefusal::no_such_tool(server, tool, draft.known());
            let thing = draft.known().tools.named(&name).cloned().ok_or_else(missing)?;
            if thing.body.candidate_digest() != digest {
                return Err(CatalogueRefusal::DefinitionMoved(name.clone()).into());
            }
            let body = match &thing.body.seen {
                Some(seen) => pinned(&thing.body.server, Observed::parse(seen.as_bytes())?),
                None => ToolBody { state: ToolState::Pinned, ..thing.body.clone() },
            };
            draft.set_as::<Tool>(&name, Some(&thing), body, EventKind::ToolPinned)
        };
        self.change(by, make).await.map(|(_, position)| position)
    }
}

/// Compares one observed tool with what is pinned; `pin` says whether a new one enters the catalogue.
fn compare(
    draft: &mut Draft,
    server: &Thing<Server>,
    tool: &Observed,
    pin: bool,
) -> Result<Option<Seen>, Error> {
    let name = format!("{}/{}", server.name, tool.name);
    let before = draft.known().tools.named(&name).cloned();
    let outcome = match &before {
        None if !pin => return Ok(None),
        None => {
            let spec = ToolSpec {
                server: server.name.to_string(),
                tool: tool.name.clone(),
                definition: tool.canonical.clone(),
                effect: guess_effect(&tool.definition),
                effect_source: EffectSource::Guessed,
                state: ToolState::Pinned,
                seen: None,
                digest: tool.digest.clone(),
            };
            draft.put::<Tool>(&name, spec)?;
            "created"
        }
        Some(before) if before.body.digest == tool.digest => "unchanged",
        // Stopped already. A server that shows something new each time must not write a record each time.
        Some(before) if before.body.state == ToolState::Quarantined && !pin => "changed",
        Some(before) => {
            let body = ToolBody {
                state: ToolState::Quarantined,
                seen: Some(tool.canonical.clone()),
                ..before.body.clone()
            };
            draft.set_as::<Tool>(&name, Some(before), body, EventKind::ToolQuarantined)?;
            "changed"
        }
    };
    let now = draft.known().tools.named(&name).cloned();
    Ok(now.map(|now| Seen {
        tool: tool.name.clone(),
        outcome: outcome.to_owned(),
        effect: now.body.effect,
        effect_source: now.body.effect_source,
        state: now.body.state,
    }))
}

fn pinned(server: &ServerId, observed: Observed) -> ToolBody {
    ToolBody {
        server: server.clone(),
        tool: observed.name,
        effect: guess_effect(&observed.definition),
        effect_source: EffectSource::Guessed,
        state: ToolState::Pinned,
        seen: None,
        definition: observed.canonical,
        digest: observed.digest,
    }
}
