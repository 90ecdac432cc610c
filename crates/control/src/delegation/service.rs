//! Making and ending delegations.

use std::{collections::BTreeSet, sync::Arc};

use base::{AnyId, Ctx, DelegationId, Error, Event, EventKind, PersonId, Secret, TaskId, Timestamp};
use policy::{Effect, Scope};
use serde_json::json;
use store::Tx;

use super::{
    agent,
    model::{
        CodeTerms, Delegation, DelegationRefusal, NamedClaims, Powers, SessionTie, Wanted, WantedPowers,
        WantedTask,
    },
    store as rows,
};
use crate::{
    authority::{Authority, System},
    client::{Registration, Sort},
    control::Control,
    draft::Draft,
    opaque::sha256,
    readers::Reader,
    snapshot::{Life, Snapshot},
    task::{self, Limits, Task, TaskRequest, TaskState},
};

/// How long a code is good, in seconds: the client is waiting for it.
const CODE_SECONDS: i64 = 60;
/// For how long codes, tokens and delegations that are over are kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 3600;

/// The most delegations of a person to one client; one more ends the oldest.
const DELEGATIONS_MAX: usize = 64;

/// What a client gets when a person agreed.
pub(crate) enum Ticket<'a> {
    /// A code, on these terms.
    Code(&'a Secret, &'a CodeTerms),
    /// A device that waits under this digest.
    Device(&'a [u8; 32]),
}

/// A refresh token to be kept.
pub(crate) struct NewRefresh<'a> {
    pub(crate) token: &'a Secret,
    pub(crate) jkt: Option<&'a str>,
}

impl Control {
    /// Keeps what a person agreed to: the agent where it is new, its task, the delegation, and what the client gets it by,
    /// in one transaction.
    pub(crate) async fn delegate(
        &self,
        by: &impl Authority,
        person: &PersonId,
        wanted: &Wanted,
        ticket: Ticket<'_>,
    ) -> Result<Delegation, Error> {
        let ctx = by.ctx();
        let plan = |known: &Snapshot| {
            let mut draft = Draft::new(ctx, known);
            let (powers, work) = powers(&mut draft, ctx, person, wanted)?;
            draft.check()?;
            let until = ctx.now.plus_seconds(wanted.seconds);
            let delegation = Delegation {
                id: DelegationId::new(ctx.now, ctx.dice.as_ref()),
                person: person.clone(),
                client: wanted.client.client_id.clone(),
                registered: wanted.client.registered().cloned(),
                client_name: wanted.client.metadata.client_name.clone(),
                client_digest: wanted.client.digest(),
                redirect: wanted.redirect.clone(),
                audience: wanted.audience.clone(),
                scope: wanted.scope.clone(),
                claims: wanted.claims.clone(),
                wish: wanted.wish.clone(),
                expires: deadline(known, &powers, &work).map_or(until, |deadline| deadline.min(until)),
                powers,
                declined: wanted.declined.clone(),
                signed_in: wanted.signed_in.clone(),
                session: wanted.session.clone(),
                created: ctx.now,
                generation: known.generation,
                position: known.position,
            };
            Ok((draft, work, delegation))
        };
        let (mut tx, (draft, work, delegation)) = self.begin(by, plan).await?;
        let mut events = draft.write_to(&mut tx).await?;
        match &work {
            Work::AsItIs => {}
            Work::New(task) => events.push(task::keep_new(&mut tx, task).await?),
            Work::Wider(task) => match task::widen(&mut tx, task).await? {
                Some(event) => events.push(event),
                None => return Err(DelegationRefusal::Over.into()),
            },
        }
        if let Sort::Dynamic(id, _) = &wanted.client.sort
            && Registration::agreed(&mut tx, id).await?
        {
            // The snapshot reads it again: it does not end by itself any more.
            events.push(Event::new(EventKind::ClientRegistered, id, json!({ "agreed": true })));
        }
        let earlier = rows::of_person(&mut tx, person).await?;
        let mut earlier: Vec<&Delegation> =
            earlier.iter().filter(|earlier| earlier.client == delegation.client).collect();
        earlier.truncate((earlier.len() + 1).saturating_sub(DELEGATIONS_MAX));
        rows::insert(&mut tx, &delegation).await?;
        for oldest in earlier {
            events.extend(ending(&mut tx, oldest, "too_many").await?.into_iter().flatten());
        }
        match ticket {
            Ticket::Code(code, terms) => {
                let digest = sha256(code.expose().as_bytes());
                rows::insert_code(
                    &mut tx,
                    &digest,
                    &delegation.id,
                    ctx.now.plus_seconds(CODE_SECONDS),
                    terms,
                )
                .await?;
            }
            Ticket::Device(digest) => {
                if !rows::agree_device(&mut tx, digest, &delegation.id, ctx.now).await? {
                    return Err(DelegationRefusal::Over.into());
                }
            }
        }
        let facts = json!({
            "person": person, "client": delegation.client, "audience": delegation.audience, "scope": delegation.scope,
            "claims": delegation.claims,
            "powers": delegation.powers, "expires": delegation.expires, "acr": delegation.signed_in.acr,
            "remembered": matches!(wanted.powers, WantedPowers::SameTask { .. }),
        });
        events.push(Event::new(EventKind::DelegationGranted, &delegation.id, facts));
        self.keep(tx, events).await?;
        Ok(delegation)
    }

    /// Records that a person said no.
    pub(crate) async fn record_no(
        &self,
        by: &impl Authority,
        person: &PersonId,
        client: &str,
    ) -> Result<(), Error> {
        let (tx, ()) = self.begin(by, |_| Ok(())).await?;
        let event = Event::new(EventKind::DelegationRefused, person, json!({ "client": client }));
        self.keep(tx, vec![event]).await.map(drop)
    }

    /// Ends a delegation; false when it had ended. Its task ends, too, unless another delegation rests on it.
    pub(crate) async fn revoke_delegation(
        &self,
        by: &impl Authority,
        id: &DelegationId,
        reason: &str,
    ) -> Result<bool, Error> {
        let found = self.snapshot().delegations.get(id).cloned().ok_or(DelegationRefusal::Missing)?;
        self.end_delegations(by, &[found], reason).await
    }

    /// Takes back what a person let a client do: with everything by which the client may go on with the same task.
    pub(crate) async fn take_back(
        &self,
        by: &impl Authority,
        id: &DelegationId,
        person: &PersonId,
    ) -> Result<bool, Error> {
        let known = Arc::clone(&self.snapshot());
        let found = known.delegations.get(id).filter(|found| found.person == *person);
        let found = found.ok_or(DelegationRefusal::Missing)?;
        let all = known.delegations.values().filter(|other| found.is_one_with(other));
        self.end_delegations(by, &all.cloned().collect::<Vec<_>>(), "taken back").await
    }

    async fn end_delegations(
        &self,
        by: &impl Authority,
        all: &[Arc<Delegation>],
        reason: &str,
    ) -> Result<bool, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let mut events = Vec::new();
        for delegation in all {
            events.extend(ending(&mut tx, delegation, reason).await?.into_iter().flatten());
        }
        if events.is_empty() {
            tx.rollback().await?;
            return Ok(false);
        }
        self.keep(tx, events).await.map(|_| true)
    }

    /// Notes what a person did not want added to the task of a delegation.
    pub(crate) async fn decline(
        &self,
        by: &impl Authority,
        id: &DelegationId,
        effects: &BTreeSet<Effect>,
    ) -> Result<(), Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let note = |delegation: &mut Delegation| delegation.declined.extend(effects);
        if rows::change(&mut tx, id, note).await?.is_none() {
            return Ok(tx.rollback().await?);
        }
        let event = Event::new(EventKind::DelegationDeclined, id, json!({ "effects": effects }));
        self.keep(tx, vec![event]).await.map(drop)
    }

    /// Notes that a delegation goes on without the session in which it was agreed; false when it had been noted, or ended.
    pub(crate) async fn outlive_session(
        &self,
        by: &impl Authority,
        id: &DelegationId,
    ) -> Result<bool, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let Some(freed) =
            rows::change(&mut tx, id, |delegation| delegation.session = SessionTie::Free).await?
        else {
            tx.rollback().await?;
            return Ok(false);
        };
        let facts = json!({ "person": freed.person, "client": freed.client });
        self.keep(tx, vec![Event::new(EventKind::DelegationOutlived, id, facts)]).await.map(|_| true)
    }

    /// What a person let clients do and that is alive, the newest first; of those that are one, one.
    pub(crate) fn delegations_of(&self, person: &PersonId) -> Vec<Arc<Delegation>> {
        let known = self.snapshot();
        let now = self.now();
        let theirs = known.delegations.values().filter(|delegation| delegation.person == *person);
        let mut alive: Vec<_> = theirs
            .filter(|delegation| known.delegation_lives(&delegation.id, now).is_ok())
            .cloned()
            .collect();
        alive.sort_by(|one, other| other.id.cmp(&one.id));
        let mut shown: Vec<Arc<Delegation>> = Vec::new();
        for delegation in alive {
            if !shown.iter().any(|newer| newer.is_one_with(&delegation)) {
                shown.push(delegation);
            }
        }
        shown
    }

    /// The delegation behind a refresh token, whether the token is spent or not.
    pub(crate) async fn delegation_by_refresh(&self, token: &Secret) -> Result<Option<DelegationId>, Error> {
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        let digest = sha256(token.expose().as_bytes());
        Ok(rows::delegation_of_refresh(&mut *self.store().read().await?, &digest).await?)
    }

    /// Forgets what is over; run from time to time. Codes and tokens later than they end, so that whoever comes with one again
    /// is recognised meanwhile; what strangers can make, at once.
    pub async fn forget_delegations(&self, by: &System) -> Result<u64, Error> {
        let of_strangers = self.forget(by, 0, &rows::FORGET_AT_ONCE).await?;
        Ok(of_strangers + self.forget(by, KEPT_SECONDS, &rows::FORGET_LATER).await?)
    }
}

/// Keeps a refresh token, as part of the transaction that gives it out.
pub(crate) async fn keep_refresh(
    tx: &mut Tx,
    delegation: &Delegation,
    new: &NewRefresh<'_>,
) -> Result<(), base::Fault> {
    let digest = sha256(new.token.expose().as_bytes());
    rows::insert_refresh(tx, &digest, &delegation.id, delegation.expires, new.jkt).await
}

/// Ends a delegation as part of a transaction; the records of it, or nothing where it had ended.
async fn ending(
    tx: &mut Tx,
    delegation: &Delegation,
    reason: &str,
) -> Result<Option<Vec<Event>>, base::Fault> {
    if !rows::end(tx, &delegation.id).await? {
        return Ok(None);
    }
    let facts = json!({ "person": delegation.person, "client": delegation.client, "reason": reason });
    let mut events = vec![Event::new(EventKind::DelegationRevoked, &delegation.id, facts)];
    if let Powers::Agent { task, .. } = &delegation.powers {
        let others = rows::of_person(tx, &delegation.person).await?;
        let shares =
            |other: &Delegation| matches!(&other.powers, Powers::Agent { task: its, .. } if its == task);
        if !others.iter().any(shares) {
            events.extend(task::end(tx, task, TaskState::Killed, reason).await?);
        }
    }
    Ok(Some(events))
}

/// What becomes of the task of a delegation.
enum Work {
    AsItIs,
    New(Task),
    Wider(Task),
}

/// What the client will be able to do, and what becomes of the task.
fn powers(draft: &mut Draft, ctx: &Ctx, person: &PersonId, wanted: &Wanted) -> Result<(Powers, Work), Error> {
    match &wanted.powers {
        WantedPowers::Person => Ok((Powers::Person, Work::AsItIs)),
        WantedPowers::SignIn => Ok((Powers::SignIn, Work::AsItIs)),
        WantedPowers::SameTask { agent, task } => {
            draft.known().living_chain(task, ctx.now)?;
            Ok((Powers::Agent { agent: agent.clone(), task: task.clone() }, Work::AsItIs))
        }
        WantedPowers::WiderTask { agent, task, added } => {
            let own = draft.known().living_chain(task, ctx.now)?.first().copied();
            let own = own.filter(|own| own.person.as_ref() == Some(person) && own.agent == *agent);
            let effects = own.and_then(|own| Some((own, own.scope.by_effects()?)));
            let (own, mut effects) = effects.ok_or(DelegationRefusal::Over)?;
            effects.extend(added);
            let wider = Task { scope: Scope::of_effects(effects, own.scope.deadline), ..own.clone() };
            Ok((Powers::Agent { agent: agent.clone(), task: task.clone() }, Work::Wider(wider)))
        }
        WantedPowers::NewTask(new) => {
            let agent = agent::ensure(draft, &wanted.client, person)?;
            let WantedTask { purpose, instruction, scope, calls_max, bytes_max } = new.as_ref().clone();
            let request = TaskRequest {
                agent: agent.id.clone(),
                person: Some(person.clone()),
                parent: None,
                purpose,
                instruction,
                scope,
                limits: Some(Limits { calls_max, bytes_max }),
                joinable: false,
                source: None,
            };
            let task = task::plan(draft.known(), ctx, request)?;
            Ok((Powers::Agent { agent: agent.id.clone(), task: task.id.clone() }, Work::New(task)))
        }
    }
}

/// When the task of a delegation ends at the latest.
fn deadline(known: &Snapshot, powers: &Powers, work: &Work) -> Option<Timestamp> {
    let Powers::Agent { task, .. } = powers else { return None };
    match work {
        Work::New(task) | Work::Wider(task) => Some(task.scope.deadline),
        Work::AsItIs => known.tasks.get(task).map(|task| task.scope.deadline),
    }
}

impl Snapshot {
    /// The delegation with this id, if it is alive: neither over nor ended, and so is whatever it ends with.
    pub(crate) fn delegation_lives(
        &self,
        id: &DelegationId,
        now: Timestamp,
    ) -> Result<&Arc<Delegation>, Error> {
        let delegation = self.delegations.get(id).filter(|delegation| now < delegation.expires);
        let delegation = delegation.ok_or(DelegationRefusal::Over)?;
        self.person_lives(&delegation.person)?;
        // What an administrator registered ends for everybody when they delete it.
        if delegation.registered.as_ref().is_some_and(|client| self.clients.get(client).is_none()) {
            return Err(DelegationRefusal::Over.into());
        }
        let tenant = base::TenantId::first();
        let life = Life {
            generation: delegation.generation,
            position: delegation.position,
            tenant: &tenant,
            token: None,
        };
        self.credential_lives(&life, &[AnyId::from(&delegation.person), AnyId::from(id)])?;
        if let SessionTie::EndsWith(session) = &delegation.session {
            let digest = self.session_digests.get(session).ok_or(DelegationRefusal::Over)?;
            self.session_lives(digest, &tenant, now)?;
        }
        if let Powers::Agent { task, .. } = &delegation.powers {
            self.living_chain(task, now)?;
        }
        Ok(delegation)
    }

    /// An earlier delegation by which the person agreed to as much already, if it is alive.
    pub(crate) fn remembered(
        &self,
        person: &PersonId,
        wanted: &Remembered<'_>,
        now: Timestamp,
    ) -> Option<&Arc<Delegation>> {
        let same = |delegation: &&Arc<Delegation>| {
            delegation.person == *person
                && delegation.client == wanted.client
                && delegation.client_digest == wanted.client_digest
                && delegation.redirect == wanted.redirect
                && delegation.audience == wanted.audience
                && delegation.wish.as_deref() == wanted.wish
                && wanted.scope.iter().all(|scope| delegation.scope.contains(scope))
                && delegation.claims.hold(wanted.claims)
        };
        let alive = |delegation: &&Arc<Delegation>| self.delegation_lives(&delegation.id, now).is_ok();
        self.delegations.values().filter(same).filter(alive).max_by(|one, other| one.id.cmp(&other.id))
    }
}

/// What has to be the same for a person to have agreed already.
pub(crate) struct Remembered<'a> {
    pub(crate) client: &'a str,
    pub(crate) client_digest: &'a str,
    pub(crate) redirect: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scope: &'a [String],
    pub(crate) claims: &'a NamedClaims,
    pub(crate) wish: Option<&'a str>,
}

impl Delegation {
    /// Whether it is the same to a person: this one, or the same client with the same task.
    fn is_one_with(&self, other: &Self) -> bool {
        let same_task = self.task().is_some() && self.task() == other.task();
        self.id == other.id || (same_task && self.person == other.person && self.client == other.client)
    }

    /// The task that its tokens are for.
    pub fn task(&self) -> Option<&TaskId> {
        match &self.powers {
            Powers::Agent { task, .. } => Some(task),
            Powers::Person | Powers::SignIn => None,
        }
    }
}
