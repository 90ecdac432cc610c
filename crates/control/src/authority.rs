//! On whose right a change is written.
//!
//! Who may ask is established when a request comes in, and a revocation may land between that and the commit. So a
//! write transaction begins in one place, [`Control::begin`]: the right is established again, on the snapshot from
//! which the change is planned, and the transaction goes on only while nothing that may take authority away is later
//! than that snapshot. Write transactions run one at a time and only they write such records, so from there to the
//! commit the right holds.

use std::{convert::Infallible, ops::ControlFlow};

use base::{Actor, Class, Ctx, Error, Refuse};
use store::Tx;

use crate::{control::Control, snapshot::Snapshot};

/// How often a change is planned again because authority ended meanwhile, before the asker is told to come back.
const ATTEMPTS_MAX: usize = 8;

/// A right to write, whoever has it.
///
/// SECURITY: services that change something take one of these and not a bare [`Ctx`], so that what was established
/// once cannot be carried past the moment at which it ended.
pub trait Authority: Send + Sync {
    /// The circumstances, with the actor to whom the records lead.
    fn ctx(&self) -> &Ctx;

    /// Whether the right holds in this state of the world.
    fn stands(&self, known: &Snapshot) -> Result<(), Error>;
}

/// The server itself at work: its start, its upkeep, what it notices. Nobody can take this right away.
#[derive(Clone, Debug)]
pub struct System {
    ctx: Ctx,
}

impl Authority for System {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn stands(&self, _known: &Snapshot) -> Result<(), Error> {
        Ok(())
    }
}

/// Why a write did not begin although the asker may do it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityRefusal {
    /// Somebody's authority ended again and again while the change waited for its turn.
    #[error("authority changed while this was being written; nothing was changed")]
    Moved,
}

impl Refuse for AuthorityRefusal {
    fn class(&self) -> Class {
        Class::Busy
    }

    fn code(&self) -> &'static str {
        "authority_moved"
    }

    fn help(&self) -> Option<String> {
        Some("try again".into())
    }
}

impl Control {
    /// The server's own right, for a piece of its work; records name the work.
    pub fn system(&self, work: &str) -> System {
        System { ctx: self.ctx(Actor::System(work.to_owned())) }
    }

    /// Begins a write on somebody's right, with what was planned for it.
    ///
    /// INVARIANT: the right and the plan rest on a snapshot that knows everything that may have taken authority away
    /// before the commit. This is the only way to a transaction in the control plane.
    pub(crate) async fn begin<P: Send>(
        &self,
        by: &impl Authority,
        mut plan: impl FnMut(&Snapshot) -> Result<P, Error> + Send,
    ) -> Result<(Tx, P), Error> {
        let plan = |known: &Snapshot| plan(known).map(ControlFlow::<Infallible, P>::Continue);
        match self.begin_unless(by, plan).await? {
            ControlFlow::Continue(begun) => Ok(begun),
            ControlFlow::Break(never) => match never {},
        }
    }

    /// [`Control::begin`] for plans that may find that there is nothing to write: they break with what they found,
    /// and nobody waits for a turn.
    pub(crate) async fn begin_unless<D: Send, P: Send>(
        &self,
        by: &impl Authority,
        mut plan: impl FnMut(&Snapshot) -> Result<ControlFlow<D, P>, Error> + Send,
    ) -> Result<ControlFlow<D, (Tx, P)>, Error> {
        let mut turn = None;
        for _ in 0..ATTEMPTS_MAX {
            let (planned_at, planned) = {
                let known = self.snapshot();
                by.stands(&known)?;
                (known.position, plan(&known)?)
            };
            let planned = match planned {
                ControlFlow::Continue(planned) => planned,
                ControlFlow::Break(found) => return Ok(ControlFlow::Break(found)),
            };
            let mut tx = self.store().begin(by.ctx()).await?;
            if tx.head().await?.guard <= planned_at {
                return Ok(ControlFlow::Continue((tx, planned)));
            }
            tx.rollback().await?;
            // Those of this node that were overtaken go one after the other: many at once would overtake each other
            // until all of them had used up their attempts.
            if turn.is_none() {
                turn = Some(self.inner().overtaken.lock().await);
            }
            self.catch_up().await?;
        }
        Err(AuthorityRefusal::Moved.into())
    }
}
