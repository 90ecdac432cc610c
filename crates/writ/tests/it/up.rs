//! `writ up` as automation uses it.

use std::{os::unix::fs::PermissionsExt as _, process::Command, sync::Arc};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    command::{offline, run},
    node::{Api, Node, On, WRIT, launch, read},
    web::Ask,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_needs_nothing_but_a_folder() {
    let folder = TempDir::new().unwrap();
    let (data, ready) = (folder.path().join("a/b/data"), folder.path().join("ready"));
    let mut command = Command::new(WRIT);
    command
        .arg("up")
        .arg("--data")
        .arg(&data)
        .args(["--listen", "127.0.0.1:0"])
        .arg("--ready-file")
        .arg(&ready);
    let mut process = launch(command, Arc::default()).await.unwrap();
    let said: Value = serde_json::from_str(&read(&ready)).unwrap();
    assert_eq!(said["pid"], process.id());
    let url = said["url"].as_str().unwrap().to_owned();
    let token = read(&data.join("admin.token")).trim().to_owned();
    let api = Api { url: url.clone(), token };
    assert_eq!(api.get("self").await.done()["name"], "admin");
    for path in ["livez", "readyz", "metrics", "log/checkpoint"] {
        assert_eq!(Ask::new("GET", format!("{url}/{path}")).send().await.status, 200, "{path}");
    }
    let front = Ask::new("GET", format!("{url}/")).send().await.done();
    assert!(front["what"].as_str().unwrap().starts_with("Writ"), "{front}");
    let counted = Ask::new("GET", format!("{url}/metrics")).send().await.text().to_owned();
    assert!(counted.contains("# HELP writ_fresh 1 while this node"), "{counted}");
    // Nobody but the owner reads what lies in the folder.
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("admin.token"), mode("kek")), (0o700, 0o600, 0o600));

    // Told to stop, it stops well, with everything on record.
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || process.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_keeps_keys_token_and_log() {
    let mut node = Node::start(On::Sqlite).await;
    let token = node.admin_token();
    let jwks = Ask::new("GET", format!("{}/oauth2/jwks", node.url())).send().await.done();
    let position = node.admin().position().await;
    node.kill_and_start().await;
    assert_eq!(node.ready()["pid"], node.pid());
    assert_eq!(node.admin_token(), token);
    assert_eq!(Ask::new("GET", format!("{}/oauth2/jwks", node.url())).send().await.done(), jwks);
    assert_eq!(node.admin().position().await, position + 1, "the start itself and nothing else");
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let home = folder.path();
    let data = home.join("data");
    let config = home.join("writ.toml");
    std::fs::write(&config, "databse = \"postgres://u:hunter2@h/db\"\n").unwrap();
    std::fs::write(home.join("file"), "").unwrap();
    let (data, config) = (data.to_str().unwrap(), config.to_str().unwrap());
    for (arguments, named) in [
        (vec!["--data", data, "--listen", "0.0.0.0:0"], "--tls-cert"),
        (vec!["--data", data, "--listen", "0.0.0.0:0", "--public-url", "http://writ.example"], "encrypted"),
        (vec!["--data", data, "--public-url", "https://writ.example/path"], "--public-url"),
        (vec!["--data", data, "--config", config], "databse"),
        (vec!["--data", data, "--listen", "127.0.0.1"], "--listen"),
        (vec!["--data", data, "--tls-cert", "x"], "--tls-key"),
        (vec!["--data", data, "--frobnicate"], "--frobnicate"),
        (vec!["--listen", "127.0.0.1:0"], "--data"),
        (vec!["--data", data, "--listen", "127.0.0.1:0", "--apply", "/nowhere"], "/nowhere"),
        (
            vec!["--data", data, "--listen", "127.0.0.1:0", "--database", "mysql://u:hunter2@127.0.0.1/db"],
            "only postgres:// URLs",
        ),
        (
            vec![
                "--data",
                data,
                "--listen",
                "127.0.0.1:0",
                "--database",
                "postgres://u:hunter2@127.0.0.1:1/db",
            ],
            "writ: opening the database: PostgreSQL at 127.0.0.1:1 cannot be reached: connection refused\n",
        ),
    ] {
        let mut all = vec!["up"];
        all.extend(arguments);
        let ran = offline(home, &all);
        assert!(ran.exit == 1 || ran.exit == 2, "{all:?}: {ran:?}");
        assert!(ran.said.contains(named), "{all:?}: {ran:?}");
        assert!(!ran.said.contains("hunter2"), "a password was printed: {ran:?}");
    }
}

/// A password among the arguments is pointed out once, without being repeated; in the environment it is not there.
#[test]
fn a_password_among_the_arguments_is_pointed_out() {
    let folder = TempDir::new().unwrap();
    let home = folder.path();
    let data = home.join("data");
    let start = ["up", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    // Of a database that is none, so that the start ends by itself.
    let with = |user: &str| format!("mysql://{user}@db.example/writ");
    let (shown, plain) = (with("u:hunter2"), with("u"));
    let warned = |ran: &crate::command::Ran| {
        assert_ne!(ran.exit, 0, "{ran:?}");
        assert!(!ran.said.contains("hunter2") && !ran.said.contains("db.example"), "{ran:?}");
        ran.said.lines().filter(|line| line.contains("WRIT_DATABASE") && line.contains("`--config`")).count()
    };
    let flag = |url: &str| offline(home, &[&start[..], &["--database", url]].concat());
    assert_eq!(warned(&flag(&shown)), 1);
    assert_eq!(warned(&flag(&plain)), 0);
    let environment = run(home, &start, &[("WRIT_DATABASE", &shown)]);
    assert_eq!(warned(&environment), 0);
    assert!(environment.said.contains("database"), "the variable was not read: {environment:?}");
}
