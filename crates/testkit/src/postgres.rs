//! A real PostgreSQL from the installed binaries.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use base::Secret;

const MISSING: &str = "PostgreSQL's server binaries are needed by these tests and were not found in \
                       /usr/lib/postgresql/*/bin or PATH; install the Debian package `postgresql`";

/// The server of this test process: an empty cluster in a temporary folder, on a unix socket and a loopback
/// port, without fsync. It ends, and its folder goes, when the process does, however that comes about.
pub struct Postgres {
    port: u16,
    bin: PathBuf,
    databases: AtomicU32,
    /// Its standard input is the leash: the keeper stops the server when this end of the pipe closes.
    _keeper: Child,
}

/// A transaction that is open until this is dropped.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // Its end of the connection closes, and the server rolls back.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs as the server's user. `$1` is the port, `$2` the folder of the binaries.
///
/// PostgreSQL refuses to run as root, and nothing runs when a test process is killed: so a shell starts the
/// server, waits until its standard input ends, and cleans up.
const KEEPER: &str = r#"
trap '' INT TERM HUP
PATH="$2:$PATH"
dir=$(mktemp -d) && cd "$dir" || exit 1
if initdb --no-sync --no-instructions --auth=trust --username=writ --encoding=UTF8 --locale=C data >log 2>&1 &&
   pg_ctl -D data -l log -w -t 60 -o "-p $1 -k $dir -c listen_addresses=127.0.0.1 -c fsync=off \
     -c full_page_writes=off -c max_connections=400 -c shared_buffers=32MB" start >>log 2>&1 </dev/null
then echo ready; cat >/dev/null
else sed 's/^/  /' log; fi
pg_ctl -D data -m immediate -w stop >/dev/null 2>&1
cd / && rm -rf "$dir"
"#;

impl Postgres {
    /// The server, started at the first call.
    pub fn start() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(Self::launch)
    }

    /// A new, empty database; its URL.
    pub fn fresh_database(&self) -> Secret {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("create database {name}"));
        Secret::new(self.url(&name))
    }

    /// Cuts all connections of a database and lets no new ones in, as when the server goes away.
    pub fn cut(&self, url: &Secret) {
        let name = url.expose().rsplit('/').next().expect("a URL of this server");
        self.psql("postgres", &format!("alter database {name} allow_connections false"));
        self.psql(
            "postgres",
            &format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
        );
    }

    /// Lets connections in again.
    pub fn mend(&self, url: &Secret) {
        let name = url.expose().rsplit('/').next().expect("a URL of this server");
        self.psql("postgres", &format!("alter database {name} allow_connections true"));
    }

    /// Runs SQL in a transaction that stays open, with its locks, until what this gives is dropped.
    pub fn hold(&self, url: &Secret, sql: &str) -> Held {
        const ATTEMPTS: usize = 10;
        // Whoever takes locks beside a server at work may be the one that a deadlock is resolved against.
        let held = (0..ATTEMPTS).find_map(|_| self.try_hold(url, sql));
        held.unwrap_or_else(|| panic!("`{sql}` did not go through"))
    }

    fn try_hold(&self, url: &Secret, sql: &str) -> Option<Held> {
        let mut child = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url.expose()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect(MISSING);
        writeln!(child.stdin.as_mut().unwrap(), "begin;\n{sql};\n\\echo held").unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let held = Held(child);
        (said.trim() == "held").then_some(held)
    }

    /// Changes a setting of a database for all who connect from now on, and ends the connections that there are.
    pub fn set(&self, url: &Secret, setting: &str, value: &str) {
        let name = url.expose().rsplit('/').next().expect("a URL of this server");
        self.psql("postgres", &format!("alter database {name} set {setting} = {value}"));
        self.psql(
            "postgres",
            &format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
        );
    }

    /// Runs SQL by the side of the store in the database of a URL.
    pub fn sql(&self, url: &Secret, sql: &str) {
        self.psql(url.expose().rsplit('/').next().expect("a URL of this server"), sql);
    }

    /// Makes a copy of a database nobody is connected to; its URL.
    pub fn copy(&self, url: &Secret) -> Secret {
        let from = url.expose().rsplit('/').next().expect("a URL of this server");
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql(
            "postgres",
            &format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{from}'"),
        );
        self.psql("postgres", &format!("create database {name} template {from}"));
        Secret::new(self.url(&name))
    }

    /// Runs SQL by the side of the store, as an administrator or an attacker would.
    pub fn psql(&self, database: &str, sql: &str) {
        let done = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql])
            .output()
            .expect(MISSING);
        assert!(done.status.success(), "`{sql}`: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://writ@127.0.0.1:{}/{database}", self.port)
    }

    /// The port is free when it is chosen and may be taken when the server binds it: then another one is chosen.
    fn launch() -> Self {
        const ATTEMPTS: usize = 5;
        let bin = binaries().expect(MISSING);
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            match keeper(port, &bin) {
                Ok(keeper) => return Self { port, bin, databases: AtomicU32::new(0), _keeper: keeper },
                Err(words) => said = words,
            }
        }
        panic!("PostgreSQL did not start:\n{said}");
    }
}

/// The keeper of a server on a port, or what it said instead of starting.
fn keeper(port: u16, bin: &Path) -> Result<Child, String> {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    let mut keeper = command
        .args(["-c", KEEPER, "keeper"])
        .arg(port.to_string())
        .arg(bin)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell to keep PostgreSQL");
    let mut said = BufReader::new(keeper.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    if line.trim() == "ready" {
        return Ok(keeper);
    }
    let rest: Vec<_> = said.lines().map_while(Result::ok).collect();
    let _ = keeper.wait();
    Err(format!("{line}{}", rest.join("\n")))
}

/// The newest installed version's folder, or the one on the path.
fn binaries() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = fs::read_dir("/usr/lib/postgresql")
        .ok()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| version(path));
    if let Some(path) = newest {
        return Some(path.join("bin"));
    }
    let found = Command::new("sh").args(["-c", "command -v initdb"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_owned)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
