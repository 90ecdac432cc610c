//! Events: what the log's records are made of.

use serde_json::Value;

use crate::{AnyId, TaskId};

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $effect:ident;)*) => {
        /// The closed list of events. Words are `noun.past_verb`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($(#[$doc])* $variant,)* }

        impl EventKind {
            /// All kinds, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The kind as written in records.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The kind that is written like this.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }

            /// Whether the event may take authority away. Every decision that was made before such an event and
            /// is not yet durable is made again.
            pub const fn narrows(self) -> bool {
                matches!(match self { $(Self::$variant => Effect::$effect,)* }, Effect::Narrows)
            }

            /// Whether the event changes no state that anybody decides on. Nodes need not read it to know what is
            /// true, and the bulk of a log is of this kind.
            pub const fn is_quiet(self) -> bool {
                matches!(match self { $(Self::$variant => Effect::$effect,)* }, Effect::Quiet)
            }
        }
    };
}

/// What an event can do to authority.
enum Effect {
    /// It may end or lessen authority.
    Narrows,
    /// It can only add authority, or does not touch it.
    Keeps,
    /// It changes no state at all: it says what was done or decided.
    Quiet,
}

event_kinds! {
    /// The log began, or a new generation of it after an older database came back.
    GenerationStarted = "log.generation_started", Narrows;
    /// A server process began to serve.
    NodeStarted = "node.started", Quiet;
    /// A tenant was made.
    TenantCreated = "tenant.created", Keeps;

    /// A person was made.
    PersonCreated = "person.created", Keeps;
    /// A person's attributes changed.
    PersonUpdated = "person.updated", Narrows;
    /// A person was disabled: their agents are dead from here on.
    PersonDisabled = "person.disabled", Narrows;
    /// A person was enabled again.
    PersonEnabled = "person.enabled", Keeps;
    /// A group was made.
    GroupCreated = "group.created", Keeps;
    /// A group's description changed.
    GroupUpdated = "group.updated", Narrows;
    /// A group ended, and with it what its members had through it.
    GroupDeleted = "group.deleted", Narrows;
    /// A principal joined a group.
    GroupMemberAdded = "group.member_added", Keeps;
    /// A principal left a group.
    GroupMemberRemoved = "group.member_removed", Narrows;
    /// A workload was made.
    WorkloadCreated = "workload.created", Keeps;
    /// A workload changed.
    WorkloadUpdated = "workload.updated", Narrows;
    /// A workload's state changed.
    WorkloadStateChanged = "workload.state_changed", Narrows;
    /// A blueprint was made.
    BlueprintCreated = "blueprint.created", Keeps;
    /// A blueprint changed.
    BlueprintUpdated = "blueprint.updated", Narrows;
    /// A blueprint ended.
    BlueprintDeleted = "blueprint.deleted", Narrows;
    /// An agent was made.
    AgentCreated = "agent.created", Keeps;
    /// An agent changed: owner, purpose, limits.
    AgentUpdated = "agent.updated", Narrows;
    /// An agent's state changed: staged, active, suspended, retired.
    AgentStateChanged = "agent.state_changed", Narrows;

    /// A key or secret was given to a principal.
    CredentialAdded = "credential.added", Keeps;
    /// A key or secret of a principal ended.
    CredentialRevoked = "credential.revoked", Narrows;
    /// An API token was made.
    ApiTokenIssued = "api_token.issued", Keeps;
    /// An API token ended.
    ApiTokenRevoked = "api_token.revoked", Narrows;
    /// An access token was issued.
    TokenIssued = "token.issued", Quiet;
    /// A token request was refused.
    TokenRefused = "token.refused", Quiet;
    /// An access token was revoked.
    TokenRevoked = "token.revoked", Narrows;
    /// A signing key was made.
    KeyCreated = "key.created", Keeps;
    /// A signing key no longer signs; it still verifies until its tokens are gone.
    KeyRotated = "key.rotated", Keeps;
    /// A signing key ended: nothing it signed is valid any more.
    KeyRevoked = "key.revoked", Narrows;

    /// A person got a way to prove themself: passkey, password, code generator, recovery codes, address.
    AuthenticatorAdded = "authenticator.added", Keeps;
    /// A way to prove themself changed: renamed, or a code of it was spent.
    AuthenticatorUsed = "authenticator.used", Quiet;
    /// A person's way to prove themself ended.
    AuthenticatorRemoved = "authenticator.removed", Narrows;
    /// A link was made by which a person comes in.
    InvitationCreated = "invitation.created", Quiet;
    /// A link was used.
    InvitationAccepted = "invitation.accepted", Quiet;
    /// A person signed in.
    SessionStarted = "session.started", Keeps;
    /// A person proved themself again within a session.
    SessionRaised = "session.raised", Keeps;
    /// A person's session ended.
    SessionEnded = "session.ended", Narrows;
    /// Somebody tried to sign in and did not prove who they are.
    SignInRefused = "sign_in.refused", Quiet;
    /// A client registered itself.
    ClientRegistered = "client.registered", Keeps;
    /// A client was made.
    ClientCreated = "client.created", Keeps;
    /// A client changed.
    ClientUpdated = "client.updated", Narrows;
    /// A client ended.
    ClientDeleted = "client.deleted", Narrows;
    /// A person let a client act.
    DelegationGranted = "delegation.granted", Keeps;
    /// A person said no to a client.
    DelegationRefused = "delegation.refused", Quiet;
    /// A person did not want something added to the task of a delegation.
    DelegationDeclined = "delegation.declined", Keeps;
    /// A delegation goes on without the session in which it was agreed.
    DelegationOutlived = "delegation.outlived_session", Keeps;
    /// A delegation ended.
    DelegationRevoked = "delegation.revoked", Narrows;

    /// A server entered the catalogue.
    ServerCreated = "server.created", Keeps;
    /// A server's address or settings changed.
    ServerUpdated = "server.updated", Narrows;
    /// A server was stopped or released.
    ServerStateChanged = "server.state_changed", Narrows;
    /// A server left the catalogue.
    ServerDeleted = "server.deleted", Narrows;
    /// A tool's definition was pinned.
    ToolPinned = "tool.pinned", Narrows;
    /// A tool's labels were confirmed or changed.
    ToolLabelled = "tool.labelled", Narrows;
    /// A tool was quarantined: its definition is not the pinned one.
    ToolQuarantined = "tool.quarantined", Narrows;
    /// A tool left the catalogue.
    ToolDeleted = "tool.deleted", Narrows;
    /// A secret was stored or replaced.
    SecretStored = "secret.stored", Keeps;
    /// A secret ended.
    SecretDeleted = "secret.deleted", Narrows;

    /// A role was made.
    RoleCreated = "role.created", Keeps;
    /// A role changed.
    RoleUpdated = "role.updated", Narrows;
    /// A role ended.
    RoleDeleted = "role.deleted", Narrows;
    /// A grant was made.
    GrantCreated = "grant.created", Keeps;
    /// A grant ended before its time.
    GrantRevoked = "grant.revoked", Narrows;
    /// A policy was loaded or replaced.
    PolicyStored = "policy.stored", Narrows;
    /// A policy ended.
    PolicyDeleted = "policy.deleted", Narrows;

    /// A task was made.
    TaskCreated = "task.created", Keeps;
    /// A task covers more, because its person agreed to that.
    TaskWidened = "task.widened", Keeps;
    /// A task's instruction was extended by the person or the harness.
    TaskInstructed = "task.instructed", Keeps;
    /// A task completed; so did its children.
    TaskCompleted = "task.completed", Narrows;
    /// A task was killed; so were its children.
    TaskKilled = "task.killed", Narrows;
    /// A task reached its deadline.
    TaskExpired = "task.expired", Narrows;

    /// Authority of a principal, task, tool, server or tenant ended at this position.
    AuthorityRevoked = "authority.revoked", Narrows;

    /// An act was allowed and is about to be forwarded.
    CallAllowed = "call.allowed", Quiet;
    /// An act was refused.
    CallDenied = "call.denied", Quiet;
    /// What became of an allowed act.
    CallEnded = "call.ended", Quiet;
    /// A decision could not be made because a policy failed; it was refused.
    PolicyFailed = "policy.failed", Quiet;
    /// A payload was destroyed, with the key of its digest.
    PayloadErased = "payload.erased", Quiet;
    /// Documents were applied.
    DocumentsApplied = "documents.applied", Quiet;
}

/// The facts of an event: small, ids and digests instead of names and payloads.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// A value, which gets its canonical form when it is recorded.
    Value(Value),
    /// The canonical form itself, by whoever writes it directly.
    Written(String),
}

impl From<Value> for Facts {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// Something that happened, ready to become a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To what it happened.
    pub subject: Option<AnyId>,
    /// Within which task.
    pub task: Option<TaskId>,
    /// The facts.
    pub data: Facts,
}

impl Event {
    /// An event about `subject`.
    pub fn new(kind: EventKind, subject: impl Into<AnyId>, data: impl Into<Facts>) -> Self {
        Self { kind, subject: Some(subject.into()), task: None, data: data.into() }
    }

    /// An event about the system as a whole.
    pub fn global(kind: EventKind, data: impl Into<Facts>) -> Self {
        Self { kind, subject: None, task: None, data: data.into() }
    }

    /// The same event, within `task`.
    #[must_use]
    pub fn within(mut self, task: TaskId) -> Self {
        self.task = Some(task);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn kinds_round_trip_and_are_noun_verb() {
        for &kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(kind.as_str().split('.').count(), 2, "{}", kind.as_str());
        }
    }

    #[test]
    fn endings_narrow() {
        for &kind in EventKind::ALL {
            let ends = [
                "deleted",
                "revoked",
                "removed",
                "disabled",
                "killed",
                "completed",
                "expired",
                "quarantined",
            ];
            if ends.iter().any(|end| kind.as_str().ends_with(end)) {
                assert!(kind.narrows(), "{}", kind.as_str());
            }
        }
    }
}
