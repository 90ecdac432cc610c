//! The first start: what must be there before anybody can sign in, and the way back in after a restored database.

use std::collections::BTreeSet;

use base::{AnyId, Ctx, Error, Secret};
use policy::Effect;

use crate::{
    authority::{Authority, System},
    client::{Client, ClientSpec, ClientUse},
    control::Control,
    delegation::ASSISTANT,
    draft::Draft,
    grant::{Grant, GrantSpec, Permission, Role, RoleSpec},
    principal::{Blueprint, BlueprintSpec, Person, PersonSpec, PersonState},
};

/// The bootstrap administrator's name.
const ADMIN: &str = "admin";
/// How long the first link works, in seconds.
const LINK_SECONDS: i64 = 15 * 60;
/// The client that the command line signs people in with.
pub const CLI_CLIENT: &str = "writ-cli";

/// What the first start made, and what a later one had to make anew.
#[derive(Debug)]
pub struct Bootstrap {
    /// A token of the bootstrap administrator, where there was no living one.
    pub admin_token: Option<Secret>,
    /// Whether this was the first start.
    pub first: bool,
}

impl Control {
    /// Makes the bootstrap administrator, the built-in roles and the default blueprint at the first start. Where
    /// nobody holds a living token with which to administer (at the first start, after an older database came back,
    /// after a stop of everything), the bootstrap administrator is enabled and gets a new one: whoever can start the
    /// server with its data folder is its operator.
    ///
    /// `keep` stores the token before it can be used, so that a crash in between leaves a token too many and never
    /// one too few.
    pub async fn bootstrap<E>(
        &self,
        by: &System,
        keep: impl FnOnce(&Secret) -> Result<(), E>,
    ) -> Result<Result<Bootstrap, E>, Error> {
        let make = |draft: &mut Draft| {
            let first = draft.known().people.is_empty();
            if first {
                put_people(draft)?;
                put_roles(draft)?;
                put_assistants(draft)?;
            }
            Ok(first)
        };
        let (first, _) = self.change(by, make).await?;
        let admin = self.snapshot().people.named(ADMIN).map(|admin| AnyId::from(&admin.id));
        let Some(admin) = admin.filter(|_| !self.somebody_administers(by.ctx())) else {
            return Ok(Ok(Bootstrap { admin_token: None, first }));
        };
        self.enable_person(by, ADMIN).await?;
        self.change(by, put_grant).await?;
        let text = Self::new_api_token(by.ctx());
        if let Err(error) = keep(&text) {
            return Ok(Err(error));
        }
        self.keep_api_token(by, &admin, "bootstrap", &text, None).await?;
        Ok(Ok(Bootstrap { admin_token: Some(text), first }))
    }

    /// A link by which the bootstrap administrator comes in, for a few minutes.
    pub async fn invite_administrator(&self, by: &System) -> Result<Secret, Error> {
        let admin = self.snapshot().people.named(ADMIN).map(|admin| admin.id.clone());
        let admin = admin.ok_or_else(|| base::Fault::new("inviting the administrator", "there is none"))?;
        Ok(self.invite(by, &admin, LINK_SECONDS, None).await?.path)
    }

    /// Whether any living token belongs to somebody who may administer.
    fn somebody_administers(&self, ctx: &Ctx) -> bool {
        let known = self.snapshot();
        known.api_tokens.values().any(|token| {
            known.has_permission(&token.principal, Permission::Administer, ctx.now)
                && known.api_token_is_good(token, ctx)
        })
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
    draft.put::<Blueprint>("company", blueprint)?;
    let assistant = BlueprintSpec {
        origin: crate::principal::AgentOrigin::Assistant,
        description: "one person's agents, made when they agree to a client".into(),
        limits: crate::principal::LimitsSpec { task_seconds_max: 30 * 24 * 3600, ..Default::default() },
        dpop_required: false,
    };
    draft.put::<Blueprint>(ASSISTANT, assistant)?;
    // The command line asks people like any other client, and acts as them.
    let cli = ClientSpec {
        display_name: "Writ command line".into(),
        purpose: ClientUse::Person,
        redirect_uris: vec!["http://127.0.0.1/callback".into()],
        post_logout_redirect_uris: Vec::new(),
        backchannel_logout_uri: None,
        confidential: false,
        dpop_required: false,
        par_required: false,
    };
    draft.put::<Client>(CLI_CLIENT, cli).map(drop)
}

/// What an assistant may do is what its person may: the blueprint stands in nobody's way.
fn put_assistants(draft: &mut Draft) -> Result<(), Error> {
    let grant = GrantSpec {
        to: format!("blueprint/{ASSISTANT}"),
        role: "operator".into(),
        on: "catalogue".into(),
        reason: "assistants may do what their person may and agrees to".into(),
        expires: None,
    };
    draft.put::<Grant>("assistants", grant).map(drop)
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
    put_grant(draft)
}

fn put_grant(draft: &mut Draft) -> Result<(), Error> {
    let grant = GrantSpec {
        to: format!("person/{ADMIN}"),
        role: "administrator".into(),
        on: "system".into(),
        reason: "first start".into(),
        expires: None,
    };
    draft.put::<Grant>("bootstrap", grant).map(drop)
}
