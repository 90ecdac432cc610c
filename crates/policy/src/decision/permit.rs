//! Permits: an allow whose record is durable, or promised.

use base::{Place, Promise, Receipt};

use super::{Allow, Reasons};

/// The right to forward one exact act, once. Forwarding takes it by value.
///
/// ```compile_fail,E0451
/// // It cannot be forged: the fields are private and only `seal` makes one.
/// let permit = policy::Permit { digest: [0; 32], place: base::Position(1).into(), reasons: Default::default() };
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
    place: Place,
    reasons: Reasons,
}

/// Receipt or promise do not fit the act that was allowed. Our own fault; nothing may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is of another act.
    #[error("the record is not of the act that was allowed")]
    OtherAct,
    /// A promise, and the act does more than read.
    #[error("the act does more than read, and its record is only promised")]
    NotRead,
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
        Self::of(allow, receipt.digest(), receipt.position().into())
    }

    /// Makes the permit from the decision and the promise of its record: for an act that only reads.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "one allow and one promise make one permit and are used up"
    )]
    pub fn seal_promised(allow: Allow, promise: Promise) -> Result<Self, Mismatch> {
        if !allow.only_reads {
            return Err(Mismatch::NotRead);
        }
        Self::of(allow, promise.digest(), promise.place().clone())
    }

    fn of(allow: Allow, digest: &[u8; 32], place: Place) -> Result<Self, Mismatch> {
        if allow.digest != *digest {
            return Err(Mismatch::OtherAct);
        }
        Ok(Self { digest: allow.digest, place, reasons: allow.reasons })
    }

    /// The digest of the act that may be forwarded. The forwarder compares it with the digest of what it sends.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Where the record of the intent stands; the outcome refers to it.
    pub const fn intent(&self) -> &Place {
        &self.place
    }

    /// What the decision rests on.
    pub const fn reasons(&self) -> &Reasons {
        &self.reasons
    }
}

#[cfg(test)]
mod tests {
    use base::{Position, Promise, Receipt};

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
        let allow = || Allow::new([1; 32], false, Reasons::default());
        let permit = Permit::seal(allow(), receipt(1)).unwrap();
        assert_eq!((permit.digest(), permit.intent().position()), (&[1; 32], Some(Position(7))));
        assert_eq!(Permit::seal(allow(), receipt(2)).unwrap_err(), Mismatch::OtherAct);
    }

    #[test]
    fn a_promise_makes_a_permit_for_what_only_reads() {
        let allow = |only_reads| Allow::new([1; 32], only_reads, Reasons::default());
        let (promise, pledge) = Promise::made([1; 32]);
        let permit = Permit::seal_promised(allow(true), promise).unwrap();
        assert_eq!(permit.intent().position(), None);
        pledge.keep(Position(9));
        assert_eq!(permit.intent().position(), Some(Position(9)));
        let sealed = |only_reads, digest| Permit::seal_promised(allow(only_reads), Promise::made(digest).0);
        assert_eq!(sealed(false, [1; 32]).unwrap_err(), Mismatch::NotRead);
        assert_eq!(sealed(true, [2; 32]).unwrap_err(), Mismatch::OtherAct);
    }
}
