//! `/mcp`: all servers behind one endpoint, in both generations.

use std::{collections::HashMap, sync::Arc};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use wire::json::Json;

use crate::{
    plane::{CountingDice, TestPlane, Told, denial},
    servers::Server,
    stage::{Scripted, call, modern, modern_post, roomy},
    world::{Answer, World, answer, initialize, post, tool, upstream, world_over},
    young::young,
};

/// Behind the gateway: `main` of 2025-06-18, `young` of 2026-07-28, and `gone`, where nobody listens.
pub(crate) struct Three {
    pub(crate) world: World,
    pub(crate) young: Arc<Scripted>,
}

pub(crate) async fn three() -> Three {
    three_and(None).await
}

/// The same, and `elder` at this address.
pub(crate) async fn three_and(elder: Option<std::net::SocketAddr>) -> Three {
    let (server, young) = (Server::start(true).await, young().await);
    let greeting = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"resources":{},"prompts":{},"completions":{}},"serverInfo":{"name":"fixture","version":"1"}}"#;
    *server.greeting.lock().unwrap() = greeting.into();
    let dice = CountingDice::new();
    let upstream = |name: &str, address: String| upstream(&dice, name, &address);
    let mut upstreams: HashMap<_, _> = [
        upstream("main", server.address.to_string()),
        upstream("young", young.address.to_string()),
        upstream("gone", "127.0.0.1:9".into()),
    ]
    .into();
    upstreams.extend(elder.map(|address| upstream("elder", address.to_string())));
    Three { world: world_over(TestPlane::new(upstreams), server, roomy()), young }
}

pub(crate) fn at_all(mut request: Request<Body>) -> Request<Body> {
    *request.uri_mut() = "/mcp".parse().unwrap();
    request
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#)
}

impl Three {
    pub(crate) async fn open(&self, token: &str) -> String {
        let response = self.world.send(at_all(post(token, None, initialize()))).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, token: &str, session: &str, message: impl Into<Body>) -> Answer {
        answer(self.world.send(at_all(post(token, Some(session), message))).await).await
    }

    pub(crate) async fn listen(&self, token: &str, session: &str) -> axum::response::Response {
        let mut request = at_all(post(token, Some(session), Body::empty()));
        *request.method_mut() = Method::GET;
        self.world.send(request).await
    }

    async fn modern(&self, message: String) -> Answer {
        answer(self.world.send(at_all(modern_post("alice", message))).await).await
    }

    async fn within(&self, session: &str, method: &str, params: &str) -> Answer {
        self.send("alice", session, request(method, params)).await
    }
}

fn named(answer: &Answer, list: &str, member: &str) -> Vec<String> {
    let items = answer.last().pointer(&format!("/result/{list}")).and_then(Json::as_array);
    let items = items.unwrap_or_else(|| panic!("no list: {}", answer.text));
    items.iter().map(|item| item.get(member).and_then(Json::as_str).unwrap().to_owned()).collect()
}

const TOOLS: [&str; 5] = ["main__echo", "main__secret", "main__last", "young__echo", "young__secret"];

#[tokio::test]
async fn a_session_opens_no_server_and_lists_them_all() {
    let three = three().await;
    let session = three.open("alice").await;
    assert!(three.world.server.seen().is_empty() && three.young.seen().is_empty());
    three.world.plane.hidden.lock().unwrap().insert("secret".into());
    let listed = three.within(&session, "tools/list", "{}").await;
    assert_eq!(named(&listed, "tools", "name"), ["main__echo", "main__last", "young__echo"]);
    assert_eq!(listed.last().pointer("/result/nextCursor"), None);
    // One that is down is left out, and takes nothing of the others along.
    let left_out = listed.last().pointer("/result/_meta/writ~1left_out").unwrap();
    assert_eq!(left_out.to_text(), r#"["gone"]"#);
    // Every page of every server has a decision of its own.
    let lists = |told: &&Told| matches!(told, Told::Authorized(gateway::Request::List(_)));
    assert_eq!(three.world.plane.told().iter().filter(lists).count(), 3);
    let listed = three.within(&session, "resources/list", "{}").await;
    assert_eq!(named(&listed, "resources", "uri"), ["writ:main:a:1", "writ:main:a:2"]);
    let listed = three.within(&session, "resources/templates/list", "{}").await;
    assert_eq!(named(&listed, "resourceTemplates", "uriTemplate"), ["writ:main:a:{x}"]);
    let listed = three.within(&session, "prompts/list", "{}").await;
    assert_eq!(named(&listed, "prompts", "name"), ["main__p"]);
}

#[tokio::test]
async fn a_call_goes_to_the_server_it_names_under_the_servers_own_name() {
    let three = three().await;
    let session = three.open("alice").await;
    for (name, params) in [
        ("main__echo", r#"{"name":"main__echo","arguments":{"uri":"writ:main:x"}}"#),
        ("young__echo", r#"{"name":"young__echo","arguments":{"uri":"writ:main:x"}}"#),
    ] {
        let called = three.within(&session, "tools/call", params).await;
        assert!(called.text.contains(r#""uri":"writ:main:x""#), "{name}: {}", called.text);
    }
    let seen = three.world.server.saw(|seen| seen.body.contains("tools/call")).await;
    assert_eq!(seen.json().pointer("/params/name"), Some(&Json::from("echo")));
    let decided = three.world.plane.told().into_iter().filter_map(|told| match told {
        Told::Authorized(gateway::Request::CallTool { name, .. }) => Some(name),
        _ => None,
    });
    assert_eq!(decided.collect::<Vec<_>>(), ["echo", "echo"]);
    // Both are decided, and both servers are opened once.
    three.within(&session, "tools/call", r#"{"name":"main__echo"}"#).await;
    let opened = three.world.server.seen().iter().filter(|seen| seen.body.contains("\"initialize\"")).count();
    assert_eq!(opened, 1);
    // Progress of a call comes under the client's own token.
    let message = r#"{"name":"main__progress","_meta":{"progressToken":"mine"}}"#;
    let told = three.within(&session, "tools/call", message).await;
    assert_eq!(told.messages[0].pointer("/params/progressToken"), Some(&Json::from("mine")));
}

#[tokio::test]
async fn a_resource_is_asked_for_by_the_uri_that_its_server_gave() {
    let three = three().await;
    let session = three.open("alice").await;
    three.within(&session, "resources/read", r#"{"uri":"writ:main:a://x?y#z"}"#).await;
    let seen = three.world.server.saw(|seen| seen.body.contains("resources/read")).await;
    assert_eq!(seen.json().pointer("/params/uri"), Some(&Json::from("a://x?y#z")));
    let complete = r#"{"ref":{"type":"ref/prompt","name":"main__p"},"argument":{"name":"n","value":"v"}}"#;
    three.within(&session, "completion/complete", complete).await;
    let seen = three.world.server.saw(|seen| seen.body.contains("completion/complete")).await;
    assert_eq!(seen.json().pointer("/params/ref/name"), Some(&Json::from("p")));
}

#[tokio::test]
async fn what_is_not_the_callers_is_not_there() {
    let three = three().await;
    let session = three.open("alice").await;
    let hide = |name: &str| three.world.plane.unknown_servers.lock().unwrap().insert(name.into());
    hide("main");
    let nothing = three.within(&session, "tools/call", r#"{"name":"nothing__echo"}"#).await;
    assert_eq!((nothing.error_code(), nothing.code()), (Some(-32602), "unknown_name"));
    for (method, params) in [
        ("tools/call", r#"{"name":"main__echo"}"#),
        ("tools/call", r#"{"name":"echo"}"#),
        ("tools/call", r#"{"name":"__echo"}"#),
        ("tools/call", r#"{"name":"main"}"#),
        ("prompts/get", r#"{"name":"main__p"}"#),
        ("resources/read", r#"{"uri":"writ:main:a:1"}"#),
        ("resources/read", r#"{"uri":"a:1"}"#),
        ("resources/subscribe", r#"{"uri":"writ:main:a:1"}"#),
        ("tasks/get", r#"{"taskId":"t"}"#),
    ] {
        let hidden = three.within(&session, method, params).await;
        assert_eq!(hidden.status, StatusCode::OK, "{method} {params}");
        if method != "tasks/get" {
            assert_eq!(hidden.text, nothing.text, "{method} {params}");
        }
    }
    let listed = three.within(&session, "tools/list", "{}").await;
    assert_eq!(named(&listed, "tools", "name"), TOOLS[3..]);
    assert!(three.world.server.seen().is_empty(), "nothing reached it");
    // One that may be known and is not granted: with reasons, as at its own endpoint.
    three.world.plane.deny("echo", denial());
    let denied = three.within(&session, "tools/call", r#"{"name":"young__echo"}"#).await;
    assert!(denied.text.contains("not_granted"), "{}", denied.text);
    assert_eq!(three.young.count("tools/call"), 0);
    let unknown = three.within(&session, "tools/destroy", "{}").await;
    assert_eq!(unknown.error_code(), Some(-32601));
    assert!(three.world.plane.told().contains(&Told::Unknown("tools/destroy".into())));
}

#[tokio::test]
async fn names_with_several_separators_are_split_at_the_first() {
    let three = three().await;
    let session = three.open("alice").await;
    three.world.plane.deny("a__b", denial());
    let denied = three.within(&session, "tools/call", r#"{"name":"main__a__b"}"#).await;
    assert!(denied.text.contains("not_granted"), "{}", denied.text);
    three.world.plane.deny("_x", denial());
    let denied = three.within(&session, "tools/call", r#"{"name":"main___x"}"#).await;
    assert!(denied.text.contains("not_granted"), "{}", denied.text);
}

#[tokio::test]
async fn sessions_are_their_holders_and_their_endpoints() {
    let three = three().await;
    let session = three.open("alice").await;
    assert_eq!(three.send("bob", &session, tool(1, "main__echo")).await.status, StatusCode::NOT_FOUND);
    // The session with all servers is none with one of them, and the other way round.
    let one = answer(three.world.send(post("alice", Some(&session), tool(1, "echo"))).await).await;
    assert_eq!(one.status, StatusCode::NOT_FOUND);
    let own = three.world.open("alice").await;
    assert_eq!(three.send("alice", &own, tool(1, "main__echo")).await.status, StatusCode::NOT_FOUND);
    // Its end is the end of its parts.
    three.send("alice", &session, tool(1, "main__echo")).await;
    let mut end = at_all(post("alice", Some(&session), Body::empty()));
    *end.method_mut() = Method::DELETE;
    assert_eq!(three.world.send(end).await.status(), StatusCode::NO_CONTENT);
    three.world.server.saw(|seen| seen.method == Method::DELETE).await;
    assert_eq!(three.send("alice", &session, tool(1, "main__echo")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn anothers_cursor_opens_nothing() {
    let three = three().await;
    let plane = &three.world.plane;
    let (alice, bob) = (three.open("alice").await, three.open("bob").await);
    // As the gateway seals it: for a holder and a list.
    let holder = |token: &str| {
        let caller = plane.caller(token);
        gateway::Plane::holder(&**plane, &caller)
    };
    let sealed = |token: &str, list: &str, plain: &str| {
        let gateway::Holder { actor, task } = holder(token);
        let bound = format!("list cursor\0{actor}\0{task}\0{list}");
        gateway::Plane::seal(&**plane, plain.as_bytes(), bound.as_bytes())
    };
    let list = |cursor: String| request("tools/list", &format!(r#"{{"cursor":"{cursor}"}}"#));
    // Of a server that is not there (any more): what follows it follows.
    let rest = three.send("alice", &alice, list(sealed("alice", "tools", "removed\0c9"))).await;
    assert_eq!(named(&rest, "tools", "name"), TOOLS[3..]);
    let within = three.send("alice", &alice, list(sealed("alice", "tools", "main\0c2"))).await;
    assert_eq!(named(&within, "tools", "name"), TOOLS[2..]);
    for (token, session, cursor) in [
        ("bob", &bob, sealed("alice", "tools", "main\0c2")),
        ("alice", &alice, sealed("alice", "prompts", "main\0c2")),
        ("alice", &alice, "c2".to_owned()),
    ] {
        let foreign = three.send(token, session, list(cursor)).await;
        assert_eq!((foreign.error_code(), foreign.code()), (Some(-32602), "foreign_cursor"));
    }
}

#[tokio::test]
async fn a_client_of_2026_has_the_same() {
    let three = three().await;
    let discovered = three.modern(modern("1", "server/discover", "{}", "{}", "")).await;
    for list in ["tools", "resources", "prompts"] {
        let changes = discovered.last().pointer(&format!("/result/capabilities/{list}/listChanged"));
        assert_eq!(changes, Some(&Json::from(true)), "{}", discovered.text);
    }
    assert!(three.world.server.seen().is_empty() && three.young.seen().is_empty());
    let listed = three.modern(modern("1", "tools/list", "{}", "{}", "")).await;
    assert_eq!(named(&listed, "tools", "name"), TOOLS);
    assert_eq!(listed.last().pointer("/result/cacheScope"), Some(&Json::from("private")));
    for server in ["main", "young"] {
        let arguments = r#","arguments":{"n":1.50}"#;
        let called = three.modern(call(7, &format!("{server}__echo"), arguments)).await;
        assert!(called.text.contains("1.50"), "{server}: {}", called.text);
    }
    let seen = three.young.saw(|seen| seen.body.contains("tools/call")).await;
    assert_eq!(seen.headers["mcp-name"], "echo");
    // What the header says must be what the body says, here too.
    let mut lying = at_all(modern_post("alice", call(7, "young__echo", "")));
    lying.headers_mut().insert("mcp-name", "echo".parse().unwrap());
    assert_eq!(answer(three.world.send(lying).await).await.error_code(), Some(-32020));
    let unknown = three.modern(call(7, "nothing__echo", "")).await;
    assert_eq!((unknown.error_code(), unknown.code()), (Some(-32602), "unknown_name"));
}

#[tokio::test]
async fn an_endpoint_takes_what_is_meant_for_it_alone() {
    let three = three().await;
    let request = at_all(post("nobody", None, initialize()));
    assert_eq!(three.world.send(request).await.status(), StatusCode::UNAUTHORIZED);
    for path in ["/mcp/", "/mcp//", "/MCP"] {
        let mut request = post("alice", None, initialize());
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(three.world.send(request).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let mut request = at_all(post("alice", None, initialize()));
    *request.method_mut() = Method::PUT;
    assert_eq!(three.world.send(request).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_proof_is_good_for_all_servers_of_one_list_and_no_more() {
    let three = three().await;
    let session = three.open("alice").await;
    let proven = || {
        let mut request = at_all(post("alice", Some(&session), request("tools/list", "{}")));
        request.headers_mut().insert("dpop", "proof-1".parse().unwrap());
        request
    };
    let listed = answer(three.world.send(proven()).await).await;
    assert_eq!(named(&listed, "tools", "name"), TOOLS);
    assert_eq!(three.world.send(proven()).await.status(), StatusCode::UNAUTHORIZED);
}
