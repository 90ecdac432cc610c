//! Rights that change while a client listens.

use base::Position;
use gateway::View;
use http::StatusCode;
use wire::json::Json;

use crate::{
    aggregate::three,
    stage::{Stream, modern, modern_post, stage},
    world::world,
    young::young,
};

fn view(tools: u8, prompts: u8) -> View {
    View { tools: [tools; 32], resources: [0; 32], prompts: [prompts; 32] }
}

fn method(message: &Json) -> &str {
    message.get("method").and_then(Json::as_str).unwrap_or_default()
}

#[tokio::test]
async fn a_session_hears_that_its_rights_changed() {
    let world = world().await;
    let session = world.open("alice").await;
    let mut stream = Stream::of(world.listen("alice", &session).await);
    let changes = |to: View| {
        world.plane.view.lock().unwrap().insert(Some("main".into()), to);
        world.plane.rights.send_modify(|position| *position = position.plus(1));
    };
    // What concerns others wakes nobody.
    changes(View::default());
    changes(view(1, 1));
    let told = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    let told = told.each_ref().map(method);
    assert_eq!(told, ["notifications/tools/list_changed", "notifications/prompts/list_changed"]);
    changes(view(2, 1));
    assert_eq!(method(&stream.next().await.unwrap()), "notifications/tools/list_changed");
    // What the server says comes as ever.
    let said = r#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}"#;
    world.server.listening.send_modify(|all| all.push(said.to_owned()));
    assert_eq!(method(&stream.next().await.unwrap()), "notifications/resources/list_changed");
    world.plane.revoke("alice");
    assert!(stream.next().await.is_none(), "it ends with the authority");
}

#[tokio::test]
async fn the_capability_is_declared_where_the_server_does_not() {
    let world = world().await;
    let opened = world.send(crate::world::post("alice", None, crate::world::initialize())).await;
    let opened = crate::world::answer(opened).await;
    let changes = opened.last().pointer("/result/capabilities/tools/listChanged");
    assert_eq!(changes, Some(&Json::from(true)));
    assert_eq!(opened.last().pointer("/result/capabilities/prompts"), None, "it has none");
}

#[tokio::test]
async fn a_subscription_hears_of_the_lists_that_it_asked_for() {
    let stage = stage(young().await);
    let params = r#"{"notifications":{"toolsListChanged":true}}"#;
    let message = modern("\"sub\"", "subscriptions/listen", params, "{}", "");
    let mut stream = Stream::of(stage.send(modern_post("alice", message)).await);
    assert_eq!(method(&stream.next().await.unwrap()), "notifications/subscriptions/acknowledged");
    // Prompts it did not ask for.
    for to in [view(0, 9), view(1, 9)] {
        stage.plane.view.lock().unwrap().insert(Some("main".into()), to);
        stage.plane.rights.send_modify(|position| *position = position.plus(1));
    }
    let told = stream.next().await.unwrap();
    assert_eq!(method(&told), "notifications/tools/list_changed");
    let of = told.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId");
    assert_eq!(of, Some(&Json::from("sub")));
}

#[tokio::test]
async fn all_servers_are_heard_on_one_stream() {
    let three = three().await;
    let session = three.open("alice").await;
    let response = three.listen("alice", &session).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = Stream::of(response);
    let said = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}"#;
    three.world.server.listening.send_modify(|all| all.push(said.to_owned()));
    // A server is heard of from when on something was asked of it.
    three.send("alice", &session, crate::world::tool(1, "main__echo")).await;
    let told = stream.next().await.unwrap();
    assert_eq!(method(&told), "notifications/resources/updated");
    assert_eq!(told.pointer("/params/uri"), Some(&Json::from("writ:main:a:1")));
    three.world.plane.view.lock().unwrap().insert(None, view(1, 0));
    three.world.plane.rights.send_replace(Position(9));
    assert_eq!(method(&stream.next().await.unwrap()), "notifications/tools/list_changed");
    three.world.plane.revoke("alice");
    assert!(stream.next().await.is_none(), "it ends with the authority");
}

#[tokio::test]
async fn one_subscription_is_about_all_servers() {
    let three = three().await;
    let uris = r#"["writ:young:a://x","writ:nothing:a://x","a://x"]"#;
    let params = format!(r#"{{"notifications":{{"toolsListChanged":true,"resourceSubscriptions":{uris}}}}}"#);
    let message = modern("\"sub\"", "subscriptions/listen", &params, "{}", "");
    let mut request = modern_post("alice", message);
    *request.uri_mut() = "/mcp".parse().unwrap();
    let mut stream = Stream::of(three.world.send(request).await);
    let first = stream.next().await.unwrap();
    assert_eq!(
        first.pointer("/params/notifications").unwrap().to_text(),
        r#"{"toolsListChanged":true,"resourceSubscriptions":["writ:young:a://x"]}"#
    );
    let listened = three.young.saw(|seen| seen.body.contains("subscriptions/listen")).await;
    let id = listened.json().get("id").unwrap().to_text();
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    three.young.tell(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"a://x","n":1,{meta}}}}}"#
    ));
    let told = stream.next().await.unwrap();
    assert_eq!(told.pointer("/params/uri"), Some(&Json::from("writ:young:a://x")), "{}", told.to_text());
    let of = told.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId");
    assert_eq!(of, Some(&Json::from("sub")));
    three.world.plane.view.lock().unwrap().insert(None, view(1, 1));
    three.world.plane.rights.send_replace(Position(9));
    assert_eq!(method(&stream.next().await.unwrap()), "notifications/tools/list_changed");
    three.world.plane.revoke("alice");
    let last = stream.next().await.unwrap();
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("authority_revoked")));
    assert!(stream.next().await.is_none());
}
