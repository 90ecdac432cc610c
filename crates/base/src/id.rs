//! Ids with kinds: one list, each id its own type, so that no two can be swapped.
//!
//! An id reads `agt_01k9m3...`: the kind's prefix, then 26 characters of Crockford base 32 that hold 48 bits of
//! time and 80 bits of chance. Ids sort by creation and are never reused.

use std::{fmt, hash::Hash, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Dice, Timestamp};

/// Crockford base 32, lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY_LENGTH: usize = 26;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {article} id: expected `{prefix}_` and 26 characters of base 32")]
pub struct IdError {
    text: String,
    article: &'static str,
    prefix: &'static str,
}

/// An id of one kind of things, whichever: what code about all kinds alike needs of it.
pub trait Id:
    Clone + Ord + Hash + fmt::Display + fmt::Debug + FromStr<Err = IdError> + Into<AnyId> + Send + Sync + 'static
{
    /// A new id: unique by chance, sortable by `now`.
    fn make(now: Timestamp, dice: &dyn Dice) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $article:literal;)*) => {
        /// The kinds of things that have ids.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum IdKind { $($(#[$doc])* $name,)* }

        impl IdKind {
            /// All kinds, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The part before the underscore.
            pub const fn prefix(self) -> &'static str {
                match self { $(Self::$name => $prefix,)* }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Arc<str>);

            impl $name {
                /// A new id: unique by chance, sortable by `now`.
                pub fn new(now: Timestamp, dice: &dyn Dice) -> Self {
                    Self(make($prefix, now, dice).into())
                }

                /// The id as text.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl Id for $name {
                fn make(now: Timestamp, dice: &dyn Dice) -> Self {
                    Self::new(now, dice)
                }
            }

            impl FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, IdError> {
                    if is_well_formed($prefix, text) {
                        Ok(Self(text.into()))
                    } else {
                        let text = text.chars().take(64).collect();
                        Err(IdError { text, article: $article, prefix: $prefix })
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(&self.0)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                }
            }

            impl From<$name> for AnyId {
                fn from(id: $name) -> Self {
                    Self { kind: IdKind::$name, text: id.0 }
                }
            }

            impl From<&$name> for AnyId {
                fn from(id: &$name) -> Self {
                    Self { kind: IdKind::$name, text: id.0.clone() }
                }
            }
        )*
    };
}

ids! {
    /// An agent.
    AgentId = "agt", "an agent";
    /// What a person proves themself with.
    AuthenticatorId = "atr", "an authenticator";
    /// A template of agents.
    BlueprintId = "blp", "a blueprint";
    /// A client of the authorization server.
    ClientId = "cli", "a client";
    /// A key or secret by which a principal proves itself.
    CredentialId = "crd", "a credential";
    /// What a person let a client do.
    DelegationId = "dlg", "a delegation";
    /// One decision about one act.
    DecisionId = "dec", "a decision";
    /// An entitlement given to a principal.
    GrantId = "gnt", "a grant";
    /// A group of persons, agents or workloads.
    GroupId = "grp", "a group";
    /// A signing key of Writ's own.
    KeyId = "key", "a key";
    /// A payload kept apart from its record.
    PayloadId = "pld", "a payload";
    /// A person.
    PersonId = "per", "a person";
    /// A policy that a user wrote.
    PolicyId = "pol", "a policy";
    /// A role: what a grant allows.
    RoleId = "rol", "a role";
    /// A secret that Writ keeps.
    SecretId = "sec", "a secret";
    /// An upstream MCP server.
    ServerId = "srv", "a server";
    /// A person's session in a browser.
    SessionId = "ses", "a session";
    /// A task: the unit of authority.
    TaskId = "tsk", "a task";
    /// A tenant.
    TenantId = "tnt", "a tenant";
    /// A token: the `jti` of an access token, or an API token.
    TokenId = "tok", "a token";
    /// A tool of a server.
    ToolId = "tol", "a tool";
    /// A workload: service, bot or script.
    WorkloadId = "wkl", "a workload";
}

impl TenantId {
    /// The tenant that exists from the start.
    pub fn first() -> Self {
        Self("tnt_00000000000000000000000000".into())
    }
}

impl DecisionId {
    /// When the decision was begun, as the id holds it.
    pub fn time(&self) -> Timestamp {
        let body = self.0.bytes().skip(IdKind::DecisionId.prefix().len() + 1);
        let bits = body.fold(0_u128, |bits, byte| {
            let digit = ALPHABET.iter().position(|known| *known == byte).unwrap_or_default();
            (bits << 5) | digit as u128
        });
        // The upper 48 of 128 bits; what a stranger wrote into the two bits above them is cut off.
        Timestamp::from_millis(i64::try_from((bits >> 80) & 0xffff_ffff_ffff).unwrap_or_default())
    }
}

/// An id of any kind: what an event or a revocation is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnyId {
    kind: IdKind,
    text: Arc<str>,
}

impl AnyId {
    /// What the id names.
    pub const fn kind(&self) -> IdKind {
        self.kind
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for AnyId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        IdKind::ALL
            .iter()
            .find(|kind| is_well_formed(kind.prefix(), text))
            .map(|&kind| Self { kind, text: text.into() })
            .ok_or_else(|| IdError { text: text.chars().take(64).collect(), article: "an", prefix: "kind" })
    }
}

impl fmt::Display for AnyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AnyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for AnyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for AnyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn make(prefix: &str, now: Timestamp, dice: &dyn Dice) -> String {
    let mut chance = [0; 16];
    dice.fill(&mut chance[6..]);
    let time = now.millis().max(0).to_be_bytes();
    chance[..6].copy_from_slice(&time[2..]);
    let bits = u128::from_be_bytes(chance);

    let mut text = String::with_capacity(prefix.len() + 1 + BODY_LENGTH);
    text.push_str(prefix);
    text.push('_');
    for digit in (0..BODY_LENGTH).rev() {
        let index = usize::try_from((bits >> (5 * digit)) & 31).unwrap_or_default();
        text.push(char::from(ALPHABET[index]));
    }
    text
}

fn is_well_formed(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .is_some_and(|body| body.len() == BODY_LENGTH && body.bytes().all(|byte| ALPHABET.contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::{AgentId, AnyId, DecisionId, IdKind, PersonId, TenantId};
    use crate::{Dice, Timestamp};

    struct Fixed(u8);

    impl Dice for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn ids_round_trip_and_keep_their_kind() {
        let id = AgentId::new(Timestamp::from_millis(1_795_359_845_678), &Fixed(7));
        assert_eq!(id.as_str().parse::<AgentId>().as_ref(), Ok(&id));
        assert!(id.as_str().parse::<PersonId>().is_err());
        assert_eq!(AnyId::from(&id).kind(), IdKind::AgentId);
        assert_eq!(id.as_str().parse::<AnyId>(), Ok(AnyId::from(&id)));
    }

    #[test]
    fn ids_sort_by_time() {
        let early = AgentId::new(Timestamp::from_millis(1), &Fixed(255));
        let late = AgentId::new(Timestamp::from_millis(2), &Fixed(0));
        assert!(early < late);
    }

    #[test]
    fn a_decision_tells_its_time() {
        for millis in [0, 1, 1_795_359_845_678, (1 << 48) - 1] {
            for chance in [0, 255] {
                let id = DecisionId::new(Timestamp::from_millis(millis), &Fixed(chance));
                assert_eq!(id.time(), Timestamp::from_millis(millis), "{id}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let tenant = TenantId::first();
        assert_eq!(tenant.as_str().parse().as_ref(), Ok(&tenant));
        for text in ["", "agt_", "agt-00000000000000000000000000", "agt_0000000000000000000000000u", "agt_0"]
        {
            assert!(text.parse::<AgentId>().is_err(), "{text}");
        }
    }
}
