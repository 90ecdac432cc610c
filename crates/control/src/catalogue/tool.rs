//! Tools: callable things on servers, each with a pinned definition and an effect.

use base::{AnyId, Error, EventKind, ServerId, Timestamp, ToolId};
use policy::Effect;
use serde::{Deserialize, Serialize};
use wire::json::Json;

use super::CatalogueRefusal;
use crate::{
    kind::{Kind, Statements, Thing, statements},
    snapshot::Snapshot,
};

/// The largest definition of a tool, in bytes.
const DEFINITION_BYTES_MAX: usize = 256 * 1024;
/// The longest name of a tool, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The kind of tools. A tool's name in the catalogue is `{server}/{tool}`; server names hold no `/`.
#[derive(Debug)]
pub struct Tool;

/// Whether a tool can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    /// Its definition is the one that was pinned.
    Pinned,
    /// Its server showed another definition: stopped until a person approves it.
    Quarantined,
}

/// Who says what effect a tool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectSource {
    /// Writ, from the server's annotations; conservative where they are silent.
    Guessed,
    /// A person.
    Confirmed,
}

/// What is written about a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// The name of its server.
    pub server: String,
    /// Its name on the server, as the server spells it.
    pub tool: String,
    /// The definition as the server gave it, as JSON text.
    pub definition: String,
    /// What calling it does.
    #[schema(value_type = String)]
    pub effect: Effect,
    /// Who says so.
    pub effect_source: EffectSource,
    /// Whether it can be called.
    pub state: ToolState,
    /// While quarantined: the definition that was seen instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// SHA-256 of what approving pins, hexadecimal: of the definition that was seen, else of the pinned one. Derived;
    /// what is written here is not read.
    #[serde(default)]
    pub digest: String,
}

/// A tool as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolBody {
    /// Its server.
    pub server: ServerId,
    /// Its name on the server.
    pub tool: String,
    /// The pinned definition, canonical JSON.
    pub definition: String,
    /// SHA-256 of the pinned definition, hexadecimal.
    pub digest: String,
    /// What calling it does.
    pub effect: Effect,
    /// Who says so.
    pub effect_source: EffectSource,
    /// Whether it can be called.
    pub state: ToolState,
    /// While quarantined: the definition that was seen instead.
    pub seen: Option<String>,
}

impl ToolBody {
    /// The digest of the definition that approving the tool would pin: of the one that was seen, else of the pinned
    /// one. Whoever approves names it.
    pub(crate) fn candidate_digest(&self) -> String {
        self.seen.as_ref().map_or_else(|| self.digest.clone(), |seen| definition_digest(seen.as_bytes()))
    }

    /// The digest of the definition that its server shows now, as decisions compare it with the pinned one. A
    /// quarantined tool shows another one, or nobody knows which.
    pub fn shown_digest(&self) -> [u8; 32] {
        const NONE: [u8; 32] = [0; 32];
        let mut digest = NONE;
        match self.state {
            ToolState::Pinned if hex::decode_to_slice(&self.digest, &mut digest).is_ok() => digest,
            ToolState::Pinned | ToolState::Quarantined => NONE,
        }
    }
}

impl Kind for Tool {
    const KIND: &'static str = "Tool";
    const PLURAL: &'static str = "tools";
    const SQL: Statements = statements!("tool");
    const CREATED: EventKind = EventKind::ToolPinned;
    const UPDATED: EventKind = EventKind::ToolLabelled;
    const DELETED: Option<EventKind> = Some(EventKind::ToolDeleted);

    type Id = ToolId;
    type Spec = ToolSpec;
    type Body = ToolBody;

    fn resolve(
        spec: ToolSpec,
        _before: Option<&Thing<Self>>,
        known: &Snapshot,
        _now: Timestamp,
    ) -> Result<ToolBody, Error> {
        let server = known.servers.named(&spec.server).ok_or(CatalogueRefusal::NoSuchServer(spec.server))?;
        let observed = Observed::parse(spec.definition.as_bytes())?;
        Ok(ToolBody {
            server: server.id.clone(),
            tool: spec.tool,
            digest: observed.digest,
            definition: observed.canonical,
            effect: spec.effect,
            effect_source: spec.effect_source,
            state: spec.state,
            seen: spec.seen,
        })
    }

    fn spec(body: &ToolBody, known: &Snapshot) -> ToolSpec {
        ToolSpec {
            server: known.servers.name_of(&body.server),
            tool: body.tool.clone(),
            definition: body.definition.clone(),
            effect: body.effect,
            effect_source: body.effect_source,
            state: body.state,
            seen: body.seen.clone(),
            digest: body.candidate_digest(),
        }
    }

    fn held_by(thing: &Thing<Self>, known: &Snapshot) -> Option<String> {
        let id = AnyId::from(&thing.id);
        let grant = known.grants.iter().find(|grant| grant.body.on.id().as_ref() == Some(&id));
        grant.map(|grant| format!("grant `{}` is on tool `{}`", grant.name, thing.name))
    }

    fn facts(body: &ToolBody) -> serde_json::Value {
        serde_json::json!({ "server": body.server, "definition": body.digest, "effect": body.effect, "state": body.state })
    }
}

/// A tool's definition as a server showed it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The tool's name, as the server spells it.
    pub name: String,
    /// The definition in canonical JSON.
    pub canonical: String,
    /// SHA-256 of the canonical definition, hexadecimal.
    pub digest: String,
    /// The definition itself.
    pub definition: Json,
}

impl Observed {
    /// Reads one element of a `tools/list` answer.
    pub fn parse(text: &[u8]) -> Result<Self, CatalogueRefusal> {
        let definition = Json::parse(text)
            .map_err(|error| CatalogueRefusal::Definition { tool: "?".into(), why: error.to_string() })?;
        Self::new(definition)
    }

    /// Checks a definition: a named object of bounded size whose input schema is an object.
    pub fn new(definition: Json) -> Result<Self, CatalogueRefusal> {
        let name = definition.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
        let refuse = |why: &str| CatalogueRefusal::Definition {
            tool: name.chars().take(80).collect(),
            why: why.to_owned(),
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(refuse("`name` must be a text of 1 to 256 bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err(refuse("`name` holds control characters"));
        }
        if definition.get("inputSchema").is_none_or(|schema| schema.as_object().is_none()) {
            return Err(refuse("`inputSchema` must be an object"));
        }
        let canonical = definition.canonical();
        if canonical.len() > DEFINITION_BYTES_MAX {
            return Err(refuse("the definition is larger than 256 KiB"));
        }
        let digest = definition_digest(&canonical);
        let canonical = String::from_utf8(canonical).map_err(|_| refuse("the definition is not UTF-8"))?;
        Ok(Self { name, canonical, digest, definition })
    }
}

/// SHA-256 of a canonical definition, hexadecimal.
pub fn definition_digest(canonical: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical))
}

/// A first guess of a tool's effect from MCP annotations (2025-06-18, schema `ToolAnnotations`).
///
/// SECURITY: annotations are the server's own claims. Silence is read the dangerous way, as the specification's
/// defaults do (`destructiveHint` true, `openWorldHint` true), and a person confirms before a role that covers
/// little is given out on the strength of a guess.
pub fn guess_effect(definition: &Json) -> Effect {
    let hint = |name: &str| {
        definition.get("annotations").and_then(|annotations| annotations.get(name)).and_then(|value| {
            match value {
                Json::Bool(flag) => Some(*flag),
                _ => None,
            }
        })
    };
    match (
        hint("readOnlyHint").unwrap_or(false),
        hint("openWorldHint").unwrap_or(true),
        hint("destructiveHint").unwrap_or(true),
    ) {
        (true, false, _) => Effect::Read,
        (true, true, _) => Effect::Fetch,
        (false, _, true) => Effect::Destroy,
        (false, true, false) => Effect::Send,
        (false, false, false) => Effect::Write,
    }
}

#[cfg(test)]
mod tests {
    use policy::Effect;
    use wire::json::Json;

    use super::{Observed, guess_effect};

    fn parse(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn silence_is_dangerous() {
        assert_eq!(guess_effect(&parse("{}")), Effect::Destroy);
        assert_eq!(guess_effect(&parse(r#"{"annotations":{"readOnlyHint":"true"}}"#)), Effect::Destroy);
        assert_eq!(guess_effect(&parse(r#"{"annotations":{"readOnlyHint":true}}"#)), Effect::Fetch);
        assert_eq!(
            guess_effect(&parse(r#"{"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#)),
            Effect::Read
        );
        assert_eq!(guess_effect(&parse(r#"{"annotations":{"destructiveHint":false}}"#)), Effect::Send);
    }

    #[test]
    fn any_change_changes_the_digest_and_order_does_not() {
        let one = Observed::parse(br#"{"name":"t","inputSchema":{},"description":"a"}"#).unwrap();
        let same = Observed::parse(br#"{"description":"a","inputSchema":{},"name":"t"}"#).unwrap();
        let other = Observed::parse(br#"{"name":"t","inputSchema":{},"description":"a "}"#).unwrap();
        assert_eq!(one.digest, same.digest);
        assert_ne!(one.digest, other.digest);
    }
}
