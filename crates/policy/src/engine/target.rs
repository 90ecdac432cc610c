//! What acts are about: the catalogue, ready for look-up, and the resource and action entities of a request.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use base::Name;
use cedar_policy_core::ast::{self, Value};

use super::{
    catalogue::{Catalogue, PolicyProblem, ToolDefinition},
    load::Groups,
    schema,
    shape::{self, Field},
};
use crate::{Act, ActKind, DenialCode, Effect, EntityKind, EntityRef, decision::Cause};

/// The servers and tools of a catalogue.
#[derive(Debug)]
pub(crate) struct Targets {
    servers: HashMap<Name, HashMap<String, Arc<Tool>>>,
}

/// A tool, ready for use.
#[derive(Debug)]
pub(crate) struct Tool {
    server: Name,
    name: String,
    pub(crate) effect: Effect,
    pub(crate) definition_hash: [u8; 32],
    pub(crate) arguments: BTreeMap<String, Field>,
    action: ast::EntityUID,
    reference: EntityRef,
    labels: Value,
}

/// An act found in the catalogue, without its arguments.
#[derive(Debug)]
pub(crate) struct Target {
    /// The action.
    pub(crate) action: ast::EntityUID,
    /// The resource, with the server above it and the roles that cover the act.
    pub(crate) resource: Arc<ast::Entity>,
    /// The tool, if it is one.
    pub(crate) tool: Option<Arc<Tool>>,
}

impl Tool {
    fn new(definition: &ToolDefinition) -> Self {
        let id = format!("{}/{}", definition.server, definition.name);
        Self {
            server: definition.server.clone(),
            name: definition.name.clone(),
            effect: definition.effect,
            definition_hash: definition.definition_hash,
            arguments: shape::arguments(&definition.input_schema),
            action: action_uid(&id),
            reference: EntityRef::new(EntityKind::Tool, &id),
            labels: Value::set_of_lits(definition.labels.iter().map(|label| label.as_str().into()), None),
        }
    }

    /// `server/tool`, verbatim; also the name of its action.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }
}

impl Targets {
    /// Takes the catalogue in; a tool that stands there twice is a problem.
    pub(crate) fn new(catalogue: &Catalogue) -> Result<Self, Vec<PolicyProblem>> {
        let mut servers: HashMap<Name, HashMap<String, Arc<Tool>>> =
            catalogue.servers.iter().map(|server| (server.clone(), HashMap::new())).collect();
        let mut problems = Vec::new();
        for definition in &catalogue.tools {
            let tools = servers.entry(definition.server.clone()).or_default();
            if tools.insert(definition.name.clone(), Arc::new(Tool::new(definition))).is_some() {
                problems.push(PolicyProblem {
                    source: "catalogue".to_owned(),
                    policy: "catalogue".to_owned(),
                    line: 0,
                    message: format!("tool `{}/{}` stands there twice", definition.server, definition.name),
                    help: "keep one of the two definitions".to_owned(),
                });
            }
        }
        if problems.is_empty() { Ok(Self { servers }) } else { Err(problems) }
    }

    /// All tools, in no order.
    pub(crate) fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.servers.values().flat_map(HashMap::values).map(AsRef::as_ref)
    }

    /// The groups of tools by effect.
    pub(crate) fn groups(&self) -> Groups {
        let group = |effect: &Effect| action_uid(effect.as_str());
        let used: HashSet<Effect> = self.tools().map(|tool| tool.effect).collect();
        let all = Effect::ALL.iter().map(group).collect();
        let empty = Effect::ALL.iter().filter(|effect| !used.contains(effect)).map(group).collect();
        Groups { all, empty }
    }

    /// The act in the catalogue.
    pub(crate) fn find(&self, act: &Act, roles: &[EntityRef]) -> Result<Target, Cause> {
        let tools = self.servers.get(&act.server).ok_or_else(|| unknown(act))?;
        let server = EntityRef::new(EntityKind::Server, act.server.as_str());
        let id = |name: &str| format!("{}/{name}", act.server);
        let text = |name: &'static str, value: &str| (name, Value::from(value));
        let (action, reference, attributes, tool) = match &act.kind {
            ActKind::Tool { name, definition_hash, effect } => {
                let tool = tools.get(name).ok_or_else(|| unknown(act))?;
                // SECURITY: what was labelled and approved is this definition with this effect, and no other.
                if tool.definition_hash != *definition_hash || tool.effect != *effect {
                    return Err(Cause::new(
                        DenialCode::DefinitionChanged,
                        format!("the definition of {} is not the one that was approved", act.describe()),
                        "an administrator must review the new definition",
                    ));
                }
                let attributes = vec![
                    text("name", name),
                    text("effect", effect.as_str()),
                    ("labels", tool.labels.clone()),
                ];
                (tool.action.clone(), tool.reference.clone(), attributes, Some(Arc::clone(tool)))
            }
            ActKind::Resource { uri } => {
                let reference = EntityRef::new(EntityKind::Resource, &id(uri));
                (action_uid(schema::READ_RESOURCE), reference, vec![text("uri", uri)], None)
            }
            ActKind::Prompt { name } => {
                let reference = EntityRef::new(EntityKind::Prompt, &id(name));
                (action_uid(schema::GET_PROMPT), reference, vec![text("name", name)], None)
            }
            ActKind::Open => {
                (action_uid(schema::OPEN), server.clone(), vec![text("name", server.id())], None)
            }
            ActKind::List => {
                (action_uid(schema::LIST), server.clone(), vec![text("name", server.id())], None)
            }
        };
        let above = if reference == server { None } else { Some(server.uid().clone()) };
        let resource = resource(&reference, attributes, above, roles);
        Ok(Target { action, resource, tool })
    }
}

fn resource(
    reference: &EntityRef,
    attributes: Vec<(&'static str, Value)>,
    above: Option<ast::EntityUID>,
    roles: &[EntityRef],
) -> Arc<ast::Entity> {
    let roles = roles
        .iter()
        .filter(|role| role.kind() == EntityKind::RoleOn)
        .map(|role| ast::Literal::EntityUID(Arc::new(role.uid().clone())));
    let attributes = attributes
        .into_iter()
        .chain([("roles", Value::set_of_lits(roles, None))])
        .map(|(name, value)| (name.into(), value.into()));
    Arc::new(ast::Entity::new_with_attr_partial_value(
        reference.uid().clone(),
        attributes,
        HashSet::new(),
        above.into_iter().collect(),
        std::iter::empty(),
    ))
}

/// The Cedar action with this name.
pub(crate) fn action_uid(id: &str) -> ast::EntityUID {
    ast::EntityUID::from_components(ACTION.clone(), ast::Eid::new(id), None)
}

#[expect(clippy::expect_used, reason = "the literal is parsed by every test of this crate")]
static ACTION: std::sync::LazyLock<ast::EntityType> =
    std::sync::LazyLock::new(|| "Action".parse().expect("a well-formed type name"));

fn unknown(act: &Act) -> Cause {
    Cause::new(
        DenialCode::UnknownTarget,
        format!("there is no {} in the catalogue", act.describe()),
        "list what the server offers and use one of those",
    )
}
