//! The server as a process of its own, which can be killed at any instant and started again.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::Postgres;

use crate::web::{Answer, Ask};

/// The binary under test.
pub(crate) const WRIT: &str = env!("CARGO_BIN_EXE_writ");

/// Where a node's records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// What a server is started with, where that is not the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// The text of its configuration file.
    pub(crate) config: Option<String>,
    /// How many files the system lets it open.
    pub(crate) files_max: Option<u32>,
    /// A database that is there already: another server's.
    pub(crate) database: Option<String>,
    /// The data folder of the server whose key seals that database.
    pub(crate) key_of: Option<PathBuf>,
}

/// A server.
pub(crate) struct Node {
    folder: TempDir,
    port: u16,
    setup: Setup,
    process: Option<Child>,
    said: Arc<Mutex<String>>,
}

impl Node {
    /// A new server with an empty database.
    pub(crate) async fn start(on: On) -> Self {
        Self::start_with(on, Setup::default()).await
    }

    /// The same, not with the defaults.
    pub(crate) async fn start_with(on: On, mut setup: Setup) -> Self {
        if on == On::Postgres && setup.database.is_none() {
            let made = tokio::task::spawn_blocking(|| Postgres::start().fresh_database()).await;
            setup.database = Some(made.unwrap().expose().to_owned());
        }
        let folder = TempDir::new().unwrap();
        if let Some(config) = &setup.config {
            std::fs::write(folder.path().join("writ.toml"), config).unwrap();
        }
        if let Some(other) = &setup.key_of {
            let data = folder.path().join("data");
            std::fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
            std::fs::copy(other.join("kek"), data.join("kek")).unwrap();
        }
        let mut node = Self { folder, port: free_port(), setup, process: None, said: Arc::default() };
        node.launch().await;
        node
    }

    /// Starts the process and waits until it says that it answers.
    pub(crate) async fn launch(&mut self) {
        if let Err(status) = self.try_launch().await {
            panic!("the server ended with {status}:\n{}", self.said());
        }
    }

    /// The same; how it ended when it does not start.
    pub(crate) async fn try_launch(&mut self) -> Result<(), std::process::ExitStatus> {
        assert!(self.process.is_none(), "it runs");
        let listen = format!("127.0.0.1:{}", self.port);
        // The signal of a bounded file size is ignored, so that a write beyond it fails as on a full disk.
        let mut command = Command::new("/bin/sh");
        let files = self.setup.files_max.map(|max| format!("ulimit -n {max};")).unwrap_or_default();
        command.args(["-c", &format!("trap '' XFSZ; {files} exec \"$@\""), "sh", WRIT]);
        command.arg("up").arg("--data").arg(self.data()).args(["--listen", &listen]);
        command.arg("--ready-file").arg(self.folder.path().join("ready"));
        if let Some(database) = &self.setup.database {
            command.args(["--database", database]);
        }
        if self.setup.config.is_some() {
            command.arg("--config").arg(self.folder.path().join("writ.toml"));
        }
        self.process = Some(launch(command, self.said.clone()).await?);
        Ok(())
    }

    /// Another server on the same database, which is reached by the same public address.
    pub(crate) async fn second(&self) -> Self {
        let setup = Setup {
            config: Some(format!("public_url = \"{}\"\n", self.url())),
            database: self.setup.database.clone(),
            key_of: Some(self.data()),
            ..Setup::default()
        };
        Self::start_with(On::Postgres, setup).await
    }

    /// Kills it as a power cut does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("a server that runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Stops it as an operator does, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("a server that runs");
        let told = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(process.wait().unwrap().success(), "it did not end well:\n{}", self.said());
    }

    /// Kills it and starts it again on the same data.
    pub(crate) async fn kill_and_start(&mut self) {
        self.kill();
        self.launch().await;
    }

    /// Everything that it wrote to standard error so far, over all starts.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of its PostgreSQL database.
    pub(crate) fn database(&self) -> Option<&str> {
        self.setup.database.as_deref()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the test's own files.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bootstrap administrator's token, as it stands in the data folder.
    pub(crate) fn admin_token(&self) -> String {
        read(&self.data().join("admin.token")).trim().to_owned()
    }

    /// The bootstrap administrator's way in.
    pub(crate) fn admin(&self) -> Api {
        Api { url: self.url(), token: self.admin_token() }
    }

    /// Another's way in.
    pub(crate) fn api(&self, token: &str) -> Api {
        Api { url: self.url(), token: token.to_owned() }
    }

    /// What `writ up` wrote to its ready file.
    pub(crate) fn ready(&self) -> Value {
        serde_json::from_str(&read(&self.folder.path().join("ready"))).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("a server that runs").id()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("what the server said:\n{}", self.said());
        }
    }
}

/// Starts a server and waits for its greeting; its exit status when it ends instead. A thread keeps what it says.
pub(crate) async fn launch(
    mut command: Command,
    said: Arc<Mutex<String>>,
) -> Result<Child, std::process::ExitStatus> {
    // Nothing of the surroundings reaches it.
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap());
    let (greeted, greeting) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut greeted = Some(greeted);
        let mut line = Vec::new();
        while lines.by_ref().read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            said.lock().unwrap().push_str(&text);
            if text.contains(" answers at ")
                && let Some(greeted) = greeted.take()
            {
                let _ = greeted.send(());
            }
            line.clear();
        }
    });
    match greeting.await {
        Ok(()) => Ok(process),
        Err(_) => Err(process.wait().unwrap()),
    }
}

/// The API as somebody with a token has it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Api {
    /// A request, authenticated.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, format!("{}/api/v1/{path}", self.url)).bearer(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path).json(body).send().await
    }

    /// A POST without a body.
    pub(crate) async fn act(&self, path: &str) -> Answer {
        self.ask("POST", path).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask("PUT", path).json(body).send().await
    }

    /// The position of the last record.
    pub(crate) async fn position(&self) -> i64 {
        self.get("status").await.done()["position"].as_i64().unwrap()
    }

    /// Waits until nothing more is recorded by itself: outcomes are queued, and the answer does not wait for them.
    pub(crate) async fn records(&self, query: &str) -> Vec<Value> {
        self.get(&format!("audit/records?{query}")).await.done()["records"].as_array().unwrap().clone()
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A free port below those that the system gives to outgoing connections: a server that was killed gets it back.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let from = u16::try_from(std::process::id() % 10_000).unwrap();
    for _ in 0..10_000 {
        let port = 20_000 + (from + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
