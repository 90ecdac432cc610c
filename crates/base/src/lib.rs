//! The vocabulary of Writ.
//!
//! Everything here is a plain value: typed ids, time, dice, secrets, actors, events and refusals. Every other
//! crate may depend on this one, and this one depends on nearly nothing.
//!
//! What is absent on purpose: async, input and output, and any reading of a clock. Time and chance arrive as
//! values ([`Timestamp`]) or behind traits ([`Clock`], [`Dice`]) that the binary and the tests implement.

#![warn(missing_docs)]

mod actor;
mod bodies;
mod ctx;
mod dice;
mod event;
mod id;
pub mod limit;
mod name;
mod nearest;
mod record;
mod refusal;
pub mod rfc3339;
mod secret;
mod time;

pub use actor::Actor;
pub use bodies::{Bodies, BodyRefusal, Charge, HeldBody, Sender, Share, Shares};
pub use ctx::{Ctx, TraceId};
pub use dice::{Dice, SharedDice};
pub use event::{Event, EventKind, Facts};
pub use id::{
    AgentId, AnyId, AuthenticatorId, BlueprintId, ClientId, CredentialId, DecisionId, DelegationId, GrantId,
    GroupId, Id, IdError, IdKind, KeyId, PayloadId, PersonId, PolicyId, RoleId, SecretId, ServerId,
    SessionId, TaskId, TenantId, TokenId, ToolId, WorkloadId,
};
pub use name::{Name, NameError};
pub use nearest::nearest;
pub use record::{Place, PlaceKey, Pledge, Position, Promise, Receipt};
pub use refusal::{Class, Error, Fault, Refusal, Refuse};
pub use secret::Secret;
pub use time::{Clock, Timestamp};
