//! Servers on this machine: what the configuration file says of them, and their processes.
//!
//! Between Writ and each process stands a [guard]: a process of this same program that ends the server, and everything that
//! the server has started, when Writ lets go of it or is no more. What limits the server and what checks its files comes
//! in yet another step, so that both hold before its first instruction.

mod complaints;
mod configured;
mod guard;

use std::{
    collections::HashMap,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use gateway::{Local, NotStarted, Pipes};
use tokio::{
    process::Command,
    sync::{Semaphore, oneshot},
};

pub(crate) use configured::LocalServer;
pub(crate) use guard::stage;

/// How many processes there may be of all servers.
const PROCESSES_MAX: usize = 256;
/// This program, whatever became of its file since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The servers of this machine.
pub(crate) struct LocalServers {
    servers: HashMap<String, Server>,
    places: Arc<Semaphore>,
}

struct Server {
    configured: LocalServer,
    /// What the guard is told.
    orders: String,
    places: Arc<Semaphore>,
}

impl LocalServers {
    /// From the configuration, which was checked.
    pub(crate) fn new(configured: &std::collections::BTreeMap<String, LocalServer>) -> Self {
        let server = |configured: &LocalServer| Server {
            orders: configured.orders().to_text(),
            places: Arc::new(Semaphore::new(configured.processes_max)),
            configured: configured.clone(),
        };
        let servers = configured.iter().map(|(name, one)| (name.clone(), server(one))).collect();
        Self { servers, places: Arc::new(Semaphore::new(PROCESSES_MAX)) }
    }
}

impl Local for LocalServers {
    fn start(&self, name: &str) -> Result<Pipes, NotStarted> {
        let server = self.servers.get(name).ok_or(NotStarted::Unknown)?;
        let place =
            |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().map_err(|_| NotStarted::Crowded);
        let places = (place(&server.places)?, place(&self.places)?);
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(server = name, %error, "a local server could not be started");
            NotStarted::Failed
        };
        let environment = server.configured.environment().map_err(|error| failed(&error))?;
        let mut child = Command::new(THIS_PROGRAM)
            .args([guard::GUARD, &server.orders])
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value.expose())))
            .current_dir(&server.configured.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that what is typed at Writ's terminal reaches Writ alone.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else { return Err(failed(&"it has no pipes")) };
        tokio::spawn(complaints::log(name.to_owned(), errors));
        let (over, end) = oneshot::channel();
        let name = name.to_owned();
        metrics::gauge!("writ_local_processes").increment(1.0);
        tokio::spawn(async move {
            let ended = child.wait().await;
            metrics::gauge!("writ_local_processes").decrement(1.0);
            drop(places);
            let why = ended.ok().and_then(why_not);
            if let Some(why) = why {
                tracing::warn!(server = name, %why, "a local server was not started");
            }
            // Nobody may want to know any more.
            let _ = over.send(why);
        });
        Ok(Pipes {
            input: Box::new(input),
            output: Box::new(output),
            end: Box::pin(async move { end.await.ok().flatten() }),
            idle: Duration::from_secs(server.configured.idle_seconds),
        })
    }
}

/// Why a server never began, as its guard says. A server that ends with one of these codes itself shows its caller another
/// error than it might, and nothing else.
fn why_not(ended: ExitStatus) -> Option<NotStarted> {
    match ended.code().and_then(|code| u8::try_from(code).ok()) {
        Some(guard::CHANGED) => Some(NotStarted::Changed),
        Some(guard::FAILED) => Some(NotStarted::Failed),
        _ => None,
    }
}
