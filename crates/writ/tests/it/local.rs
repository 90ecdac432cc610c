//! Servers that are processes of this machine: started by name alone, held within their bounds, and ended with everything
//! that they started.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::{Value, json};

use crate::{
    mcp::{Mcp, Pass, is_done, message, refusal},
    node::{Node, On, Setup},
    upstream::Upstream,
    world::{World, documents, rule, token_of},
};

/// A server in the shell, which speaks 2024-11-05 and does what it is told.
const SERVER: &str = r#"#!/bin/sh
say() { printf '%s\n' "$1"; }
answer() { say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}}"; }
say 'this server greets'
while IFS= read -r line; do
    id=${line#*\"id\":}; id=${id%%[,\}]*}
    case $line in
        *'"method":"initialize"'*)
            say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2024-11-05\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"shell\",\"version\":\"1\"}}}" ;;
        *'"method":"tools/list"'*)
            say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"tools\":[{\"name\":\"read_note\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}}},\"annotations\":{\"readOnlyHint\":true}}]}}" ;;
        *'"text":"variables"'*) answer "$(echo $(env | cut -d= -f1 | sort))" ;;
        *'"text":"limits"'*) answer "files $(ulimit -n) core $(ulimit -c) at $(pwd)" ;;
        *'"text":"pid"'*) answer "$$" ;;
        *'"text":"forks"'*)
            sleep 1000 <&- >&- 2>&- & one=$!
            two=$(setsid sh -c 'sleep 1000 <&- >&- 2>&- & echo $!')
            answer "$$ $one $two" ;;
        *'"text":"dies"'*) exit 3 ;;
        *'"text":"garbage"'*) say '{"jsonrpc":"2.0"' ;;
        *'"text":"twice"'*) answer one; answer two ;;
        *'"text":"another"'*) id=1$id; answer other ;;
        *'"text":"floods"'*) head -c 3000000 /dev/zero | tr '\0' 'x' >&2; answer flooded ;;
        *'"text":"large"'*) head -c 70000000 /dev/zero | tr '\0' 'x'; say '' ;;
        *'"text":"noise"'*) yes noise | head -n 2000; answer noisy ;;
        *'"text":"hangs"'*) say "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":$id,\"progress\":1}}"; exec sleep 1000 ;;
        *'"method":"tools/call"'*) answer called ;;
    esac
done
"#;

fn sha256(path: &Path) -> String {
    let said = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(said.stdout).unwrap()[..64].to_owned()
}

/// A node whose notes are a local server, and what belongs to it.
async fn local() -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("server.sh");
    std::fs::write(&script, SERVER).unwrap();
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    let config = format!(
        "[local.notes]\ncommand = '{}'\nsha256 = '{}'\nargs = ['{script}']\npins = {{ '{script}' = '{}' }}\n\
         env = {{ PATH = '/usr/bin:/bin', KEY = 'hunter2' }}\nfolder = '{}'\nfiles_max = 77\nprocesses_max = 4\n",
        shell.display(),
        sha256(&shell),
        sha256(&script),
        folder.path().display(),
        script = script.display(),
    );
    let node = Node::start_with(On::Sqlite, Setup { config: Some(config), ..Setup::default() }).await;
    let admin = node.admin();
    let mut all = documents("https://notes.example/mcp");
    let server = all.iter_mut().find(|document| document["kind"] == "Server").unwrap();
    server["spec"] = json!({ "url": "stdio://notes", "timeout_seconds": 10 });
    admin.post("apply", &json!({ "documents": all })).await.done();
    admin.act("servers/notes/discover").await.done();
    admin.put("tools/notes/read_note/label", &json!({ "effect": "read" })).await.done();
    let maya = node.api(&token_of(&admin, "people/maya").await);
    let noah = node.api(&token_of(&admin, "people/noah").await);
    let made = admin.post("agents/ada/credentials", &json!({ "label": "test", "secret": true })).await.done();
    let ada_secret = made["secret"].as_str().unwrap().to_owned();
    (World { node, upstream: Upstream::start().await, admin, maya, noah, ada_secret }, folder)
}

async fn session(world: &World) -> (String, Mcp) {
    let task = world.task(&[rule("read_note")]).await;
    let mcp = world.session(&task).await;
    (task, mcp)
}

async fn asked(mcp: &Mcp, what: &str) -> Value {
    mcp.called("read_note", &json!({ "text": what })).await
}

async fn told(mcp: &Mcp, what: &str) -> String {
    let answer = asked(mcp, what).await;
    assert!(is_done(&answer), "{what}: {answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Processes, by handles that stay theirs.
struct Watched(Vec<std::os::fd::OwnedFd>);

impl Watched {
    fn new(pids: &str) -> Self {
        let pid = |text: &str| Pid::from_raw(text.parse().unwrap()).unwrap();
        let handles =
            pids.split(' ').map(|text| pidfd_open(pid(text), PidfdFlags::empty()).expect("it runs"));
        Self(handles.collect())
    }

    /// Waits until all are over.
    fn are_over(&self) {
        for handle in &self.0 {
            let wait = Timespec { tv_sec: 10, tv_nsec: 0 };
            let ended = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&wait)).unwrap();
            assert_eq!(ended, 1, "it goes on");
        }
    }
}

/// The programs that a node starts, as the system sees it.
struct Started {
    strace: Child,
    log: tempfile::NamedTempFile,
}

impl Started {
    /// Watches from now on.
    fn of(node: &Node) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(["--follow-forks", "--trace=execve,execveat", "--output"])
            .arg(log.path())
            .args(["--attach", &node.pid().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace: `scripts/setup.sh strace` installs it");
        // It says so when it has attached, and says nothing more before it is told to go.
        let mut said = String::new();
        BufReader::new(strace.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "{said}");
        Self { strace, log }
    }

    /// Stops watching; what was started meanwhile, in order.
    fn programs(mut self) -> Vec<String> {
        kill_process(Pid::from_child(&self.strace), Signal::INT).unwrap();
        self.strace.wait().unwrap();
        let log = std::fs::read_to_string(self.log.path()).unwrap();
        let calls = log.lines().filter(|line| line.contains("execve"));
        calls.map(|line| line.split('"').nth(1).unwrap_or(line).to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_speaks_through_the_gate_within_its_bounds() {
    let (world, folder) = local().await;
    let tested = world.admin.act("servers/notes/test").await.done();
    assert_eq!((&tested["revision"], &tested["info"]["name"]), (&json!("2024-11-05"), &json!("shell")));
    let task = world.task(&[rule("read_note")]).await;
    let mut opening = Mcp::new(&world.node.url(), Pass::Bearer(world.token(&task).await));
    let greeting = message(&opening.initialize().await);
    assert_eq!(greeting["result"]["protocolVersion"], "2025-11-25", "{greeting}");
    opening = world.session(&task).await;
    assert_eq!(opening.listed().await, ["read_note"]);
    // What the shell itself sets is no surprise; nothing of ours is there.
    let variables = told(&opening, "variables").await;
    let own = variables.split(' ').filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
    assert_eq!(own.collect::<Vec<_>>(), ["KEY", "PATH"]);
    let at = folder.path().canonicalize().unwrap();
    assert_eq!(told(&opening, "limits").await, format!("files 77 core 0 at {}", at.display()));
    assert!(!world.node.said().contains("hunter2"));
    let denied = opening.called("send_note", &json!({})).await;
    assert!(!is_done(&denied), "{denied}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_server_outlives_its_session_its_right_or_writ() {
    let (mut world, _folder) = local().await;
    // The end of the session.
    let (_, mcp) = session(&world).await;
    let watched = Watched::new(&told(&mcp, "forks").await);
    mcp.close().send().await;
    watched.are_over();
    // The end of the task, in the middle of a call.
    let (task, mcp) = session(&world).await;
    let watched = Watched::new(&told(&mcp, "forks").await);
    let pid = told(&mcp, "pid").await;
    let (answer, ()) = tokio::join!(asked(&mcp, "hangs"), async {
        // The shell has become what it hangs in.
        while std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() != "sleep") {
            tokio::task::yield_now().await;
        }
        world.admin.post("kill", &json!({ "kind": "task", "name": task, "reason": "test" })).await.done();
    });
    assert_eq!(refusal(&answer), "authority_revoked", "{answer}");
    watched.are_over();
    // The end of the server in the catalogue.
    let (_, mcp) = session(&world).await;
    let watched = Watched::new(&told(&mcp, "forks").await);
    world
        .admin
        .put("servers/notes", &json!({ "url": "stdio://notes", "timeout_seconds": 10, "state": "stopped" }))
        .await
        .done();
    watched.are_over();
    world.admin.act("servers/notes/start").await.done();
    // A stop of Writ, and its death.
    let (_, mcp) = session(&world).await;
    let watched = Watched::new(&told(&mcp, "forks").await);
    world.node.stop();
    watched.are_over();
    world.node.launch().await;
    let (_, mcp) = session(&world).await;
    let watched = Watched::new(&told(&mcp, "forks").await);
    world.node.kill();
    watched.are_over();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_wrong_is_an_error_to_its_caller_alone() {
    let (world, _folder) = local().await;
    let (_, other) = session(&world).await;
    let other_pid = told(&other, "pid").await;
    for (what, code) in [
        ("garbage", "upstream_invalid"),
        ("another", "upstream_timeout"),
        ("dies", "upstream_broken"),
        ("large", "upstream_too_large"),
        ("noise", "upstream_invalid"),
    ] {
        let (_, mcp) = session(&world).await;
        let answer = asked(&mcp, what).await;
        assert_eq!(refusal(&answer), code, "{what}: {answer}");
        mcp.close().send().await;
        assert_eq!(told(&other, "pid").await, other_pid, "after {what}");
    }
    let (_, mcp) = session(&world).await;
    assert_eq!(told(&mcp, "twice").await, "one");
    assert_eq!(told(&mcp, "floods").await, "flooded");
    assert!(told(&mcp, "pid").await.parse::<u32>().is_ok());
    // A session whose process died is gone; the next one has another.
    let (_, mcp) = session(&world).await;
    asked(&mcp, "dies").await;
    assert_eq!(mcp.call("read_note", &json!({})).send().await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_changed_is_not_run() {
    let (world, folder) = local().await;
    let script = folder.path().join("server.sh");
    std::fs::write(&script, format!("{SERVER}\ntouch {}/was-run\n", folder.path().display())).unwrap();
    let task = world.task(&[rule("read_note")]).await;
    let mcp = Mcp::new(&world.node.url(), Pass::Bearer(world.token(&task).await));
    let answer = message(&mcp.initialize().await);
    assert_eq!(refusal(&answer), "upstream_changed", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("pinned"));
    assert!(!folder.path().join("was-run").exists());
    std::fs::write(&script, SERVER).unwrap();
    assert_eq!(message(&mcp.initialize().await)["result"]["serverInfo"]["name"], "shell");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_comes_over_the_network_says_what_is_run() {
    let (world, _folder) = local().await;
    let started = Started::of(&world.node);
    for url in [
        "stdio:///bin/sh",
        "stdio://notes/bin/sh",
        "stdio://notes?command=/bin/sh",
        "stdio://notes#x",
        "stdio://notes:1",
        "stdio://user@notes",
        "stdio://NOTES",
        "stdio://no%74es",
        "stdio://../../bin/sh",
        "stdio:notes",
        "file:///bin/sh",
        "exec:///bin/sh",
    ] {
        let answer = world.admin.put("servers/evil", &json!({ "url": url })).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{url}: {}", answer.text());
    }
    for member in ["command", "args", "env", "folder", "pins", "local"] {
        let spec = json!({ "url": "stdio://notes", member: "/bin/sh" });
        let answer = world.admin.put("servers/evil", &spec).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{member}: {}", answer.text());
    }
    let spec = json!({ "url": "stdio://evil" });
    world.admin.put("servers/evil", &spec).await.done();
    let answer = world.admin.act("servers/evil/test").await;
    assert!(answer.text().contains("no local server of this name"), "{}", answer.text());
    assert_eq!(started.programs(), Vec::<String>::new(), "something was started");

    let started = Started::of(&world.node);
    let (_, mcp) = session(&world).await;
    told(&mcp, "pid").await;
    // Itself twice, as the guard and as what sets the limits, which then becomes the configured command.
    let shell = std::fs::canonicalize("/bin/sh").unwrap().display().to_string();
    assert_eq!(started.programs(), ["/proc/self/exe", "/proc/self/exe", &shell]);
}
