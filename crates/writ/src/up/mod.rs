//! `writ up`: the server, put together.

mod connection;
mod documents;
mod framing;
mod held;
mod listener;
mod mail;
mod meters;
mod ops;
mod options;
mod panics;
mod places;
mod proxies;
mod room;
mod telemetry;
mod unread;
mod upkeep;

pub(crate) use documents::{Placed, parse_documents, read_documents};
pub(crate) use held::HeldMax;
pub(crate) use options::{EgressRules, File, Options};
pub(crate) use proxies::Proxies;
pub(crate) use room::Connections;
pub(crate) use telemetry::start_logging;

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use base::{Bodies, Clock, Event, EventKind, Secret, SharedDice, Shares};
use control::control::{Control, Settings};
use store::{Database, Store, StoreConfig};
use tokio::{sync::watch, task::JoinSet};
use url::Url;

use crate::{
    edge::{SystemClock, SystemDice},
    local::LocalServers,
    plane::{ControlPlane, passes},
};
use connection::Services;
use listener::Listener;

/// How long requests under way may take to end after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A server that runs.
pub(crate) struct Server {
    /// The address by which clients reach it.
    pub(crate) url: Url,
    /// The bootstrap administrator's token, when this start made one.
    pub(crate) admin_token: Option<Secret>,
    /// Whether this was the first start.
    pub(crate) first: bool,
    /// The link by which the bootstrap administrator comes in, at the first start.
    pub(crate) link: Option<Secret>,
    store: Store,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    loops: JoinSet<()>,
}

impl Server {
    /// Starts the server; it answers when this returns.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        options.check()?;
        // One provider of cryptography, named before anything could choose another.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        make_private_folder(&options.data)?;
        let room = options.connections.room();
        let listener = Listener::bind(options.listen, options.tls.as_ref()).await?;
        let url = match &options.public_url {
            Some(url) => url.clone(),
            None => listener.url()?,
        };
        let clock = Arc::new(SystemClock::new());
        let dice: SharedDice = Arc::new(SystemDice);
        let store = open_store(options, &url, clock.clone(), dice.clone()).await?;
        clock.not_before(store.time_floor());

        let asynchronous_reads = options.asynchronous_reads;
        let settings = Settings {
            public_url: url.clone(),
            asynchronous_reads,
            password_cost: control::authenticator::Cost::default(),
            registration: options.registration,
            dpop_nonces: options.dpop_nonces,
        };
        let (control, follower) =
            Control::start(store.clone(), settings, clock.clone(), dice.clone()).await?;
        attach_egress(&control, options.egress.client()?);
        if let Some(mail) = &options.mail {
            control.attach_post(mail.post()?);
        }
        let mut loops = JoinSet::new();
        loops.spawn(follower.run());
        let bootstrap = set_up(&control, options).await?;
        upkeep::run(&control, &mut loops);
        loops.spawn(control.clone().tell_sites());

        let link = if bootstrap.first {
            Some(control.invite_administrator(&control.system("start")).await?)
        } else {
            None
        };
        let bodies = Bodies::new(options.bodies.shares());
        let gateway =
            make_gateway(&control, &url, (clock, dice, bodies.clone()), LocalServers::new(&options.local))?;
        loops.spawn(gateway.clone().tend());
        let router = routes(&control, bodies);
        let services = Services { gateway, router };
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(listener.serve(services, room, options.trusted_proxies.clone(), stopped));
        if let Some(path) = &options.ready_file {
            write_ready_file(path, &url)?;
        }
        Ok(Self {
            url,
            admin_token: bootstrap.admin_token,
            first: bootstrap.first,
            link,
            store,
            stop,
            served,
            loops,
        })
    }

    /// Stops: no new requests, those under way end or are cut, everything queued is recorded.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        if tokio::time::timeout(GRACE, &mut self.served).await.is_err() {
            tracing::warn!("requests were still under way and are cut");
            self.served.abort();
        }
        self.loops.shutdown().await;
        self.store.close().await.context("closing the database")
    }
}

/// Runs the server until it is told to stop (SIGINT, SIGTERM).
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let recorder = ops::start_metrics()?;
    ops::keep_recorder(recorder);
    // Before anybody can know that the server is there, so that whoever stops it then stops it well.
    let mut stop = std::pin::pin!(stop_signal()?);
    let server = tokio::select! {
        server = Server::start(&options) => server?,
        () = &mut stop => return Ok(()),
    };
    greet(&server, &options);
    stop.await;
    tracing::info!("stopping");
    server.stop().await
}

async fn open_store(
    options: &Options,
    url: &Url,
    clock: Arc<SystemClock>,
    dice: SharedDice,
) -> anyhow::Result<Store> {
    let database = if let Some(url) = &options.database {
        Database::Postgres(url.clone())
    } else {
        let path = options.data.join("writ.db");
        make_private_file(&path)?;
        Database::Sqlite(path)
    };
    let host = url.host_str().unwrap_or("localhost");
    let origin = match url.port() {
        Some(port) => format!("{host}:{port}/log"),
        None => format!("{host}/log"),
    };
    let config = StoreConfig { database, data_dir: options.data.clone(), origin, sqlite_pages_max: None };
    Ok(Store::open(config, clock, dice).await?)
}

async fn set_up(control: &Control, options: &Options) -> anyhow::Result<control::bootstrap::Bootstrap> {
    let system = control.system("start");
    control.ensure_keys(&system).await?;
    let keep = |token: &Secret| write_private(&options.data.join("admin.token"), token.expose());
    let bootstrap = control.bootstrap(&system, keep).await??;
    for path in &options.apply {
        let documents = read_documents(path)?.into_iter().map(|placed| placed.document).collect();
        let plan = control.apply(&system, documents, false).await;
        let plan = plan.with_context(|| format!("applying `{}`", path.display()))?;
        for change in &plan.changes {
            for warning in &change.warnings {
                tracing::warn!(kind = change.kind, name = change.name, warning);
            }
        }
    }
    let started =
        Event::global(EventKind::NodeStarted, serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }));
    control.note(&system, started).await?;
    Ok(bootstrap)
}

/// Lets the control plane fetch what strangers name, and tell clients what they want to hear.
fn attach_egress(control: &Control, egress: egress::Egress) {
    let telling = egress.clone();
    control.attach_tell(Arc::new(move |url, form| {
        let egress = telling.clone();
        Box::pin(async move { egress.post_form(&url, form).await.map_err(|refusal| refusal.to_string()) })
    }));
    control.attach_fetch(Arc::new(move |url| {
        let egress = egress.clone();
        Box::pin(async move {
            let fetched = egress.get(&url).await;
            let fetched = fetched.map_err(|refusal| control::client::FetchFailed(refusal.to_string()))?;
            Ok((fetched.body.to_vec(), fetched.max_age))
        })
    }));
}

fn make_gateway(
    control: &Control,
    url: &Url,
    (clock, dice, bodies): (Arc<SystemClock>, SharedDice, Bodies),
    local: LocalServers,
) -> anyhow::Result<Arc<gateway::Gateway<ControlPlane>>> {
    let plane = Arc::new(ControlPlane::new(control.clone()));
    let config = gateway::Config {
        public_url: url.clone(),
        hosts: Vec::new(),
        clock: clock as Arc<dyn Clock>,
        dice,
        bodies,
        answers: Bodies::new(Shares::of_answers()),
        local: Arc::new(local),
        limits: gateway::Limits::default(),
    };
    let gateway = gateway::Gateway::new(plane, config)?;
    let asking = gateway.clone();
    control.attach(Arc::new(move |reach| {
        let gateway = asking.clone();
        Box::pin(async move {
            let patience = Duration::from_secs(reach.timeout_seconds.unsigned_abs());
            let headers = reach.credential.into_iter().collect();
            let url = reach.url.as_str().parse().map_err(|_| "its address is not one".to_owned())?;
            let gateway::Discovered { revision, info, capabilities, tools } = gateway
                .discover(reach.server, url, headers, reach.authority, (patience, passes(&reach.passes)))
                .await?;
            Ok(control::catalogue::Told { revision: revision.to_owned(), info, capabilities, tools })
        })
    }));
    Ok(gateway)
}

fn routes(control: &Control, bodies: Bodies) -> Router {
    control::http::router(control)
        .merge(control::http::public(control))
        .merge(control::oauth::http::router(control))
        .merge(control::login::http::router(control))
        .merge(control::account::http::router(control))
        .merge(ops::router(control))
        .layer(axum::extract::DefaultBodyLimit::max(base::limit::BODY_BYTES_MAX))
        .layer(axum::Extension(bodies))
        .fallback(ops::nowhere)
        .layer(axum::middleware::from_fn(panics::caught))
}

fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data folder `{}`", path.display()))
}

/// Makes the database's file before SQLite would make one that others can read; SQLite gives the files beside it the
/// same mode.
fn make_private_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot make `{}`", path.display())),
    }
}

/// Writes a file that only its owner can read. It replaces one that is there, and never shows half a token.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}

fn write_ready_file(path: &Path, url: &Url) -> anyhow::Result<()> {
    let ready = serde_json::json!({ "url": url.as_str().trim_end_matches('/'), "pid": std::process::id() });
    let beside = path.with_extension("new");
    std::fs::write(&beside, ready.to_string())
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[expect(clippy::print_stderr, reason = "the greeting of a command line")]
fn greet(server: &Server, options: &Options) {
    let data = options.data.display();
    let url = server.url.as_str().trim_end_matches('/');
    eprintln!("Writ {} answers at {url}", env!("CARGO_PKG_VERSION"));
    eprintln!("  data folder      {data}");
    match &options.database {
        Some(_) => eprintln!("  database         PostgreSQL"),
        None => eprintln!("  database         SQLite in the data folder"),
    }
    // Only the node that was started first has one.
    let token = options.data.join("admin.token");
    if server.admin_token.is_some() {
        eprintln!("  admin token      {} (new, readable by you alone)", token.display());
    } else if token.exists() {
        eprintln!("  admin token      {} (from the first start)", token.display());
    }
    if let Some(link) = &server.link {
        eprintln!("  sign in          {url}{} (works once, for 15 minutes)", link.expose());
    }
    if options.listen.ip().is_loopback() && options.tls.is_none() {
        eprintln!("  reachable from   this machine only");
    }
    eprintln!("\nnext:");
    if token.exists() {
        eprintln!("  export WRIT_URL={url} WRIT_TOKEN=$(cat {})", token.display());
    }
    if server.first {
        eprintln!("  writ person create maya --display-name \"Maya Lind\"");
        eprintln!(
            "  writ agent create ada --owner maya --blueprint company --purpose \"answer tickets\" --generate-key ada.pem"
        );
        eprintln!("  and on with docs/tutorial/first-agent.md, \"Say what there is\"");
    } else {
        eprintln!("  writ status");
    }
}

/// Listens for the signals that stop the server, from now on; what it gives ends with the first one.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
