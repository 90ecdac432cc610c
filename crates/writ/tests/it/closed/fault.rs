//! What can go wrong with the log, each caused as it happens in life: from outside, by other sessions, by the disk.

use std::process::{Child, Command, Stdio};

use base::Secret;
use testkit::{Held, Postgres};

use crate::node::{Node, On};

/// A fault after which no record can be kept. A new one has no row until it stands in [`Fault::ALL`], and no cause
/// until it stands in [`Fault::cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another session holds the tables that every decision needs.
    DatabaseLocked,
    /// Another process holds the file.
    FileLocked,
    /// The database was made read-only.
    DatabaseReadOnly,
    /// The disk takes no byte more.
    DiskFull,
    /// The database lets nobody in.
    DatabaseGone,
    /// Every record takes five seconds.
    DatabaseSlow,
    /// An older copy took the database's place under the running node.
    DatabaseOlder,
    /// A record is refused when it is written.
    AppendFails,
    /// Records are taken and the commit fails: what a failed sync looks like from above.
    CommitFails,
    /// The database says that its disk is full.
    LogFull,
    /// The log's last record is another one than this node has seen.
    HeadDiffers,
}

/// What undoes a fault; some do by being dropped.
pub(super) enum Cause {
    Held(Held),
    Process(Child),
    Sql(&'static str),
    Setting(&'static str),
    FileSize,
    Connections,
    /// Nothing does: the node must be started again, and every earlier credential is dead.
    Restart,
}

const RAISING: &str = "create function closed() returns trigger language plpgsql as $$ begin ";
const UNDO_TRIGGER: &str = "drop trigger closed on record; drop function closed()";

impl Fault {
    pub(super) const ALL: [Self; 11] = [
        Self::DatabaseLocked,
        Self::FileLocked,
        Self::DatabaseReadOnly,
        Self::DiskFull,
        Self::DatabaseGone,
        Self::DatabaseSlow,
        Self::DatabaseOlder,
        Self::AppendFails,
        Self::CommitFails,
        Self::LogFull,
        Self::HeadDiffers,
    ];

    /// On which database it can happen.
    pub(super) const fn on(self) -> On {
        match self {
            Self::FileLocked | Self::DiskFull => On::Sqlite,
            _ => On::Postgres,
        }
    }

    /// Whether what was refused may still be kept in the end. Nobody was told that it is.
    pub(super) const fn leaves_it_open(self) -> bool {
        matches!(self, Self::DatabaseSlow)
    }

    pub(super) async fn cause(self, node: &Node) -> Cause {
        match self {
            Self::FileLocked => Cause::Process(lock_file(node)),
            Self::DiskFull => {
                file_size_limit(node, "0:");
                Cause::FileSize
            }
            _ => {
                let url = Secret::new(node.database().unwrap().to_owned());
                tokio::task::spawn_blocking(move || self.cause_in(&url)).await.unwrap()
            }
        }
    }

    fn cause_in(self, url: &Secret) -> Cause {
        let server = Postgres::start();
        let raise = |what: &str, timing: &str| {
            server.sql(url, &format!("{RAISING} {what} return new; end $$"));
            server.sql(url, &format!("create {timing} execute function closed()"));
            Cause::Sql(UNDO_TRIGGER)
        };
        let before = "trigger closed before insert on record for each statement";
        match self {
            Self::DatabaseLocked => {
                Cause::Held(server.hold(
                    url,
                    "lock table record, log_head, writer_lock, open_intent in access exclusive mode",
                ))
            }
            Self::DatabaseReadOnly => {
                server.set(url, "default_transaction_read_only", "on");
                Cause::Setting("default_transaction_read_only")
            }
            Self::DatabaseGone => {
                server.cut(url);
                Cause::Connections
            }
            Self::DatabaseSlow => raise("perform pg_sleep(5);", before),
            Self::DatabaseOlder => {
                server.sql(
                    url,
                    "with kept as (select position, leaf from record order by position desc limit 1 offset 5) \
                     update log_head set position = kept.position, leaf = kept.leaf from kept; \
                     delete from record where position > (select position from log_head)",
                );
                Cause::Restart
            }
            Self::AppendFails => {
                server.sql(url, "alter table record add constraint closed check (false) not valid");
                Cause::Sql("alter table record drop constraint closed")
            }
            Self::CommitFails => raise(
                "raise exception 'the sync failed';",
                "constraint trigger closed after insert on record deferrable initially deferred for each row",
            ),
            Self::LogFull => raise("raise exception 'no space' using errcode = '53100';", before),
            Self::HeadDiffers => {
                server.sql(
                    url,
                    "create table kept as select leaf from log_head; \
                     update log_head set leaf = decode(repeat('ab', 32), 'hex')",
                );
                Cause::Sql("update log_head set leaf = kept.leaf from kept; drop table kept")
            }
            Self::FileLocked | Self::DiskFull => unreachable!("no fault of PostgreSQL's"),
        }
    }
}

impl Cause {
    /// Undoes it.
    pub(super) async fn mend(self, node: &mut Node) {
        let url = node.database().map(|url| Secret::new(url.to_owned()));
        match self {
            Self::Held(held) => drop(held),
            Self::Process(mut child) => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Self::FileSize => file_size_limit(node, "unlimited:"),
            Self::Restart => node.kill_and_start().await,
            Self::Connections => {
                tokio::task::spawn_blocking(move || Postgres::start().mend(&url.unwrap())).await.unwrap();
            }
            Self::Setting(setting) => {
                let set = move || Postgres::start().set(&url.unwrap(), setting, "off");
                tokio::task::spawn_blocking(set).await.unwrap();
            }
            Self::Sql(sql) => {
                tokio::task::spawn_blocking(move || Postgres::start().sql(&url.unwrap(), sql)).await.unwrap();
            }
        }
    }
}

/// A process that holds SQLite's lock for writing, as a careless backup does.
fn lock_file(node: &Node) -> Child {
    const HOLD: &str = "import sqlite3, sys\n\
                        held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n\
                        held.execute('begin immediate')\n\
                        print('held', flush=True)\n\
                        sys.stdin.read()";
    let mut child = Command::new("python3")
        .args(["-c", HOLD])
        .arg(node.data().join("writ.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`python3` with its module sqlite3");
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut said)
        .unwrap();
    assert_eq!(said.trim(), "held");
    child
}

/// Bounds the size of the files that the server can write: with 0, each write fails as on a full disk.
fn file_size_limit(node: &Node, limit: &str) {
    let done = Command::new("prlimit")
        .args(["--pid", &node.pid().to_string(), &format!("--fsize={limit}")])
        .output()
        .expect("`prlimit` of the package util-linux");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
