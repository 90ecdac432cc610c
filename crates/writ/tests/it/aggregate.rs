//! `/mcp` through the real binary: a token for all servers, what it shows of each, and rights that change meanwhile.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::{
    mcp::{Mcp, Pass, is_done, refusal},
    node::On,
    upstream::Upstream,
    web::Ask,
    world::{World, access_token, document},
};

/// Beside `notes`: `files`, which is granted, and `vault`, which is not. Both are at one address.
async fn with_more_servers(world: &World) -> std::sync::Arc<Upstream> {
    let upstream = Upstream::start().await;
    let grant = |name: &str, to: &str| {
        let spec = json!({ "to": to, "role": "notes", "on": "server/files", "reason": "works with files" });
        document("Grant", name, &spec)
    };
    let documents = [
        document("Server", "files", &json!({ "url": upstream.url })),
        document("Server", "vault", &json!({ "url": upstream.url })),
        grant("maya-files", "person/maya"),
        grant("agents-files", "blueprint/notes"),
    ];
    world.admin.post("apply", &json!({ "documents": documents })).await.done();
    for server in ["files", "vault"] {
        world.admin.act(&format!("servers/{server}/discover")).await.done();
        for tool in ["read_note", "watch_notes"] {
            let label = json!({ "effect": "read" });
            world.admin.put(&format!("tools/{server}/{tool}/label"), &label).await.done();
        }
    }
    upstream
}

/// Reads until all lists of this kind are said to have changed.
async fn hears(stream: &mut Incoming, list: &str) {
    let said = format!("notifications/{list}/list_changed");
    let mut heard = String::new();
    while !heard.contains(&said) {
        let piece =
            stream.frame().await.expect("the stream stays open").unwrap().into_data().unwrap_or_default();
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
}

const OF_FILES: [&str; 2] = ["files__read_note", "files__watch_notes"];
const OF_NOTES: [&str; 3] = ["notes__read_note", "notes__send_note", "notes__watch_notes"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_shows_what_is_granted_of_each_server() {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on).await;
        let files = with_more_servers(&world).await;
        let task = world.task(&[json!({ "server": "*", "tool": "*" })]).await;
        let answer = world.token_request(&task, "mcp").send().await.done();
        let token = access_token(&answer);
        let mcp = Mcp::open_all(&world.node.url(), Pass::Bearer(token.clone())).await;
        let listed = mcp.listed().await;
        let expected: Vec<&str> = OF_FILES.into_iter().chain(OF_NOTES).collect();
        assert_eq!(listed.iter().filter(|name| !name.contains("files__send")).collect::<Vec<_>>(), expected);

        assert!(is_done(&mcp.called("files__read_note", &json!({ "text": "a" })).await));
        assert!(is_done(&mcp.called("notes__read_note", &json!({ "text": "b" })).await));
        let (of_files, of_notes) = (files.calls(), world.upstream.calls());
        assert_eq!((of_files.len(), of_files[0].tool.as_str()), (1, "read_note"));
        assert_eq!((of_notes.len(), &of_notes[0].arguments), (1, &json!({ "text": "b" })));
        // Known and not granted: the reasons. Not there: nothing.
        assert_eq!(refusal(&mcp.called("vault__read_note", &json!({})).await), "not_granted");
        let nothing = mcp.called("nothing__read_note", &json!({})).await;
        assert_eq!(nothing["error"]["data"]["code"], "unknown_name", "{nothing}");
        assert_eq!(files.calls().len(), 1);

        // Each endpoint takes its own tokens alone.
        let own = Mcp::new(&world.node.url(), Pass::Bearer(token));
        assert_eq!(own.initialize().await.status, 401);
        let of_one = world.token(&task).await;
        let answer = Ask::new("POST", format!("{}/mcp", world.node.url()))
            .body("application/json", json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string())
            .header("accept", "application/json, text/event-stream")
            .bearer(&of_one)
            .send()
            .await;
        assert_eq!(answer.status, 401);
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", world.node.url());
        assert!(challenge.contains(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
        let document = Ask::new("GET", metadata).send().await.done();
        assert_eq!(document["resource"], format!("{}/mcp", world.node.url()));
        let root = format!("{}/.well-known/oauth-protected-resource", world.node.url());
        assert_eq!(Ask::new("GET", root).send().await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_hears_that_its_rights_changed() {
    let world = World::new(On::Sqlite).await;
    let _files = with_more_servers(&world).await;
    let task = world.task(&[json!({ "server": "*", "tool": "*" })]).await;
    let token = access_token(&world.token_request(&task, "mcp").send().await.done());
    let all = Mcp::open_all(&world.node.url(), Pass::Bearer(token)).await;
    let one = world.session(&task).await;
    let mut of_all = all.listen().open().await.unwrap().into_body();
    let mut of_one = one.listen().open().await.unwrap().into_body();
    assert!(!all.listed().await.contains(&"vault__read_note".to_owned()));

    // A right is given.
    let grant = |name: &str, to: &str, on: &str| -> Value {
        document("Grant", name, &json!({ "to": to, "role": "notes", "on": on, "reason": "needs it" }))
    };
    let given = [
        grant("maya-vault", "person/maya", "server/vault"),
        grant("agents-vault", "blueprint/notes", "server/vault"),
    ];
    world.admin.post("apply", &json!({ "documents": given })).await.done();
    hears(&mut of_all, "tools").await;
    assert!(all.listed().await.contains(&"vault__read_note".to_owned()));

    // It is taken.
    world.admin.ask("DELETE", "grants/agents-vault").send().await.done();
    hears(&mut of_all, "tools").await;
    assert!(!all.listed().await.contains(&"vault__read_note".to_owned()));

    // A tool changes what it does: at the server's own endpoint, too.
    world.admin.put("tools/notes/read_note/label", &json!({ "effect": "destroy" })).await.done();
    hears(&mut of_one, "tools").await;
    assert!(!one.listed().await.contains(&"read_note".to_owned()));
    hears(&mut of_all, "tools").await;
    assert!(!all.listed().await.contains(&"notes__read_note".to_owned()));
}
