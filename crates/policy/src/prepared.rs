//! What stays the same from one decision to the next: the entities of some principals and one target, and the policies
//! that can match them.

use std::sync::Arc;

use base::Name;
use cedar_policy_core::{
    ast,
    ast::RequestSchema as _,
    entities::{Dereference, Entities, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};
use wire::json::Json;

use crate::{
    Act, ActKind, Circumstances, Engine, EntityRef, Question, Subject,
    decision::Cause,
    engine::{Arguments, Rule, Target},
};

/// The part of a decision that does not depend on the moment, the arguments or what is left of limits.
///
/// Good for the engine that made it, and for exactly these principals and this target: [`Engine::decide`] compares, and
/// passes over one of another question.
#[derive(Debug)]
pub struct Prepared {
    made_by: Arc<()>,
    server: Name,
    kind: ActKind,
    roles: Vec<EntityRef>,
    target: Target,
    principals: Vec<Principal>,
    /// The arguments, where no policy that can match reads any: the same for all calls.
    unread: Option<Arc<Arguments>>,
}

/// One principal of a decision.
#[derive(Debug)]
pub(crate) struct Principal {
    entity: Arc<ast::Entity>,
    /// It, the action and the resource, as a request names them.
    entries: [ast::EntityUIDEntry; 3],
    /// In Cedar's form.
    pub(crate) name: String,
    /// The policies that can match, by their place in the engine.
    pub(crate) candidates: Vec<usize>,
    /// Which of the roles that cover the act it holds.
    pub(crate) roles: Vec<String>,
    /// It, the action and the resource.
    pub(crate) entities: Entities,
}

impl Engine {
    /// Prepares the decisions of such questions; `None` where they are refused however the moment is.
    pub fn prepare(
        &self,
        act: &Act,
        person: Option<&Subject>,
        agent: &Subject,
        roles: &[EntityRef],
    ) -> Option<Prepared> {
        self.prepared(act, person, agent, roles).ok()
    }

    pub(crate) fn prepared(
        &self,
        act: &Act,
        person: Option<&Subject>,
        agent: &Subject,
        roles: &[EntityRef],
    ) -> Result<Prepared, Cause> {
        let target = self.targets().find(act, roles)?;
        let action =
            self.action(&target.action).ok_or_else(|| Cause::broken("its action is not in the schema"))?;
        let principals = person
            .into_iter()
            .chain([agent])
            .map(|subject| self.principal(subject, &action, &target, roles))
            .collect::<Result<Vec<_>, _>>()?;
        let mut prepared = Prepared {
            made_by: Arc::clone(self.identity()),
            server: act.server.clone(),
            kind: act.kind.clone(),
            roles: roles.to_vec(),
            target,
            principals,
            unread: None,
        };
        if !self.candidates_of(&prepared).any(|rule| rule.reads.some_argument()) {
            let unread = Arc::new(self.arguments(&prepared, &Json::Null));
            for principal in &prepared.principals {
                let context = Self::context(&Circumstances::sample(), &unread, person.is_some());
                self.request(
                    &prepared,
                    principal,
                    context.ok_or_else(|| Cause::broken("the time cannot be expressed"))?,
                )?;
            }
            prepared.unread = Some(unread);
        }
        Ok(prepared)
    }

    fn principal(
        &self,
        subject: &Subject,
        action: &Arc<ast::Entity>,
        target: &Target,
        roles: &[EntityRef],
    ) -> Result<Principal, Cause> {
        if !self.knows_attributes_of(subject) {
            return Err(Cause::broken("an attribute of the principal has another type than the schema says"));
        }
        let (entity, resource) = (subject.entity(), &target.resource);
        let entities = Entities::new()
            .add_entities(
                [entity, action, resource].map(Arc::clone),
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .map_err(|_| Cause::broken("its entities contradict each other"))?;
        // SECURITY: on an entity that is missing, `has` and `in` are false without an error.
        let present = |uid: &ast::EntityUID| matches!(entities.entity(uid), Dereference::Data(_));
        if ![entity, action, resource].into_iter().all(|entity| present(entity.uid())) {
            return Err(Cause::broken("an entity of the request is missing"));
        }
        let held = roles.iter().filter(|role| subject.belongs_to(role));
        Ok(Principal {
            entity: Arc::clone(entity),
            entries: [entity, action, resource]
                .map(|each| ast::EntityUIDEntry::known(each.uid().clone(), None)),
            name: subject.reference().to_string(),
            candidates: self.candidates(entity, action, resource),
            roles: held.map(|role| role.id().to_owned()).collect(),
            entities,
        })
    }

    fn candidates_of<'a>(&'a self, prepared: &'a Prepared) -> impl Iterator<Item = &'a Rule> {
        prepared.principals.iter().flat_map(|principal| &principal.candidates).map(|&at| self.rule(at))
    }

    fn arguments(&self, prepared: &Prepared, arguments: &Json) -> Arguments {
        let candidates: Vec<&Rule> = self.candidates_of(prepared).collect();
        Arguments::new(&prepared.target, arguments, &candidates)
    }

    /// The arguments of a call, as far as some candidate reads them.
    pub(crate) fn arguments_of(&self, prepared: &Prepared, question: &Question<'_>) -> Arc<Arguments> {
        match &prepared.unread {
            Some(unread) => Arc::clone(unread),
            None => Arc::new(self.arguments(prepared, &question.act.arguments)),
        }
    }

    /// The request for one principal, that fits the schema.
    pub(crate) fn request(
        &self,
        prepared: &Prepared,
        principal: &Principal,
        context: ast::Context,
    ) -> Result<ast::Request, Cause> {
        let [subject, action, resource] = principal.entries.clone();
        let request = ast::Request::new_unchecked(subject, action, resource, Some(context));
        // A request in which no argument is read was found to fit when it was prepared: what differs since are values
        // whose types `context.rs` writes down.
        if prepared.unread.is_none() {
            self.schema()
                .validate_request(&request, Extensions::all_available())
                .map_err(|_| Cause::broken("the request does not fit the schema"))?;
        }
        Ok(request)
    }
}

impl Prepared {
    pub(crate) fn principals(&self) -> &[Principal] {
        &self.principals
    }

    /// Whether it was prepared for this question, by this engine.
    pub(crate) fn is_for(&self, question: &Question<'_>, engine: &Engine) -> bool {
        let asked: Vec<&Subject> = question.person.into_iter().chain([question.agent]).collect();
        let same =
            |(principal, subject): (&Principal, &&Subject)| Arc::ptr_eq(&principal.entity, subject.entity());
        Arc::ptr_eq(&self.made_by, engine.identity())
            && self.principals.len() == asked.len()
            && self.principals.iter().zip(&asked).all(same)
            && self.server == question.act.server
            && self.kind == question.act.kind
            && self.roles == question.roles
    }
}
