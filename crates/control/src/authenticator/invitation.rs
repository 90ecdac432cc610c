//! Links by which a person comes in: the first time, or after everything else was lost.
//!
//! A link names nobody and works once. Opening it changes nothing, since programs that look at mail open links, too;
//! only the button behind it spends it.

use base::{AuthenticatorId, Class, Error, Event, EventKind, PersonId, Refuse, Secret, Timestamp};
use serde_json::json;

use super::{
    model::{Authenticator, AuthenticatorKind},
    store as rows,
};
use crate::{
    authority::{Authority, System},
    control::Control,
    opaque::{new_secret, sha256},
    principal::{Level, Proof},
    readers::Reader,
};

/// How long a link may be, in bytes, before anybody looks for it.
const CODE_BYTES_MAX: usize = 128;

/// What links are refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationRefusal {
    /// Unknown, used or over: one answer for all.
    #[error("the link is unknown, was used already, or its time is over")]
    Dead,
}

impl Refuse for InvitationRefusal {
    fn class(&self) -> Class {
        Class::Missing
    }

    fn code(&self) -> &'static str {
        "dead_link"
    }

    fn help(&self) -> Option<String> {
        Some("ask for a new one".into())
    }
}

/// A new link.
#[derive(Debug)]
pub struct Invited {
    /// The path with the code.
    pub path: Secret,
    /// Until when it works.
    pub expires: Timestamp,
}

impl Control {
    /// Makes a link by which `person` comes in. `address` is where it will be sent; whoever uses it reads mail there.
    pub async fn invite(
        &self,
        by: &impl Authority,
        person: &PersonId,
        seconds: i64,
        address: Option<&str>,
    ) -> Result<Invited, Error> {
        let ctx = by.ctx();
        let code = new_secret("", ctx.dice.as_ref());
        let expires = ctx.now.plus_seconds(seconds);
        let (mut tx, ()) = self.begin(by, |known| Ok(known.person_lives(person)?)).await?;
        rows::insert_invitation(&mut tx, &sha256(code.expose().as_bytes()), person, expires, address).await?;
        let facts = json!({ "expires": expires, "by_mail": address.is_some() });
        self.keep(tx, vec![Event::new(EventKind::InvitationCreated, person, facts)]).await?;
        Ok(Invited { path: Secret::new(format!("/join/{}", code.expose())), expires })
    }

    /// Spends a link: whoever has it is the person.
    pub(crate) async fn accept_invitation(&self, code: &str) -> Result<Proof, Error> {
        if code.len() > CODE_BYTES_MAX {
            return Err(InvitationRefusal::Dead.into());
        }
        let digest = sha256(code.as_bytes());
        let person = {
            let _place = self.inner().readers.admit(Reader::Stranger).await?;
            rows::invitation(&mut *self.store().read().await?, &digest, self.now()).await?
        };
        let person = person.ok_or(InvitationRefusal::Dead)?;
        let by = self.arriving(&person);
        let ctx = by.ctx().clone();
        let (mut tx, ()) = self.begin(&by, |_| Ok(())).await?;
        let Some(address) = rows::spend_invitation(&mut tx, &digest, ctx.now).await? else {
            return Err(InvitationRefusal::Dead.into());
        };
        let mut events = vec![Event::new(EventKind::InvitationAccepted, &person, json!({}))];
        if !address.is_empty() {
            let read = Authenticator {
                id: AuthenticatorId::new(ctx.now, ctx.dice.as_ref()),
                person: person.clone(),
                kind: AuthenticatorKind::Email,
                label: String::new(),
                created: ctx.now,
                synced: false,
                verifier: address,
            };
            rows::delete_kind(&mut tx, &person, AuthenticatorKind::Email).await?;
            rows::insert(&mut tx, &read, None, None, 0).await?;
            let facts = json!({ "person": person, "kind": AuthenticatorKind::Email });
            events.push(Event::new(EventKind::AuthenticatorAdded, &read.id, facts));
        }
        self.keep(tx, events).await?;
        Ok(Proof::new(person, Level::Link, &[]))
    }

    /// Forgets links whose time is over; run from time to time.
    pub async fn forget_invitations(&self, by: &System) -> Result<u64, Error> {
        self.forget(by, 0, &[rows::FORGET_INVITATIONS]).await
    }
}
