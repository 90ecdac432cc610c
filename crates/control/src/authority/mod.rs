//! On whose right a change is written.
//!
//! Who may ask is established when a request comes in, and a revocation may land between that and the commit. So a
//! write transaction begins in one place, [`Control::begin`]: the right is established again, on the snapshot from
//! which the change is planned, and the transaction goes on only while no change of state is later than that snapshot.
//! Write transactions run one at a time and only they change state, so from there to the commit both the right and
//! what the plan counted and looked up hold.

mod turns;

use std::{convert::Infallible, ops::ControlFlow, time::Duration};

use base::{Actor, Class, Ctx, Error, Refuse};
use tokio::time::Instant;

use crate::{control::Control, snapshot::Snapshot};

pub(crate) use turns::{Turns, Write};

/// How long a write may wait until it begins.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often a change is planned again because another node changed something meanwhile, before the asker is told to
/// come back.
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

    /// Whether the write goes before all that waits: it takes authority away, and others are flooding.
    fn is_urgent(&self) -> bool {
        false
    }
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

/// Somebody's right, for a write that goes before all that waits.
pub(crate) struct Urgent<'a, A>(pub(crate) &'a A);

impl<A: Authority> Authority for Urgent<'_, A> {
    fn ctx(&self) -> &Ctx {
        self.0.ctx()
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        self.0.stands(known)
    }

    fn is_urgent(&self) -> bool {
        true
    }
}

/// Why a write did not begin although the asker may do it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityRefusal {
    /// Other nodes changed something again and again while the change waited.
    #[error("authority changed while this was being written; nothing was changed")]
    Moved,
    /// Too many changes wait.
    #[error("too many changes wait to be written; nothing was changed")]
    Crowded,
}

impl Refuse for AuthorityRefusal {
    fn class(&self) -> Class {
        Class::Busy
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Moved => "authority_moved",
            Self::Crowded => "busy",
        }
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
    /// INVARIANT: the right and the plan rest on a snapshot that knows every change of state before the commit. This is
    /// the only way to a transaction in the control plane.
    pub(crate) async fn begin<P: Send>(
        &self,
        by: &impl Authority,
        mut plan: impl FnMut(&Snapshot) -> Result<P, Error> + Send,
    ) -> Result<(Write, P), Error> {
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
    ) -> Result<ControlFlow<D, (Write, P)>, Error> {
        let mut plan = move || {
            let known = self.snapshot();
            by.stands(&known)?;
            Ok::<_, Error>(match plan(&known)? {
                ControlFlow::Continue(what) => ControlFlow::Continue((known.position, what)),
                ControlFlow::Break(found) => ControlFlow::Break(found),
            })
        };
        // The first plan before the turn: it may take a while, mostly nothing comes in between, and who finds nothing to
        // write takes no turn from others.
        let mut planned = match plan()? {
            ControlFlow::Continue(planned) => planned,
            ControlFlow::Break(found) => return Ok(ControlFlow::Break(found)),
        };
        let since = Instant::now();
        let begun = async {
            let turn = self.inner().turns.take(by).await?;
            for _ in 0..ATTEMPTS_MAX {
                let (planned_at, what) = planned;
                let mut tx = self.store().begin(by.ctx()).await?;
                if tx.head().await?.state <= planned_at {
                    let tx = tx.waiting_since(since);
                    return Ok(ControlFlow::Continue((Write::new(tx, turn), what)));
                }
                tx.rollback().await?;
                self.catch_up().await?;
                planned = match plan()? {
                    ControlFlow::Continue(planned) => planned,
                    ControlFlow::Break(found) => return Ok(ControlFlow::Break(found)),
                };
            }
            Err(AuthorityRefusal::Moved.into())
        };
        // One patience for all of it: the turn, the database, and what other nodes change meanwhile.
        match tokio::time::timeout(PATIENCE, begun).await {
            Ok(begun) => begun,
            Err(_) => Err(AuthorityRefusal::Crowded.into()),
        }
    }
}
