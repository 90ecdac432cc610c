//! What a session must be for its person to change how they sign in.

use base::Timestamp;

use crate::{
    authenticator::{AuthenticatorKind, Ways},
    principal::Level,
    session::Session,
};

/// How long ago the person may have proved themself, in seconds.
const RECENT_SECONDS: i64 = 15 * 60;

/// Whether the session's person proved themself lately, and as strongly as they can; otherwise how strongly they have to.
///
/// A link stands for everything that was lost: whoever came by one makes a new way in.
pub(super) fn may_change(session: &Session, ways: &Ways, now: Timestamp) -> Result<(), Level> {
    let strongest = if ways.has(AuthenticatorKind::Passkey) || ways.has(AuthenticatorKind::Totp) {
        Level::Double
    } else {
        Level::Single
    };
    let recent = now < session.proved.plus_seconds(RECENT_SECONDS);
    let strong = session.proof.level == Level::Link || session.proof.level >= strongest;
    if recent && strong { Ok(()) } else { Err(strongest) }
}

#[cfg(test)]
mod tests {
    use base::{PersonId, Position, SessionId, Timestamp};
    use testkit::SeededDice;

    use super::may_change;
    use crate::{
        authenticator::Ways,
        principal::{Level, Proof},
        session::{Session, Visitor},
    };

    #[test]
    fn an_old_proof_is_asked_for_again() {
        let (now, dice) = (Timestamp::from_seconds(1_000_000), SeededDice::new(1));
        let session = |level, ago: i64| Session {
            id: SessionId::new(now, &dice),
            proof: Proof { person: PersonId::new(now, &dice), level, methods: Vec::new() },
            proved: now.plus_seconds(-ago),
            began: now,
            expires: now,
            generation: 1,
            position: Position(1),
            visitor: Visitor::default(),
        };
        let ways = Ways::default();
        assert_eq!(may_change(&session(Level::Single, 10), &ways, now), Ok(()));
        assert_eq!(may_change(&session(Level::Link, 10), &ways, now), Ok(()));
        assert_eq!(may_change(&session(Level::PhishingResistant, 1000), &ways, now), Err(Level::Single));
    }
}
