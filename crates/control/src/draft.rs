//! Changes in the making.
//!
//! A draft starts as the present snapshot. Things are put into it and removed from it; each change is checked
//! against the draft itself, so that a folder of documents can refer to what it makes. Committing writes all
//! changes and their records in one transaction; not committing is the preview.

use std::sync::Arc;

use base::{AnyId, Class, Ctx, Error, Event, EventKind, Fault, Id as _, Name, Refuse};
use store::{Tx, Value};

use crate::{
    judge::Judge,
    kind::{Kind, Thing},
    snapshot::Snapshot,
};

/// What a draft's changes are refused for.
#[derive(Debug, thiserror::Error)]
pub enum DraftRefusal {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] base::NameError),
    /// The name reads like an id.
    #[error("`{0}` reads like an id and cannot be a name")]
    LooksLikeId(String),
    /// There is no such thing.
    #[error("there is no {kind} `{name}`")]
    Missing {
        /// What was looked for.
        kind: &'static str,
        /// The name that leads nowhere.
        name: String,
    },
    /// Something still stands on it.
    #[error("{kind} `{name}` is still in use: {by}")]
    InUse {
        /// What was to be removed.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What stands on it.
        by: String,
    },
    /// Things of this kind are kept for ever.
    #[error("{kind} `{name}` cannot be removed: records lead to it")]
    Kept {
        /// What was to be removed.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody else changed the same thing meanwhile.
    #[error("{kind} `{name}` was changed by someone else meanwhile")]
    Outdated {
        /// What was to be changed.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

impl Refuse for DraftRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Name(_) | Self::LooksLikeId(_) => Class::Invalid,
            Self::Missing { .. } => Class::Missing,
            Self::InUse { .. } | Self::Kept { .. } | Self::Outdated { .. } => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::LooksLikeId(_) => "bad_name",
            Self::Missing { .. } => "not_found",
            Self::InUse { .. } => "still_in_use",
            Self::Kept { .. } => "kept_for_the_record",
            Self::Outdated { .. } => "outdated",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Outdated { .. } => Some("look at it again and repeat the change".into()),
            Self::Kept { .. } => Some("disable, suspend or retire it instead".into()),
            Self::Name(_) | Self::LooksLikeId(_) | Self::Missing { .. } | Self::InUse { .. } => None,
        }
    }
}

/// What a put or removal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is new.
    Created,
    /// It is different.
    Changed,
    /// It was like this already.
    Unchanged,
    /// It is gone.
    Removed,
}

/// One statement of a draft, with how to say that it did not apply.
struct Write {
    sql: &'static str,
    args: Vec<Value>,
    kind: &'static str,
    name: String,
}

/// Changes in the making.
pub struct Draft {
    known: Snapshot,
    ctx: Ctx,
    writes: Vec<Write>,
    events: Vec<Event>,
}

impl Draft {
    /// No changes yet.
    pub fn new(ctx: &Ctx, known: &Snapshot) -> Self {
        Self { known: known.clone(), ctx: ctx.clone(), writes: Vec::new(), events: Vec::new() }
    }

    /// What would be true after the changes so far.
    pub const fn known(&self) -> &Snapshot {
        &self.known
    }

    /// Whether nothing would change.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Makes a thing, or makes it what the spec says.
    pub fn put<K: Kind>(&mut self, name: &str, spec: K::Spec) -> Result<Outcome, Error> {
        let before = K::shelf(&self.known).named(name).cloned();
        let body = K::resolve(spec, before.as_deref(), &self.known, self.ctx.now)?;
        self.set::<K>(name, before.as_deref(), body)
    }

    /// What is probably not meant about a thing as it would be.
    pub fn warnings<K: Kind>(&self, name: &str) -> Vec<String> {
        let thing = K::shelf(&self.known).named(name);
        thing.map_or_else(Vec::new, |thing| K::warnings(&thing.body, &self.known))
    }

    /// Sets a thing's body as it is to be stored: for changes that documents cannot make, such as resuming.
    pub(crate) fn set<K: Kind>(
        &mut self,
        name: &str,
        before: Option<&Thing<K>>,
        body: K::Body,
    ) -> Result<Outcome, Error> {
        self.set_as::<K>(name, before, body, K::UPDATED)
    }

    /// [`Draft::set`], recorded as another event than the kind's usual one.
    pub(crate) fn set_as<K: Kind>(
        &mut self,
        name: &str,
        before: Option<&Thing<K>>,
        body: K::Body,
        event: EventKind,
    ) -> Result<Outcome, Error> {
        let Some(before) = before else { return self.create::<K>(name, body) };
        if before.body == body {
            return Ok(Outcome::Unchanged);
        }
        if K::ends_authority(&before.body, &body) {
            let why = serde_json::json!({ "reason": "its state or owner changed" });
            self.events.push(Event::new(EventKind::AuthorityRevoked, before.id.clone(), why));
        }
        let thing = Thing { version: before.version + 1, body, ..before.clone() };
        let args =
            vec![before.id.to_string().into(), before.version.into(), document::<K>(&thing.body)?.into()];
        self.write::<K>(K::SQL.update, args, &thing.name);
        self.record::<K>(event, &thing);
        self.known.keep(Arc::new(thing));
        Ok(Outcome::Changed)
    }

    fn create<K: Kind>(&mut self, name: &str, body: K::Body) -> Result<Outcome, Error> {
        check_name::<K>(name)?;
        let Ctx { now, dice, tenant, .. } = &self.ctx;
        let thing = Thing::<K> {
            id: K::Id::make(*now, dice.as_ref()),
            name: name.into(),
            version: 1,
            created: *now,
            body,
        };
        let args = vec![
            thing.id.to_string().into(),
            tenant.as_str().into(),
            name.into(),
            thing.version.into(),
            now.millis().into(),
            document::<K>(&thing.body)?.into(),
        ];
        self.write::<K>(K::SQL.insert, args, name);
        self.record::<K>(K::CREATED, &thing);
        self.known.keep(Arc::new(thing));
        Ok(Outcome::Created)
    }

    /// Removes a thing that nothing stands on.
    pub fn remove<K: Kind>(&mut self, name: &str) -> Result<Outcome, Error> {
        let missing = || DraftRefusal::Missing { kind: K::KIND, name: name.to_owned() };
        let thing = K::shelf(&self.known).find(name).cloned().ok_or_else(missing)?;
        let event = K::DELETED.ok_or_else(|| DraftRefusal::Kept { kind: K::KIND, name: name.to_owned() })?;
        if let Some(by) = K::held_by(&thing, &self.known) {
            return Err(DraftRefusal::InUse { kind: K::KIND, name: name.to_owned(), by }.into());
        }
        self.write::<K>(K::SQL.delete, vec![thing.id.to_string().into(), thing.version.into()], name);
        self.record::<K>(event, &thing);
        self.known.forget::<K>(&thing.id);
        Ok(Outcome::Removed)
    }

    /// Adds a statement that belongs to the change of `name`; it must touch at least one row.
    pub(crate) fn also(&mut self, sql: &'static str, args: Vec<Value>, kind: &'static str, name: &str) {
        self.writes.push(Write { sql, args, kind, name: name.to_owned() });
    }

    fn write<K: Kind>(&mut self, sql: &'static str, args: Vec<Value>, name: &str) {
        self.also(sql, args, K::KIND, name);
    }

    fn record<K: Kind>(&mut self, event: EventKind, thing: &Thing<K>) {
        let id: AnyId = thing.id.clone().into();
        self.events.push(Event::new(event, id, K::facts(&thing.body)));
    }

    /// The records that committing would make.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether the policies and the catalogue that would be true compile, where the changes touch them.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.events.iter().any(|event| Judge::rests_on(event.kind)) {
            Judge::compile(&self.known)?;
        }
        Ok(())
    }

    /// Writes the changes into a transaction; the events are the caller's to commit.
    pub(crate) async fn write_to(self, tx: &mut Tx) -> Result<Vec<Event>, Error> {
        for Write { sql, args, kind, name } in self.writes {
            let touched = match tx.exec(sql, &args).await {
                Ok(touched) => touched,
                // A name that was taken meanwhile: the draft's snapshot was older than the database.
                Err(fault) if store::conflict(&fault).is_some() => 0,
                Err(fault) => return Err(fault.into()),
            };
            if touched == 0 {
                return Err(DraftRefusal::Outdated { kind, name }.into());
            }
        }
        Ok(self.events)
    }
}

/// Tools are named `{server}/{tool}`, with the tool as the server spells it; all others have proper names.
fn check_name<K: Kind>(name: &str) -> Result<(), DraftRefusal> {
    if K::KIND == <crate::catalogue::Tool as Kind>::KIND {
        return Ok(());
    }
    name.parse::<Name>()?;
    // Commands and URLs take either; a name must never stand for somebody else's id.
    if name.parse::<AnyId>().is_ok() { Err(DraftRefusal::LooksLikeId(name.to_owned())) } else { Ok(()) }
}

fn document<K: Kind>(body: &K::Body) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|error| Fault::new("writing a document", error))
}
