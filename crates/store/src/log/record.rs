//! Records.

use std::borrow::Cow;

use base::{
    Actor, AnyId, Ctx, Event, EventKind, Facts, Fault, Position, TaskId, TenantId, Timestamp, TraceId, limit,
};
use wire::{
    json::Members,
    tlog::{Hash, leaf_hash},
};

use super::Ended;
use crate::value::Row;

/// The version of a record's form.
const VERSION: i64 = 1;

/// Who caused a record, where and when: what of a [`Ctx`] is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The organisation.
    pub tenant: TenantId,
    /// Who acted.
    pub actor: Actor,
    /// Correlates records with log lines and answers.
    pub trace: TraceId,
    /// The instant of the request. The record's time is this, or the time of the record before it if that is
    /// later.
    pub now: Timestamp,
}

impl From<&Ctx> for Origin {
    fn from(ctx: &Ctx) -> Self {
        Self { tenant: ctx.tenant.clone(), actor: ctx.actor.clone(), trace: ctx.trace, now: ctx.now }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub position: Position,
    /// When it happened. Never earlier than the record before it.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// In which organisation.
    pub tenant: TenantId,
    /// Who did it, as `Actor` prints: an id, `anonymous` or `system:{duty}`.
    pub actor: String,
    /// To what it happened.
    pub subject: Option<AnyId>,
    /// Within which task.
    pub task: Option<TaskId>,
    /// The record itself, in canonical JSON: `{actor, data, generation, kind, position, subject?, task?, tenant,
    /// time, trace, v}`; `time` in milliseconds.
    pub body: String,
    /// The RFC 6962 leaf hash of `body`.
    pub leaf: Hash,
}

impl Record {
    /// The columns in the order that [`Record::from_row`] expects them in.
    pub const COLUMNS: &'static str = "position, time, kind, tenant, actor, subject, task, body, leaf";

    /// Reads a row whose first columns are [`Record::COLUMNS`].
    pub fn from_row(row: &Row) -> Result<Self, Fault> {
        let kind = row.text(2)?;
        let kind = EventKind::parse(&kind).ok_or_else(|| {
            Fault::new(
                "reading a record",
                format!("the kind `{kind}` is unknown to this version; upgrade Writ"),
            )
        })?;
        Ok(Self {
            position: row.position(0)?,
            time: row.time(1)?,
            kind,
            tenant: row.parsed(3)?,
            actor: row.text(4)?,
            subject: row.opt_parsed(5)?,
            task: row.opt_parsed(6)?,
            body: row.text(7)?,
            leaf: row.array(8)?,
        })
    }

    /// The event's facts.
    pub fn data(&self) -> Result<serde_json::Value, Fault> {
        let mut body: serde_json::Value =
            serde_json::from_str(&self.body).map_err(|error| Fault::new("reading a record", error))?;
        Ok(body["data"].take())
    }
}

/// An event on its way into the log, before it has a position. All that can fail, fails when it is made.
pub(crate) struct Draft {
    pub(crate) kind: EventKind,
    pub(crate) now: Timestamp,
    pub(crate) tenant: TenantId,
    pub(crate) actor: String,
    pub(crate) subject: Option<AnyId>,
    pub(crate) task: Option<TaskId>,
    /// The intent that it is the outcome of.
    pub(crate) intent: Option<Position>,
    trace: TraceId,
    data: Data,
}

/// What a record says of its event.
enum Data {
    Written(String),
    /// The end of an act, which names the intent.
    Ended(Ended),
}

impl Draft {
    pub(crate) fn new(origin: &Origin, event: Event) -> Result<Self, Fault> {
        let data = match event.data {
            Facts::Value(value) => String::from_utf8(wire::json::canonical_of(&value))
                .map_err(|error| Fault::new("writing a record", error))?,
            Facts::Written(text) => text,
        };
        // The rest of the body is bounded: ids, numbers and the short name of a duty.
        if data.len() > limit::RECORD_BYTES_MAX - 1024 {
            let reason = format!(
                "the data of `{}` has {} bytes, too many for a record",
                event.kind.as_str(),
                data.len()
            );
            return Err(Fault::new("writing a record", reason));
        }
        Ok(Self {
            kind: event.kind,
            now: origin.now,
            tenant: origin.tenant.clone(),
            actor: origin.actor.to_string(),
            subject: event.subject,
            task: event.task,
            intent: None,
            trace: origin.trace,
            data: Data::Written(data),
        })
    }

    /// The record of an act's end. Where its intent stands must be said before it is written.
    pub(crate) fn of_end(
        origin: &Origin,
        subject: Option<AnyId>,
        task: Option<TaskId>,
        ended: Ended,
    ) -> Self {
        Self {
            kind: EventKind::CallEnded,
            now: origin.now,
            tenant: origin.tenant.clone(),
            actor: origin.actor.to_string(),
            subject,
            task,
            intent: None,
            trace: origin.trace,
            data: Data::Ended(ended),
        }
    }

    /// The same as the outcome of this intent.
    pub(crate) fn ending(self, intent: Position) -> Self {
        Self { intent: Some(intent), ..self }
    }

    /// The end of the act whose intent's draft this was, of the same origin.
    pub(crate) fn ended(self, intent: Position, ended: Ended) -> Self {
        Self { kind: EventKind::CallEnded, data: Data::Ended(ended), intent: Some(intent), ..self }
    }

    /// The facts as text.
    fn data(&self) -> Cow<'_, str> {
        match &self.data {
            Data::Written(text) => Cow::Borrowed(text),
            Data::Ended(ended) => Cow::Owned(ended.data(self.intent.unwrap_or(Position::ZERO))),
        }
    }

    /// The record's text and leaf hash, once its place is known. Members are in canonical order.
    pub(crate) fn body(&self, position: Position, generation: i64, time: Timestamp) -> (String, Hash) {
        let data = self.data();
        let mut out = Members::with_capacity(data.len() + 400);
        out.text("actor", &self.actor);
        out.raw("data", &data);
        out.number("generation", generation);
        out.text("kind", self.kind.as_str());
        out.number("position", position.0);
        if let Some(subject) = &self.subject {
            out.text("subject", subject.as_str());
        }
        if let Some(task) = &self.task {
            out.text("task", task.as_str());
        }
        out.text("tenant", self.tenant.as_str());
        out.number("time", time.millis());
        out.hex("trace", &self.trace.0);
        out.number("v", VERSION);
        let out = out.into_text();
        let leaf = leaf_hash(out.as_bytes());
        (out, leaf)
    }
}
