//! The loops that keep the house: checkpoints, lost outcomes, deadlines, and whether the database takes writes.

use std::time::Duration;

use base::Actor;
use control::{authority::System, control::Control};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior},
};

/// How old an intent without an outcome must be to count as unknown, in seconds.
const OUTCOME_SECONDS_MAX: i64 = 600;
/// After how many seconds without a write the database is asked for one.
const PROBE_SECONDS: u32 = 10;

/// Starts them all.
pub(super) fn run(control: &Control, loops: &mut JoinSet<()>) {
    loops.spawn(each_second(control.clone()));
    loops.spawn(each_minute(control.clone()));
}

async fn each_second(control: Control) {
    let mut tick = every(1);
    let mut quiet = Quiet::default();
    loop {
        tick.tick().await;
        let ctx = control.ctx(Actor::System("integrate the log".into()));
        if let Err(fault) = control.store().integrate(&ctx).await {
            tracing::error!(error = %fault, "the log's tree could not be brought up to date");
        }
        probe(&control, &mut quiet).await;
        if let Err(error) = control.expire_tasks().await {
            tracing::error!(%error, "tasks past their deadlines could not be ended on record");
        }
    }
}

async fn each_minute(control: Control) {
    let mut tick = every(60);
    loop {
        tick.tick().await;
        if let Err(fault) = control.show_under_way().await {
            tracing::error!(error = %fault, "it could not be said what is under way; long acts may count as unknown");
        }
        let now = control.now();
        if let Err(fault) = control.store().sweep(now.plus_seconds(-OUTCOME_SECONDS_MAX), now).await {
            tracing::error!(error = %fault, "lost outcomes could not be recorded");
        }
        let system = control.system("forget what is over");
        if let Err(error) = control.retire_keys(&system).await {
            tracing::error!(%error, "keys whose tokens are all over could not be retired");
        }
        if let Err(error) = control.forget_revoked_tokens(&system).await {
            tracing::error!(%error, "revoked tokens that are over could not be forgotten");
        }
        if let Err(error) = forget_people(&control, &system).await {
            tracing::error!(%error, "sessions, links and codes that are over could not be forgotten");
        }
    }
}

/// What people left behind and that is over.
async fn forget_people(control: &Control, system: &System) -> Result<(), base::Error> {
    control.forget_sessions(system).await?;
    control.forget_invitations(system).await?;
    control.forget_registrations(system).await?;
    control.forget_delegations(system).await?;
    Ok(())
}

fn every(seconds: u64) -> Interval {
    let mut interval = tokio::time::interval(Duration::from_secs(seconds));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// How long nothing was written.
#[derive(Default)]
struct Quiet {
    kept: u64,
    seconds: u32,
}

/// Asks the database for a write when the last one failed, and when there was none for a while: a full disk must show
/// before somebody needs it, and be over without anybody's help.
async fn probe(control: &Control, quiet: &mut Quiet) {
    let kept = control.store().writes_kept();
    quiet.seconds = if kept == quiet.kept { quiet.seconds + 1 } else { 0 };
    quiet.kept = kept;
    if control.store().takes_writes() && quiet.seconds < PROBE_SECONDS {
        return;
    }
    quiet.seconds = 0;
    let ctx = control.ctx(Actor::System("probe the database".into()));
    if let Err(fault) = control.store().probe(&ctx).await {
        tracing::error!(error = %fault, "the database takes no writes; nothing is allowed until it does");
    }
}
