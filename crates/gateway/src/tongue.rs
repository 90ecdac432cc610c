//! How a server is spoken to, and what it offers.

use http::HeaderValue;
use wire::{
    json::{Json, Object},
    mcp::{Revision, RpcError, STATELESS, TASKS_EXTENSION, code, meta},
};

use crate::{Passes, upstream::Trouble};

/// How long the capabilities, and the name and version, of a client or a server may be, in bytes; and a server's
/// instructions. They are kept with each session, and told in every request of 2026-07-28.
pub(crate) const INTRODUCTION_BYTES_MAX: usize = 16 * 1024;
pub(crate) const INSTRUCTIONS_BYTES_MAX: usize = 64 * 1024;

/// Whether what a client says of itself is short enough.
pub(crate) fn check_introduction(capabilities: &Object, info: Option<&Json>) -> Result<(), RpcError> {
    let capabilities = Json::Object(capabilities.clone());
    for (what, said) in [("the client's capabilities are", Some(&capabilities)), ("`clientInfo` is", info)] {
        if said.is_some_and(|said| is_longer(said, INTRODUCTION_BYTES_MAX)) {
            let why = format!("{what} longer than {INTRODUCTION_BYTES_MAX} bytes");
            return Err(RpcError::invalid_params(why));
        }
    }
    Ok(())
}

fn is_longer(said: &Json, bytes_max: usize) -> bool {
    said.to_text().len() > bytes_max
}

/// How a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    /// Within a session of this revision, under the server's id for it, where it gave one.
    Session { revision: Revision, id: Option<HeaderValue> },
    /// In requests that stand for themselves (2026-07-28).
    Stateless,
}

/// What a server offers, as far as the gate carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) capabilities: Object,
    /// Name and version, as the server says.
    pub(crate) info: Option<Json>,
    pub(crate) instructions: Option<Json>,
}

/// What the gate carries of a server's capabilities, and which of their switches.
const CARRIED: [(&str, &[&str]); 4] = [
    ("tools", &["listChanged"]),
    ("resources", &["subscribe", "listChanged"]),
    ("prompts", &["listChanged"]),
    ("completions", &[]),
];

impl Offer {
    /// Reads the result of `initialize`, and leaves in it only what the gate carries: the rest of it passes.
    pub(crate) fn of_initialize(result: &mut Json, passes: Passes) -> Result<(Revision, Self), Trouble> {
        let members = result.as_object_mut().ok_or(Trouble::Garbage("a result that is no object"))?;
        let revision =
            members.get("protocolVersion").and_then(Json::as_str).and_then(Revision::parse_of_server);
        let revision = revision.ok_or(Trouble::Revision)?;
        let offer = Self::read(members, passes)?;
        let info = members.get("serverInfo").cloned();
        Ok((revision, Self { info, ..offer }.bounded()?))
    }

    /// Reads the result of `server/discover` in the same way.
    pub(crate) fn of_discover(result: &mut Json, passes: Passes) -> Result<Self, Trouble> {
        let members = result.as_object_mut().ok_or(Trouble::Garbage("a result that is no object"))?;
        let versions = members.get("supportedVersions").and_then(Json::as_array);
        let is_spoken =
            versions.is_some_and(|versions| versions.iter().any(|v| v.as_str() == Some(STATELESS)));
        if !is_spoken {
            return Err(Trouble::Revision);
        }
        let offer = Self::read(members, passes)?;
        let info = members.get("_meta").and_then(|meta| meta.get(meta::SERVER_INFO)).cloned();
        Self { info, ..offer }.bounded()
    }

    fn bounded(self) -> Result<Self, Trouble> {
        let is_over = |said: &Option<Json>, max| said.as_ref().is_some_and(|said| is_longer(said, max));
        let capabilities = Json::Object(self.capabilities.clone());
        let is_too_long = is_longer(&capabilities, INTRODUCTION_BYTES_MAX)
            || is_over(&self.info, INTRODUCTION_BYTES_MAX)
            || is_over(&self.instructions, INSTRUCTIONS_BYTES_MAX);
        if is_too_long { Err(Trouble::Garbage("an introduction that is too long")) } else { Ok(self) }
    }

    fn read(members: &mut Object, passes: Passes) -> Result<Self, Trouble> {
        let offered = members.get("capabilities").and_then(Json::as_object);
        let offered = offered.ok_or(Trouble::Garbage("a server without capabilities"))?;
        let mut capabilities = Object::new();
        for (name, switches) in CARRIED {
            let Some(capability) = offered.get(name) else { continue };
            let mut kept = Object::new();
            for switch in switches {
                if capability.get(switch) == Some(&Json::Bool(true)) {
                    kept.insert(*switch, true);
                }
            }
            capabilities.insert(name, kept);
        }
        if passes.logging && offered.contains("logging") {
            capabilities.insert("logging", Object::new());
        }
        // Each of the two generations has its own kind of tasks, and neither can be told as the other.
        if let Some(tasks) = offered.get("tasks").filter(|tasks| tasks.as_object().is_some()) {
            capabilities.insert("tasks", tasks.clone());
        }
        if let Some(tasks) = offered.get("extensions").and_then(|extensions| extensions.get(TASKS_EXTENSION))
        {
            capabilities.insert("extensions", Json::object([(TASKS_EXTENSION, tasks.clone())]));
        }
        members.insert("capabilities", with_changes(capabilities.clone()));
        Ok(Self { capabilities, info: None, instructions: members.get("instructions").cloned() })
    }

    /// What a client of another generation than the server's is told.
    fn told(&self) -> Object {
        let mut told = with_changes(self.capabilities.clone());
        told.remove("tasks");
        told.remove("extensions");
        told
    }

    /// Whether a capability has a switch turned on.
    pub(crate) fn has(&self, capability: &str, switch: &str) -> bool {
        let capability = self.capabilities.get(capability);
        capability.and_then(|capability| capability.get(switch)) == Some(&Json::Bool(true))
    }

    /// The result of `initialize` for a client of a server that knows no sessions.
    pub(crate) fn to_initialize(&self, revision: Revision, name: &str) -> Json {
        let mut members = Object::new();
        members.insert("protocolVersion", revision.as_str());
        members.insert("capabilities", self.told());
        members.insert("serverInfo", self.info_or(name));
        if let Some(instructions) = &self.instructions {
            members.insert("instructions", instructions.clone());
        }
        Json::Object(members)
    }

    /// The result of `server/discover` for a client of a server that knows nothing else but sessions. What makes it one
    /// of 2026-07-28 is added where all such results get it.
    pub(crate) fn to_discover(&self, name: &str) -> Json {
        let mut members = Object::new();
        members.insert("supportedVersions", spoken_versions());
        members.insert("capabilities", self.told());
        if let Some(instructions) = &self.instructions {
            members.insert("instructions", instructions.clone());
        }
        members.insert("_meta", Json::object([(meta::SERVER_INFO, self.info_or(name))]));
        Json::Object(members)
    }

    fn info_or(&self, name: &str) -> Json {
        let unknown = || Json::object([("name", Json::from(name)), ("version", Json::from("unknown"))]);
        self.info.clone().unwrap_or_else(unknown)
    }
}

/// That the lists of a server change: because the server says so, or because the rights of the client did, which Writ says.
fn with_changes(mut capabilities: Object) -> Object {
    for list in ["tools", "resources", "prompts"] {
        if let Some(offered) = capabilities.get_mut(list).and_then(Json::as_object_mut) {
            offered.insert("listChanged", true);
        }
    }
    capabilities
}

/// What the gate speaks with clients, newest first.
pub(crate) fn spoken_versions() -> Json {
    let sessions = Revision::ALL.iter().rev().map(|revision| revision.as_str());
    Json::array(std::iter::once(STATELESS).chain(sessions))
}

/// Whether a server refuses a request for its version and yet names that version among those that it speaks: it wants to
/// be asked once more.
pub(crate) fn wants_once_more(error: &RpcError) -> bool {
    let supported = error.data.as_ref().and_then(|data| data.get("supported")).and_then(Json::as_array);
    error.code == code::UNSUPPORTED_VERSION
        && supported.is_some_and(|all| all.iter().any(|version| version.as_str() == Some(STATELESS)))
}

/// What of a client's capabilities reaches a server: what the gate carries the other way.
pub(crate) fn carried_of_client(offered: &Object, passes: Passes) -> Object {
    let is_carried = |name: &str| match name {
        "elicitation" => true,
        "sampling" => passes.sampling,
        "roots" => passes.roots,
        _ => false,
    };
    let carried = offered.iter().filter(|(name, value)| is_carried(name) && value.as_object().is_some());
    let mut carried: Object = carried.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let extensions = offered.get("extensions");
    if let Some(tasks) = extensions.and_then(|extensions| extensions.get(TASKS_EXTENSION)) {
        carried.insert("extensions", Json::object([(TASKS_EXTENSION, tasks.clone())]));
    }
    carried
}

#[cfg(test)]
mod tests {
    use wire::{
        json::Json,
        mcp::{Revision, STATELESS},
    };

    use super::{Offer, carried_of_client};
    use crate::{Passes, upstream::Trouble};

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_server_promises_what_the_gate_carries() {
        let text = r#"{"protocolVersion":"2025-06-18","capabilities":{"logging":{},"experimental":{"x":{}},"tools":{"listChanged":true,"x":1},"resources":{"subscribe":true,"listChanged":"yes"},"completions":{}},"serverInfo":{"name":"s"},"instructions":"do"}"#;
        let mut result = json(text);
        let (revision, offer) = Offer::of_initialize(&mut result, Passes::default()).unwrap();
        assert_eq!(revision, Revision::V20250618);
        assert!(offer.has("resources", "subscribe") && !offer.has("resources", "listChanged"));
        assert_eq!(
            result.to_text(),
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{}},"serverInfo":{"name":"s"},"instructions":"do"}"#
        );
        let (_, offer) =
            Offer::of_initialize(&mut json(text), Passes { logging: true, ..Passes::default() }).unwrap();
        assert!(offer.capabilities.contains("logging"));
        for (text, trouble) in [
            (r#"{"protocolVersion":"2024-10-07","capabilities":{}}"#, Some(Trouble::Revision)),
            (r#"{"protocolVersion":"2025-06-18"}"#, None),
        ] {
            let read = Offer::of_initialize(&mut json(text), Passes::default());
            assert!(trouble.map_or(read.is_err(), |trouble| read == Err(trouble)), "{text}");
        }
    }

    #[test]
    fn an_offer_of_one_generation_is_told_in_the_other() {
        let mut result = json(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"prompts":{"listChanged":true}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"2"}}}"#,
        );
        let offer = Offer::of_discover(&mut result, Passes::default()).unwrap();
        let told = offer.to_initialize(Revision::V20251125, "x");
        let told = Offer::of_initialize(&mut told.clone(), Passes::default()).unwrap();
        assert_eq!(told, (Revision::V20251125, offer.clone()));
        let mut told = offer.to_discover("x");
        assert_eq!(told.pointer("/supportedVersions/0").and_then(Json::as_str), Some(STATELESS));
        assert_eq!(Offer::of_discover(&mut told, Passes::default()).unwrap(), offer);

        let nameless = Offer { info: None, ..offer };
        assert_eq!(
            nameless.to_initialize(Revision::LATEST, "crm").pointer("/serverInfo/name"),
            Some(&Json::from("crm"))
        );
        let mut old = json(r#"{"supportedVersions":["2025-11-25"],"capabilities":{}}"#);
        assert_eq!(Offer::of_discover(&mut old, Passes::default()), Err(Trouble::Revision));
    }

    #[test]
    fn of_a_client_passes_what_the_gate_carries() {
        let offered = r#"{"sampling":{},"roots":{"listChanged":true},"elicitation":{"url":{}},"experimental":{"x":{}}}"#;
        let offered = json(offered).into_object().unwrap();
        let kept = |passes| Json::Object(carried_of_client(&offered, passes)).to_text();
        assert_eq!(kept(Passes::default()), r#"{"elicitation":{"url":{}}}"#);
        let all = Passes { sampling: true, roots: true, logging: true };
        assert_eq!(kept(all), r#"{"sampling":{},"roots":{"listChanged":true},"elicitation":{"url":{}}}"#);
    }
}
