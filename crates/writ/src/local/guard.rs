//! The processes between Writ and a local server.
//!
//! Writ starts the guard, the guard starts the last step, and that becomes the server. The guard ends the server's process
//! group, and every descendant that left the group, as soon as the server is over or nobody reads its output any more: then
//! Writ has let go of it, or was killed.

use std::{
    fs::File,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use aws_lc_rs::digest::{Context, SHA256};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, kill_process,
        kill_process_group, pidfd_open, set_child_subreaper, set_parent_process_death_signal, setrlimit,
        wait,
    },
};
use serde::{Deserialize, Serialize};

/// How this program is told to be a guard, and to become a server.
pub(super) const GUARD: &str = "local-guard";
const BECOME: &str = "local-become";

/// What the last step ends with where there is no server: a file is not the pinned one; the system refuses.
pub(super) const CHANGED: u8 = 81;
pub(super) const FAILED: u8 = 82;

/// How often the guard looks for descendants that are over, how long a server may take to end after it was asked to, and
/// how long its descendants are looked for.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const GRACE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
const ROUNDS_MAX: usize = 300;

/// What is to be run, and within what.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) command: PathBuf,
    pub(super) args: Vec<String>,
    /// In the order in which they are checked.
    pub(super) pins: Vec<(PathBuf, String)>,
    pub(super) limits: Limits,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Limits {
    pub(super) memory_bytes: u64,
    pub(super) cpu_seconds: u64,
    pub(super) files: u64,
    pub(super) tasks: Option<u64>,
}

impl Orders {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Serves as one of the processes between, where the arguments say so. They come before the command line: the environment
/// is the server's here, and says nothing to us.
pub(crate) fn stage() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    let stage = words.next()?;
    let code = match stage.as_str() {
        GUARD => guard(&words.next()?),
        BECOME => become_server(&words.next()?, &words.next()?),
        _ => return None,
    };
    Some(ExitCode::from(code))
}

fn guard(orders: &str) -> u8 {
    // Descendants whose parents are over become ours, wherever they went.
    if set_child_subreaper(Some(getpid())).is_err() {
        return FAILED;
    }
    let own = getpid().as_raw_nonzero().to_string();
    let spawned = Command::new(super::THIS_PROGRAM).args([BECOME, &own, orders]).process_group(0).spawn();
    let Ok(child) = spawned else { return FAILED };
    let server = Pid::from_child(&child);
    let mut family = Family { server, code: None };
    watch(&mut family);
    family.end();
    family.code.filter(|code| matches!(*code, CHANGED | FAILED)).unwrap_or_default()
}

/// Waits until the server is over, or nobody reads what it writes.
fn watch(family: &mut Family) {
    let output = std::io::stdout();
    let Ok(server) = pidfd_open(family.server, PidfdFlags::empty()) else { return };
    loop {
        // Nothing is asked of the output but whether it broke, which is always told.
        let mut both = [PollFd::new(&output, PollFlags::empty()), PollFd::new(&server, PollFlags::IN)];
        if poll(&mut both, Some(&LOOK)).is_err() {
            continue;
        }
        if !both[1].revents().is_empty() {
            return;
        }
        if !both[0].revents().is_empty() {
            let _ = kill_process_group(family.server, Signal::TERM);
            let _ = poll(&mut [PollFd::new(&server, PollFlags::IN)], Some(&GRACE));
            return;
        }
        family.reap();
    }
}

/// The server and what descends from it.
struct Family {
    server: Pid,
    /// What the server ended with.
    code: Option<u8>,
}

impl Family {
    /// Takes note of those that are over; whether any is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.server => {
                    self.code = status.exit_status().and_then(|code| u8::try_from(code).ok());
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Ends all of them. Each one's children are ours when it is over, so they are looked for until there are none.
    fn end(&mut self) {
        let _ = kill_process_group(self.server, Signal::KILL);
        for _ in 0..ROUNDS_MAX {
            if !self.reap() {
                return;
            }
            for child in children() {
                let _ = kill_process(child, Signal::KILL);
            }
            let _ = poll(&mut [], Some(&PAUSE));
        }
    }
}

/// The processes whose parent this one is.
fn children() -> Vec<Pid> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = getpid().as_raw_nonzero().to_string();
    let pid_of_child = |name: &std::ffi::OsStr| {
        let pid: i32 = name.to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state parent ...`; the name may hold anything.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        Pid::from_raw(pid).filter(|_| parent == own)
    };
    all.filter_map(|entry| pid_of_child(&entry.ok()?.file_name())).collect()
}

/// Becomes the server, under its limits and with the files that were pinned.
fn become_server(guard: &str, orders: &str) -> u8 {
    let Ok(orders) = serde_json::from_str::<Orders>(orders) else { return FAILED };
    let is_guarded = set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && getppid().is_some_and(|parent| parent.as_raw_nonzero().to_string() == guard);
    if !is_guarded || rustix::thread::set_no_new_privs(true).is_err() {
        return FAILED;
    }
    let limits = orders.limits;
    let all = [
        (Resource::Core, Some(0)),
        (Resource::Data, Some(limits.memory_bytes)),
        (Resource::Cpu, Some(limits.cpu_seconds)),
        (Resource::Nofile, Some(limits.files)),
        (Resource::Nproc, limits.tasks),
    ];
    for (resource, limit) in all {
        if let Some(limit) = limit
            && lower(resource, limit).is_err()
        {
            return FAILED;
        }
    }
    // SECURITY: last, so that nothing lies between it and the start.
    for (path, digest) in &orders.pins {
        if sha256(path).as_ref().ok() != Some(digest) {
            #[expect(clippy::print_stderr, reason = "Writ logs what stands here")]
            {
                eprintln!("`{}` is not the file that was pinned", path.display());
            }
            return CHANGED;
        }
    }
    let error = Command::new(&orders.command).args(&orders.args).exec();
    #[expect(clippy::print_stderr, reason = "Writ logs what stands here")]
    {
        eprintln!("`{}` does not start: {error}", orders.command.display());
    }
    FAILED
}

/// Sets a limit, or leaves one that is lower already.
fn lower(resource: Resource, limit: u64) -> rustix::io::Result<()> {
    let known = rustix::process::getrlimit(resource).maximum;
    let limit = known.map_or(limit, |known| known.min(limit));
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(context.finish())),
            read => context.update(&piece[..read]),
        }
    }
}
