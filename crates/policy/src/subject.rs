//! Who acts: principals with what they belong to, ready for evaluation.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, LazyLock},
};

use cedar_policy_core::ast;

macro_rules! entity_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The types of entities that policies can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntityKind { $($(#[$doc])* $name,)* }

        impl EntityKind {
            /// All kinds, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The Cedar entity type.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind with this Cedar entity type.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

entity_kinds! {
    /// A person.
    Person = "Person";
    /// A group of persons.
    PersonGroup = "PersonGroup";
    /// A role that persons hold everywhere.
    PersonRole = "PersonRole";
    /// An agent.
    Agent = "Agent";
    /// A group of agents.
    AgentGroup = "AgentGroup";
    /// A role that agents hold everywhere.
    AgentRole = "AgentRole";
    /// The template that an agent was made from.
    Blueprint = "Blueprint";
    /// A service, bot or script.
    Workload = "Workload";
    /// A group of workloads.
    WorkloadGroup = "WorkloadGroup";
    /// A role that workloads hold everywhere.
    WorkloadRole = "WorkloadRole";
    /// A role held on one thing, `reader@crm`: what a grant gives.
    RoleOn = "RoleOn";
    /// An upstream server.
    Server = "Server";
    /// A tool of a server, `crm/refund`.
    Tool = "Tool";
    /// A resource of a server, `crm/file:///x`.
    Resource = "Resource";
    /// A prompt of a server, `crm/greeting`.
    Prompt = "Prompt";
}

impl EntityKind {
    /// What a principal of this kind can belong to; empty for what is no principal.
    ///
    /// SECURITY: groups of persons and of agents are different types, so that an agent never gains what was
    /// given to persons by standing in their group.
    pub const fn parents(self) -> &'static [Self] {
        match self {
            Self::Person => &[Self::PersonGroup, Self::PersonRole, Self::RoleOn],
            Self::Agent => &[Self::AgentGroup, Self::AgentRole, Self::Blueprint, Self::RoleOn],
            Self::Workload => &[Self::WorkloadGroup, Self::WorkloadRole, Self::RoleOn],
            _ => &[],
        }
    }

    /// Whether one of this kind can act.
    pub const fn is_principal(self) -> bool {
        !self.parents().is_empty()
    }

    pub(crate) fn entity_type(self) -> ast::EntityType {
        TYPES.get(&self).cloned().unwrap_or_else(|| unreachable!("every kind is in the table"))
    }
}

#[expect(clippy::expect_used, reason = "the names are literals, all parsed by a test")]
static TYPES: LazyLock<BTreeMap<EntityKind, ast::EntityType>> = LazyLock::new(|| {
    EntityKind::ALL
        .iter()
        .map(|&kind| (kind, kind.as_str().parse().expect("a well-formed type name")))
        .collect()
});

/// A reference to an entity: its kind and its id, verbatim.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntityRef {
    kind: EntityKind,
    uid: ast::EntityUID,
}

impl EntityRef {
    /// The entity of this kind with this id. Ids may hold any characters.
    pub fn new(kind: EntityKind, id: &str) -> Self {
        Self { kind, uid: ast::EntityUID::from_components(kind.entity_type(), ast::Eid::new(id), None) }
    }

    /// The role `role` on the thing `on`: `reader@crm`.
    pub fn role_on(role: &str, on: &str) -> Self {
        Self::new(EntityKind::RoleOn, &format!("{role}@{on}"))
    }

    /// The kind.
    pub const fn kind(&self) -> EntityKind {
        self.kind
    }

    /// The id, verbatim.
    pub fn id(&self) -> &str {
        self.uid.eid().as_ref()
    }

    pub(crate) const fn uid(&self) -> &ast::EntityUID {
        &self.uid
    }
}

impl fmt::Display for EntityRef {
    /// Cedar's form, for example `Person::"ada"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uid, f)
    }
}

impl fmt::Debug for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The value of an attribute of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    Text(String),
    /// Some texts, without order.
    Texts(Vec<String>),
}

/// A principal as one decision sees it: attributes, and everything that it belongs to.
///
/// Building one costs time per parent, using one does not: keep it as long as nothing about the principal changes
/// and no grant of it expires.
#[derive(Clone)]
pub struct Subject {
    reference: EntityRef,
    attributes: BTreeMap<String, AttributeValue>,
    entity: Arc<ast::Entity>,
    active: bool,
}

/// Why a subject cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The kind cannot act.
    #[error("{0} cannot act: a principal is a person, an agent or a workload")]
    NotAPrincipal(String),
    /// The principal cannot belong to that.
    #[error("{member} cannot belong to {parent}: the types do not fit")]
    WrongParent {
        /// The principal.
        member: String,
        /// What it was said to belong to.
        parent: String,
    },
}

impl Subject {
    /// A principal with what it belongs to.
    ///
    /// `parents` must be closed: the groups of its groups too, and one [`EntityKind::RoleOn`] for each role that
    /// it holds, directly or through a group, and that has not expired. `active` is false as soon as the principal,
    /// or the person who answers for it, has been disabled.
    pub fn new(
        reference: EntityRef,
        attributes: BTreeMap<String, AttributeValue>,
        parents: impl IntoIterator<Item = EntityRef>,
        active: bool,
    ) -> Result<Self, SubjectError> {
        let allowed = reference.kind.parents();
        if allowed.is_empty() {
            return Err(SubjectError::NotAPrincipal(reference.to_string()));
        }
        let mut ancestors = HashSet::new();
        for parent in parents {
            if !allowed.contains(&parent.kind) {
                return Err(SubjectError::WrongParent {
                    member: reference.to_string(),
                    parent: parent.to_string(),
                });
            }
            ancestors.insert(parent.uid);
        }
        let values = attributes.iter().map(|(name, value)| (name.as_str().into(), value.to_cedar().into()));
        let entity = ast::Entity::new_with_attr_partial_value(
            reference.uid.clone(),
            values,
            HashSet::new(),
            ancestors,
            std::iter::empty(),
        );
        Ok(Self { reference, attributes, entity: Arc::new(entity), active })
    }

    /// Who it is.
    pub const fn reference(&self) -> &EntityRef {
        &self.reference
    }

    /// What is known of it.
    pub const fn attributes(&self) -> &BTreeMap<String, AttributeValue> {
        &self.attributes
    }

    /// Whether it may act at all.
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// Whether it belongs to `parent`.
    pub fn belongs_to(&self, parent: &EntityRef) -> bool {
        self.entity.is_descendant_of(&parent.uid)
    }

    pub(crate) const fn entity(&self) -> &Arc<ast::Entity> {
        &self.entity
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("reference", &self.reference)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl AttributeValue {
    fn to_cedar(&self) -> ast::Value {
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Long(value) => ast::Value::new(ast::Literal::from(*value), None),
            Self::Text(text) => text.as_str().into(),
            Self::Texts(texts) => {
                ast::Value::set_of_lits(texts.iter().map(|text| ast::Literal::from(text.as_str())), None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{EntityKind, EntityRef, Subject, SubjectError};

    #[test]
    fn every_kind_has_a_cedar_type() {
        for &kind in EntityKind::ALL {
            assert_eq!(kind.entity_type().to_string(), kind.as_str());
            assert_eq!(EntityKind::parse(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn an_agent_cannot_stand_in_a_group_of_persons() {
        let agent = EntityRef::new(EntityKind::Agent, "bot");
        let group = EntityRef::new(EntityKind::PersonGroup, "finance");
        let refused = Subject::new(agent.clone(), BTreeMap::new(), [group.clone()], true).unwrap_err();
        assert_eq!(
            refused,
            SubjectError::WrongParent { member: agent.to_string(), parent: group.to_string() }
        );
    }

    #[test]
    fn a_group_cannot_act() {
        let group = EntityRef::new(EntityKind::PersonGroup, "finance");
        assert!(matches!(
            Subject::new(group, BTreeMap::new(), [], true),
            Err(SubjectError::NotAPrincipal(_))
        ));
    }

    #[test]
    fn ids_are_verbatim() {
        let odd = "a\"::b\n/ \u{202e}";
        assert_eq!(EntityRef::new(EntityKind::Person, odd).id(), odd);
    }
}
