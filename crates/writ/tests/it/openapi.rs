//! The OpenAPI document is part of the repository: a change of the API is seen in review.

use std::path::Path;

use serde_json::Value;

use crate::{
    node::{Node, On, read},
    web::Ask,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/openapi.json");

/// Whether the file shall be made anew: `WRIT_UPDATE=1`.
#[expect(clippy::disallowed_methods, reason = "how a person asks this test to write instead of compare")]
fn is_update() -> bool {
    std::env::var("WRIT_UPDATE").is_ok_and(|value| value == "1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_the_one_in_the_repository() {
    let node = Node::start(On::Sqlite).await;
    let answer = Ask::new("GET", format!("{}/api/v1/openapi.json", node.url())).send().await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let served = serde_json::to_string_pretty(&answer.done()).unwrap() + "\n";
    if is_update() {
        std::fs::create_dir_all(Path::new(FILE).parent().unwrap()).unwrap();
        std::fs::write(FILE, &served).unwrap();
    }
    let kept = read(Path::new(FILE));
    let differs = served.lines().zip(kept.lines()).position(|(served, kept)| served != kept);
    let what = "api/openapi.json is not what the server says; look at the change, then run this test with WRIT_UPDATE=1";
    assert!(served == kept, "{what}: line {differs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reference_leads_somewhere_and_every_operation_is_whole() {
    let node = Node::start(On::Sqlite).await;
    let document = Ask::new("GET", format!("{}/api/v1/openapi.json", node.url())).send().await.done();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50, "the document refers to its schemas");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "two operations are called {id}");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            let named: Vec<_> =
                operation["parameters"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                assert!(named.contains(&&Value::from(part)), "{method} {path} does not describe {part}");
            }
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
