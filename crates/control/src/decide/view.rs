//! What a caller may use, digested: to see whether it has changed.

use base::{Name, ServerId};
use policy::{Act, ActKind};
use wire::json::Json;

use super::{Caller, Held, tasks};
use crate::{
    catalogue::{Server, ServerState, ToolState},
    control::Control,
    kind::Thing,
    opaque::sha256,
    snapshot::Snapshot,
    task::Task,
};

/// What a caller may use of one or all servers, digested by what is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The tools that it sees, with their pinned definitions.
    pub tools: [u8; 32],
    /// Where it may read resources. Which ones its task says, and that does not change.
    pub resources: [u8; 32],
    /// Where it may render prompts. Which ones its task says.
    pub prompts: [u8; 32],
}

impl Control {
    /// What a caller may use of a server, or of all of them, on the present snapshot. Nothing where the caller is dead.
    pub fn view_of(&self, caller: &Caller, server: Option<&ServerId>) -> View {
        let (known, now) = (self.snapshot(), self.now());
        let Ok(chain) = caller.alive(&known, now) else { return View::default() };
        let chain = tasks(&chain);
        let mut servers: Vec<_> = match server {
            Some(id) => known.servers.get(id).into_iter().collect(),
            None => known.servers.iter().collect(),
        };
        servers.retain(|server| server.body.state == ServerState::Active);
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        let (mut tools, mut resources, mut prompts) = (String::new(), String::new(), String::new());
        for server in servers {
            let Ok(name) = server.name.parse::<Name>() else { continue };
            let act = |kind| Act { server: name.clone(), kind, arguments: Json::Null };
            if !Self::sees(&known, &chain, &act(ActKind::Open), now) {
                continue;
            }
            let place = format!("{name}\0{}\0", server.body.url.as_str());
            for line in tool_lines(&known, server, |kind| Self::sees(&known, &chain, &act(kind), now)) {
                tools.push_str(&place);
                tools.push_str(&line);
            }
            let holds = |kind| holds(&known, &chain, &act(kind), now);
            if holds(ActKind::Resource { uri: String::new() }) {
                resources.push_str(&place);
            }
            if holds(ActKind::Prompt { name: String::new() }) {
                prompts.push_str(&place);
            }
        }
        let [tools, resources, prompts] = [tools, resources, prompts].map(|text| sha256(text.as_bytes()));
        View { tools, resources, prompts }
    }
}

/// The tools of a server that are seen, each with its definition, in one order.
fn tool_lines(known: &Snapshot, server: &Thing<Server>, sees: impl Fn(ActKind) -> bool) -> Vec<String> {
    let own = known.tools.iter().filter(|tool| tool.body.server == server.id);
    let shown = own.filter(|tool| {
        let body = &tool.body;
        let (name, definition_hash) = (body.tool.clone(), body.shown_digest());
        body.state == ToolState::Pinned && sees(ActKind::Tool { name, definition_hash, effect: body.effect })
    });
    let mut lines: Vec<String> =
        shown.map(|tool| format!("{}\0{}\0", tool.body.tool, tool.body.digest)).collect();
    lines.sort();
    lines
}

/// Whether everybody in a chain holds a role that covers an act, whatever their tasks say of it.
pub(super) fn holds(known: &Snapshot, chain: &[&Task], act: &Act, now: base::Timestamp) -> bool {
    let Ok(slice) = known.slice(chain, act, now) else { return false };
    let holds = |held: &Held| !held.roles.is_empty();
    slice.agents.iter().all(|seat| holds(&seat.agent)) && slice.person.iter().all(holds)
}
