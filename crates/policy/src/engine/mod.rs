//! The engine: a catalogue and policies, compiled.
//!
//! Cedar does the evaluating. What stands around it is here: the schema of the catalogue, loading with checks,
//! the index of candidates, the conversion of arguments and the entities of a request. `decide.rs` puts it together.

mod catalogue;
mod context;
mod convert;
mod doubt;
mod index;
mod load;
mod rule;
mod schema;
mod shape;
mod target;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cedar_policy_core::{
    ast,
    entities::Schema as _,
    validator::{CoreSchema, Validator},
};

pub use self::catalogue::{
    AttributeType, Catalogue, PolicyProblem, PolicySource, ToolDefinition, Vocabulary,
};
pub use self::doubt::{Doubt, doubts, is_without_policies};
pub use self::schema::schema_text;
pub(crate) use self::{
    context::Arguments,
    convert::Unreadable,
    rule::{Rule, RuleKind},
    target::Target,
};
use self::{index::Index, load::Loader, target::Targets};
use crate::{Circumstances, Subject};

/// A catalogue and policies, compiled. Immutable: a change makes a new engine, and the two are swapped.
#[derive(Debug)]
pub struct Engine {
    validator: Validator,
    vocabulary: Vocabulary,
    targets: Targets,
    rules: Vec<Rule>,
    index: Index,
    digest: [u8; 32],
    /// Tells it from every other engine.
    identity: Arc<()>,
}

/// The policies that Writ brings along.
const BUILTIN: &str = include_str!("../../../../policies/builtin.cedar");

impl Engine {
    /// Compiles the catalogue and the policies, and the built-in ones.
    ///
    /// Gives all problems at once; a set with a problem is not loaded in part. Policies are checked strictly against
    /// the types of the catalogue: one that reads what is not there, or that can never match, is a problem.
    pub fn compile(catalogue: &Catalogue, policies: &[PolicySource]) -> Result<Self, Vec<PolicyProblem>> {
        let targets = Targets::new(catalogue)?;
        let schema = schema::build(catalogue, &targets)
            .map_err(|message| vec![PolicyProblem::of_catalogue(message)])?;
        let validator = Validator::new(schema);
        let groups = targets.groups();
        let mut loader = Loader::new(&validator, &groups);
        loader.load(&PolicySource { id: "builtin".to_owned(), text: BUILTIN.to_owned() });
        for source in policies {
            loader.load(source);
        }
        let Loader { rules, problems, .. } = loader;
        if !problems.is_empty() {
            return Err(problems);
        }
        let index = Index::new(&rules);
        let digest = digest_of(&rules);
        Ok(Self {
            validator,
            vocabulary: catalogue.vocabulary.clone(),
            targets,
            rules,
            index,
            digest,
            identity: Arc::default(),
        })
    }

    /// The SHA-256 over the ids and texts of all policies, in order of their ids: the revision of the set.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many policies there are, the built-in ones included.
    pub fn policy_count(&self) -> usize {
        self.rules.len()
    }

    /// What no other engine has.
    pub(crate) const fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    pub(crate) const fn targets(&self) -> &Targets {
        &self.targets
    }

    pub(crate) fn schema(&self) -> CoreSchema<'_> {
        CoreSchema::new(self.validator.schema())
    }

    /// The action's entity with its groups.
    ///
    /// SECURITY: without it in the store, `action in group` would be false without an error.
    pub(crate) fn action(&self, uid: &ast::EntityUID) -> Option<Arc<ast::Entity>> {
        self.schema().action(uid)
    }

    pub(crate) fn rule(&self, at: usize) -> &Rule {
        &self.rules[at]
    }

    /// The policies that can match, by their place.
    pub(crate) fn candidates(
        &self,
        principal: &ast::Entity,
        action: &ast::Entity,
        resource: &ast::Entity,
    ) -> Vec<usize> {
        self.index.candidates(&self.rules, principal, action, resource)
    }

    /// Whether each attribute has its declared type. A value of another type would make `==` false without an
    /// error, and a forbid that compares it would be passed over.
    pub(crate) fn knows_attributes_of(&self, subject: &Subject) -> bool {
        let declared = self.vocabulary.of(subject.reference().kind());
        subject.attributes().iter().all(|(name, value)| {
            declared.and_then(|declared| declared.get(name)).is_none_or(|ty| ty.admits(value))
        })
    }

    /// The context of a request; see [`context::build`].
    pub(crate) fn context(
        circumstances: &Circumstances,
        arguments: &Arguments,
        for_person: bool,
    ) -> Option<ast::Context> {
        context::build(circumstances, arguments, for_person)
    }
}

fn digest_of(rules: &[Rule]) -> [u8; 32] {
    use std::fmt::Write;
    let mut lines: Vec<String> = rules
        .iter()
        .map(|rule| {
            let mut line = rule.info.id.clone();
            line.push('\n');
            for byte in rule.info.hash {
                // Writing to a `String` cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
            line
        })
        .collect();
    lines.sort_unstable();
    load::sha256(&lines.join("\n"))
}
