//! On whose right a change is written.
//!
//! Who may ask is established when a request comes in, and a revocation may land between that and the commit. So a
//! write transaction begins in one place, [`Control::begin`]: the right is established again, on the snapshot from
//! which the change is planned, and the transaction goes on only while no change of state is later than that snapshot.
//! Write transactions run one at a time and only they change state, so from there to the commit both the right and
//! what the plan counted and looked up hold.

mod turns;

use std::{
    convert::Infallible,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use base::{Actor, Class, Ctx, Error, PersonId, Refuse};
use store::Unrecorded;
use tokio::time::Instant;

use crate::{control::Control, snapshot::Snapshot};

pub use turns::Haste;
pub(crate) use turns::{Turns, Write};

/// How long a write may wait until it begins.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// A right to write, whoever has it.
///
/// SECURITY: services that change something take one of these and not a bare [`Ctx`], so that what was established
/// once cannot be carried past the moment at which it ended.
pub trait Authority: Send + Sync {
    /// The circumstances, with the actor to whom the records lead.
    fn ctx(&self) -> &Ctx;

    /// Whether the right holds in this state of the world.
    fn stands(&self, known: &Snapshot) -> Result<(), Error>;

    /// Whether it is the right of somebody who may change everything.
    fn is_administrators(&self) -> bool {
        false
    }

    /// Before whom the write goes.
    fn haste(&self) -> Haste {
        Haste::None
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

    fn is_administrators(&self) -> bool {
        true
    }
}

/// A person who proves themself right now and has no session yet.
#[derive(Clone, Debug)]
pub struct Arriving {
    ctx: Ctx,
    person: PersonId,
}

impl Authority for Arriving {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        Ok(known.person_lives(&self.person)?)
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

    /// The right of a person to come in: to spend what they prove themself with, and to get a session.
    pub(crate) fn arriving(&self, person: &PersonId) -> Arriving {
        Arriving { ctx: self.ctx(Actor::Person(person.clone())), person: person.clone() }
    }

    /// Deletes what has been over for `kept_seconds`, without a record; says how much. Each statement takes the instant.
    ///
    /// SECURITY: over by the time of the log's last record, not by the clock: a clock that is later turned back must not find
    /// something alive whose end is forgotten.
    pub(crate) async fn forget(
        &self,
        by: &System,
        kept_seconds: i64,
        statements: &[&'static str],
    ) -> Result<u64, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let before = tx.head().await?.time.min(by.ctx().now).plus_seconds(-kept_seconds);
        let mut forgotten = 0;
        for sql in statements {
            forgotten += tx.exec(sql, &[before.into()]).await?;
        }
        if forgotten == 0 {
            tx.rollback().await?;
        } else {
            tx.commit_unrecorded(Unrecorded::Expired).await?;
        }
        Ok(forgotten)
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
        let was_moved = AtomicBool::new(false);
        let begun = async {
            let turn = self.inner().turns.take(by).await?;
            loop {
                let (planned_at, what) = planned;
                let mut tx = self.store().begin(by.ctx()).await?;
                if tx.head().await?.state <= planned_at {
                    let write = Write::new(tx.waiting_since(since), turn, since + PATIENCE);
                    return Ok(ControlFlow::Continue((write, what)));
                }
                was_moved.store(true, Ordering::Relaxed);
                tx.rollback().await?;
                self.catch_up().await?;
                planned = match plan()? {
                    ControlFlow::Continue(planned) => planned,
                    ControlFlow::Break(found) => return Ok(ControlFlow::Break(found)),
                };
            }
        };
        // One patience for all of it: the turn, the database, and what other nodes change meanwhile.
        match tokio::time::timeout_at(since + PATIENCE, begun).await {
            Ok(begun) => begun,
            Err(_) if was_moved.into_inner() => Err(AuthorityRefusal::Moved.into()),
            Err(_) => Err(AuthorityRefusal::Crowded.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{Event, EventKind};
    use serde_json::json;
    use testkit::Bench;
    use tokio::time::Instant;

    use super::PATIENCE;
    use crate::control::{Control, Settings};

    #[tokio::test]
    async fn a_change_that_nobody_sees_does_not_keep_the_turn_longer_than_others_wait() {
        let bench = Bench::sqlite().await;
        let settings = Settings {
            public_url: "https://writ.example".parse().unwrap(),
            asynchronous_reads: false,
            password_cost: crate::authenticator::Cost::TOKEN,
            registration: true,
            dpop_nonces: false,
        };
        let (clock, dice) = (bench.clock.clone(), bench.dice.clone());
        // The follower is stuck: it is never run.
        let (control, _follower) = Control::start(bench.store.clone(), settings, clock, dice).await.unwrap();
        let mut positions = bench.store.positions();
        let system = control.system("test");
        let began = Instant::now();
        let note = control.note(&system, Event::global(EventKind::NodeStarted, json!({})));
        tokio::pin!(note);
        tokio::select! {
            _ = &mut note => unreachable!("nobody has seen it"),
            _ = positions.changed() => {}
        }
        tokio::time::pause();
        let turn = control.inner().turns.take(&system);
        tokio::select! {
            _ = &mut note => unreachable!("nobody has seen it"),
            turn = turn => drop(turn.unwrap()),
        }
        assert!(began.elapsed() <= PATIENCE + PATIENCE / 10, "the turn was kept for {:?}", began.elapsed());
    }
}
