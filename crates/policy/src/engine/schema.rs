//! The Cedar schema of a catalogue.
//!
//! One action per tool, named `server/tool`, within the group of its effect; the actions `read_resource`,
//! `get_prompt`, `open` and `list` beside them. The groups can be asked about themselves, too: a policy on
//! `action in Action::"write"` is checked against a tool without known arguments, so that a tool that comes tomorrow
//! cannot make it invalid. Server names hold no `/`, so no tool can take the name of a group or of another action.

use cedar_policy_core::{
    extensions::Extensions,
    validator::{RawName, ValidatorSchema, json_schema::Fragment},
};
use serde_json::{Map, Value, json};

use super::{
    catalogue::{AttributeType, Catalogue, PolicyProblem, Vocabulary},
    shape::{self, record, texts},
    target::Targets,
};
use crate::{Effect, EntityKind};

/// The action of reading a resource.
pub(crate) const READ_RESOURCE: &str = "read_resource";
/// The action of getting a prompt.
pub(crate) const GET_PROMPT: &str = "get_prompt";
/// The action of opening a session.
pub(crate) const OPEN: &str = "open";
/// The action of listing.
pub(crate) const LIST: &str = "list";

/// The schema, or Cedar's complaint.
pub(crate) fn build(catalogue: &Catalogue, targets: &Targets) -> Result<ValidatorSchema, String> {
    let schema = described(catalogue, targets);
    ValidatorSchema::from_json_value(schema, Extensions::all_available()).map_err(|error| error.to_string())
}

/// The schema against which policies are checked, in Cedar's own words.
pub fn schema_text(catalogue: &Catalogue) -> Result<String, Vec<PolicyProblem>> {
    let schema = described(catalogue, &Targets::new(catalogue)?);
    let words = Fragment::<RawName>::from_json_value(schema)
        .map_err(|error| error.to_string())
        .and_then(|fragment| fragment.to_cedarschema().map_err(|error| error.to_string()));
    // Cedar spells its own types out in full, so that no entity could take their names; none of ours does.
    words
        .map(|text| text.replace(": __cedar::", ": ").replace("Set<__cedar::", "Set<"))
        .map_err(|message| vec![PolicyProblem::of_catalogue(message)])
}

fn described(catalogue: &Catalogue, targets: &Targets) -> Value {
    let mut actions = Map::new();
    for effect in Effect::ALL {
        actions.insert(effect.as_str().to_owned(), action(&[], EntityKind::Tool, no_arguments()));
    }
    let reads = [Effect::Read];
    actions.insert(READ_RESOURCE.to_owned(), action(&reads, EntityKind::Resource, no_arguments()));
    actions.insert(GET_PROMPT.to_owned(), action(&reads, EntityKind::Prompt, no_arguments()));
    actions.insert(OPEN.to_owned(), action(&[], EntityKind::Server, no_arguments()));
    actions.insert(LIST.to_owned(), action(&[], EntityKind::Server, no_arguments()));
    for tool in targets.tools() {
        let arguments = shape::record_of(&tool.arguments);
        actions.insert(tool.id(), action(&[tool.effect], EntityKind::Tool, arguments));
    }
    json!({"": {"entityTypes": entity_types(&catalogue.vocabulary), "actions": actions}})
}

fn action(groups: &[Effect], resource: EntityKind, arguments: Value) -> Value {
    let groups: Vec<Value> = groups.iter().map(|effect| json!({"id": effect.as_str()})).collect();
    let principals = [EntityKind::Person, EntityKind::Agent, EntityKind::Workload].map(EntityKind::as_str);
    json!({
        "memberOf": groups,
        "appliesTo": {
            "principalTypes": principals,
            "resourceTypes": [resource.as_str()],
            "context": context(arguments),
        },
    })
}

fn no_arguments() -> Value {
    record([])
}

/// What [`super::context`] fills.
fn context(arguments: Value) -> Value {
    let long = || json!({"type": "Long"});
    let text = || json!({"type": "String"});
    let task = record([
        ("purpose", text(), true),
        ("depth", long(), true),
        ("calls_left", long(), false),
        ("bytes_left", long(), false),
    ]);
    record([
        ("arguments", arguments, true),
        ("unmapped", texts(), true),
        ("task", task, true),
        ("now", json!({"type": "Extension", "name": "datetime"}), true),
        ("acr", text(), false),
        ("for_person", json!({"type": "Boolean"}), true),
    ])
}

fn entity_types(vocabulary: &Vocabulary) -> Map<String, Value> {
    let text = || json!({"type": "String"});
    let roles = || json!({"type": "Set", "element": {"type": "Entity", "name": EntityKind::RoleOn.as_str()}});
    EntityKind::ALL
        .iter()
        .map(|&kind| {
            let parents: Vec<&str> = match kind {
                EntityKind::Tool | EntityKind::Resource | EntityKind::Prompt => {
                    vec![EntityKind::Server.as_str()]
                }
                principal => principal.parents().iter().map(|parent| parent.as_str()).collect(),
            };
            let shape = match kind {
                EntityKind::Tool => record([
                    ("name", text(), true),
                    ("effect", text(), true),
                    ("labels", texts(), true),
                    ("roles", roles(), true),
                ]),
                EntityKind::Resource => record([("uri", text(), true), ("roles", roles(), true)]),
                EntityKind::Prompt | EntityKind::Server => {
                    record([("name", text(), true), ("roles", roles(), true)])
                }
                other => attributes(vocabulary, other),
            };
            (kind.as_str().to_owned(), json!({"memberOfTypes": parents, "shape": shape}))
        })
        .collect()
}

fn attributes(vocabulary: &Vocabulary, kind: EntityKind) -> Value {
    let declared = vocabulary.of(kind).into_iter().flatten();
    record(declared.map(|(name, ty)| {
        let ty = match ty {
            AttributeType::Bool => json!({"type": "Boolean"}),
            AttributeType::Long => json!({"type": "Long"}),
            AttributeType::Text => json!({"type": "String"}),
            AttributeType::Texts => texts(),
        };
        (name.as_str(), ty, false)
    }))
}
