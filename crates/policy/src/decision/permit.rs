//! Permits: an allow whose record is durable.

use base::{Position, Receipt};

use super::{Allow, Reasons};

/// The right to forward one exact act, once. Forwarding takes it by value.
///
/// ```compile_fail,E0451
/// // It cannot be forged: the fields are private and only `seal` makes one.
/// let permit = policy::Permit { digest: [0; 32], position: base::Position(1), reasons: Default::default() };
/// ```
///
/// ```compile_fail,E0599
/// fn twice(permit: policy::Permit) -> (policy::Permit, policy::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
///
/// ```compile_fail,E0382
/// // An allow makes one permit: sealing consumes it.
/// fn twice(allow: policy::Allow, a: base::Receipt, b: base::Receipt) {
///     let _ = policy::Permit::seal(allow, a);
///     let _ = policy::Permit::seal(allow, b);
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped is an act that was recorded and never forwarded"]
pub struct Permit {
    digest: [u8; 32],
    position: Position,
    reasons: Reasons,
}

/// The receipt is for another act than the one that was allowed. Our own fault; nothing may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record at position {position} is not of the act that was allowed")]
pub struct Mismatch {
    /// Where the record stands.
    pub position: Position,
}

impl Permit {
    /// Makes the permit from the decision and the proof that its record is durable.
    ///
    /// Gives [`Mismatch`] when the two are not about the same act; both are used up then, too.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "one allow and one receipt make one permit and are used up"
    )]
    pub fn seal(allow: Allow, receipt: Receipt) -> Result<Self, Mismatch> {
        let (digest, position) = (*receipt.digest(), receipt.position());
        if allow.digest == digest {
            Ok(Self { digest, position, reasons: allow.reasons })
        } else {
            Err(Mismatch { position })
        }
    }

    /// The digest of the act that may be forwarded. The forwarder compares it with the digest of what it sends.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Where the record of the intent stands; the outcome refers to it.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What the decision rests on.
    pub const fn reasons(&self) -> &Reasons {
        &self.reasons
    }
}

#[cfg(test)]
mod tests {
    use base::{Position, Receipt};

    use super::{Mismatch, Permit};
    use crate::decision::{Allow, Reasons};

    #[test]
    fn a_permit_needs_the_receipt_of_the_same_act() {
        let receipt = |last| {
            Receipt::durable(Position(7), {
                let mut digest = [1; 32];
                digest[31] = last;
                digest
            })
        };
        let allow = || Allow::new([1; 32], Reasons::default());
        let permit = Permit::seal(allow(), receipt(1)).unwrap();
        assert_eq!((permit.digest(), permit.position()), (&[1; 32], Position(7)));
        assert_eq!(Permit::seal(allow(), receipt(2)).unwrap_err(), Mismatch { position: Position(7) });
    }
}
