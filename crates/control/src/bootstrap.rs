//! The first start: what must be there before anybody can sign in, and the way back in after a restored database.

use std::collections::BTreeSet;

use base::{AnyId, Ctx, Error, Position, Secret};
use policy::Effect;

use crate::{
    control::Control,
    draft::Draft,
    grant::{Grant, GrantSpec, Permission, Role, RoleSpec},
    principal::{Blueprint, BlueprintSpec, Person, PersonSpec, PersonState},
};

/// The bootstrap administrator's name.
const ADMIN: &str = "admin";

/// What the first start made, and what a later one had to make anew.
#[derive(Debug)]
pub struct Bootstrap {
    /// A token of the bootstrap administrator, where there was no living one.
    pub admin_token: Option<Secret>,
    /// Whether this was the first start.
    pub first: bool,
}

impl Control {
    /// Makes the bootstrap administrator, the built-in roles and the default blueprint where they are missing, and
    /// a token for the administrator where the database holds none that lives: at the first start, and after an
    /// older database came back and every credential died.
    pub async fn bootstrap(&self, ctx: &Ctx) -> Result<Bootstrap, Error> {
        let mut draft = self.draft(ctx);
        let first = draft.known().people.is_empty();
        if first {
            put_people(&mut draft)?;
            put_roles(&mut draft)?;
        }
        self.commit(ctx, draft).await?;
        let admin = self.snapshot().people.named(ADMIN).map(|admin| AnyId::from(&admin.id));
        let admin_token = match admin {
            Some(admin) if !self.has_living_token(&admin, ctx) => {
                Some(self.issue_api_token(ctx, &admin, "bootstrap", None).await?.1)
            }
            Some(_) | None => None,
        };
        Ok(Bootstrap { admin_token, first })
    }

    /// Whether any token of a principal is from this generation. A token that was revoked counts: an operator who
    /// ended it did not ask for another.
    fn has_living_token(&self, principal: &AnyId, ctx: &Ctx) -> bool {
        let known = self.snapshot();
        known.api_tokens.values().any(|token| {
            &token.principal == principal
                && token.generation == known.generation
                && token.expires.is_none_or(|expires| expires > ctx.now)
        })
    }

    /// The position of the last record, for those who wait until it is seen.
    pub fn position(&self) -> Position {
        self.snapshot().position
    }
}

fn put_people(draft: &mut Draft) -> Result<(), Error> {
    let admin = PersonSpec { display_name: "Administrator".into(), email: None, state: PersonState::Active };
    draft.put::<Person>(ADMIN, admin)?;
    let blueprint = BlueprintSpec {
        origin: crate::principal::AgentOrigin::Company,
        description: "agents of the company".into(),
        limits: crate::principal::LimitsSpec::default(),
        dpop_required: false,
    };
    draft.put::<Blueprint>("company", blueprint).map(drop)
}

fn put_roles(draft: &mut Draft) -> Result<(), Error> {
    use Effect::{Destroy, Fetch, Read, Send, Write};
    let covering = |description: &str, effects: &[Effect]| RoleSpec {
        description: description.into(),
        effects: effects.iter().copied().collect(),
        tools: BTreeSet::new(),
        permissions: BTreeSet::new(),
    };
    let administrative = |description: &str, permission| RoleSpec {
        description: description.into(),
        effects: BTreeSet::new(),
        tools: BTreeSet::new(),
        permissions: [permission].into(),
    };
    draft.put::<Role>("reader", covering("reads", &[Read]))?;
    draft.put::<Role>("editor", covering("reads, fetches and writes", &[Read, Fetch, Write]))?;
    draft.put::<Role>(
        "operator",
        covering("everything but administration", &[Read, Fetch, Write, Send, Destroy]),
    )?;
    draft.put::<Role>("auditor", administrative("reads everything in Writ", Permission::Audit))?;
    draft
        .put::<Role>("administrator", administrative("changes everything in Writ", Permission::Administer))?;
    let grant = GrantSpec {
        to: format!("person/{ADMIN}"),
        role: "administrator".into(),
        on: "system".into(),
        reason: "first start".into(),
        expires_ms: None,
    };
    draft.put::<Grant>("bootstrap", grant).map(drop)
}
