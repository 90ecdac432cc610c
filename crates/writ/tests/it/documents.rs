//! Configuration as documents, through the command line and the API: all or nothing, the same bytes each time, and no
//! way around a stop.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    command::{Ran, reading, writ},
    node::{Api, Node, On},
    upstream::Upstream,
    world::{World, document, documents},
};

const POLICY: &str = r#"forbid (principal is Agent, action == Action::"notes/send_note", resource)
when { context.arguments has to && context.arguments.to == "nobody" };
"#;

/// A server whose catalogue knows the upstream's tools, and a folder with documents of all kinds.
async fn stage(on: On) -> (World, PathBuf) {
    let world = World::new(on).await;
    let folder = world.node.beside("config");
    std::fs::create_dir_all(folder.join("more")).unwrap();
    let mut all = documents(&world.upstream.url);
    all.push(document(
        "Grant",
        "for-a-while",
        &json!({ "to": "person/maya", "role": "notes", "on": "server/notes", "reason": "test", "expires": "2100-01-01T01:00:00+01:00" }),
    ));
    all.push(document(
        "Policy",
        "no-notes-to-nobody",
        &json!({ "description": "nobody gets notes", "text": POLICY }),
    ));
    all.push(document(
        "LabelSet",
        "notes",
        &json!({ "effects": { "read_note": "read", "drop_note": "admin" } }),
    ));
    // In an order in which nothing could be applied, over several files, in both notations.
    all.reverse();
    let (some, others) = all.split_at(7);
    let yaml: Vec<String> = some.iter().map(|one| serde_norway::to_string(one).unwrap()).collect();
    std::fs::write(folder.join("one.yaml"), yaml.join("---\n")).unwrap();
    for (number, one) in others.iter().enumerate() {
        std::fs::write(folder.join(format!("more/{number}.json")), one.to_string()).unwrap();
    }
    std::fs::write(folder.join("notes.txt"), "not a document").unwrap();
    (world, folder)
}

fn apply(api: &Api, home: &Path, path: &Path, more: &[&str]) -> Ran {
    let mut arguments = vec!["apply", "-f", path.to_str().unwrap()];
    arguments.extend(more);
    writ(api, home, &arguments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_applies_to_nothing_and_is_the_same_bytes_again() {
    for on in [On::Sqlite, On::Postgres] {
        let (world, folder) = stage(on).await;
        let (admin, home) = (&world.admin, world.node.beside(""));
        let wanted = apply(admin, &home, &folder, &["-o", "json"]).done();
        let plan: Value = serde_json::from_slice(&wanted).unwrap();
        let outcomes: Vec<_> =
            plan["changes"].as_array().unwrap().iter().map(|change| &change["outcome"]).collect();
        assert_eq!(outcomes.len(), 20, "{plan}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == "unchanged").count(), 17, "{plan}");

        let exported = writ(admin, &home, &["export"]).done();
        for kind in
            ["Person", "Group", "Workload", "Blueprint", "Agent", "Server", "LabelSet", "Role", "Grant"]
        {
            assert!(text(&exported).contains(&format!("kind: {kind}\n")), "{kind} is not exported");
        }
        assert!(text(&exported).contains("kind: Policy\n") && text(&exported).contains("kind: Secret\n"));
        assert!(
            !text(&exported).contains(crate::world::UPSTREAM_SECRET),
            "the value of a secret was exported"
        );

        assert!(text(&exported).contains("expires: 2100-01-01T00:00:00.000Z\n"), "{}", text(&exported));

        let file = world.node.beside("exported.yaml");
        std::fs::write(&file, &exported).unwrap();
        let before = admin.position().await;
        apply(admin, &home, &file, &[]).done();
        assert_eq!(admin.position().await, before, "applying an export changed something");
        assert_eq!(writ(admin, &home, &["export"]).done(), exported);
        let same = writ(admin, &home, &["diff", "-f", file.to_str().unwrap()]);
        assert_eq!((same.exit, same.said.as_str()), (0, "no difference\n"));
        let as_json = writ(admin, &home, &["export", "-o", "json"]).done();
        let list = world.node.beside("exported.json");
        std::fs::write(&list, &as_json).unwrap();
        apply(admin, &home, &list, &[]).done();
        assert_eq!(admin.position().await, before, "applying an export as JSON changed something");
        assert_eq!(writ(admin, &home, &["export", "-o", "json"]).done(), as_json);

        // On another server that knows the same tools, the export makes the same and exports the same.
        let other = World::new(On::Sqlite).await;
        let moved = text(&exported).replace(&world.upstream.url, &other.upstream.url);
        std::fs::write(&file, &moved).unwrap();
        apply(&other.admin, &home, &file, &[]).done();
        assert_eq!(text(&writ(&other.admin, &home, &["export"]).done()), moved);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named_and_nothing_is_half_done() {
    let upstream = Upstream::start().await;
    let mut node = Node::start(On::Sqlite).await;
    let admin = node.admin();
    admin.post("apply", &json!({ "documents": documents(&upstream.url) })).await.done();
    let good = document("Person", "first", &json!({ "display_name": "comes first" }));
    let person = |name: &str| document("Person", name, &json!({ "display_name": "x" }));
    let mut other_version = person("x");
    other_version["apiVersion"] = json!("writ/v2");
    let mut more_metadata = person("x");
    more_metadata["metadata"]["labels"] = json!({});
    let grant = |to: &str, role: &str, on: &str| {
        document("Grant", "x", &json!({ "to": to, "role": role, "on": on, "reason": "test" }))
    };
    let agent = |owner: &str, blueprint: &str| {
        document("Agent", "x", &json!({ "owner": owner, "blueprint": blueprint, "purpose": "test" }))
    };
    let policy = |text: &str| document("Policy", "x", &json!({ "description": "test", "text": text }));
    let cases = [
        (document("Persona", "x", &json!({})), "unknown_kind", "`Persona`"),
        (document("Tool", "notes/x", &json!({})), "unknown_kind", "`Tool`"),
        (other_version, "bad_api_version", "`writ/v2`"),
        (more_metadata, "bad_request", "`labels`"),
        (document("Person", "x", &json!({ "display_name": "x", "admin": true })), "bad_spec", "`admin`"),
        (document("Person", "x", &json!({})), "bad_spec", "`display_name`"),
        (document("Role", "x", &json!({ "description": "x", "effects": ["steal"] })), "bad_spec", "`steal`"),
        (good.clone(), "document_twice", "Person `first`"),
        (grant("person/nowhere", "notes", "catalogue"), "no_such_reference", "`nowhere`"),
        (grant("maya", "notes", "catalogue"), "bad_reference", "`to`"),
        (grant("person/maya", "nowhere", "catalogue"), "no_such_reference", "`role`"),
        (grant("person/maya", "notes", "server/nowhere"), "no_such_reference", "`on`"),
        (grant("agent/ada", "administrator", "system"), "not_administrative", "`administrator`"),
        (agent("nowhere", "notes"), "no_such_reference", "`owner`"),
        (agent("maya", "nowhere"), "no_such_reference", "`blueprint`"),
        (document("Server", "x", &json!({ "url": "http://192.0.2.1/mcp" })), "bad_server_url", "192.0.2.1"),
        (
            document("Server", "x", &json!({ "url": "https://u:pw@a.example/" })),
            "bad_server_url",
            "credential",
        ),
        (
            document(
                "Server",
                "x",
                &json!({ "url": "https://a.example/", "credential": { "secret": "nowhere" } }),
            ),
            "no_such_reference",
            "`nowhere`",
        ),
        (
            document("LabelSet", "notes", &json!({ "effects": { "nowhere": "read" } })),
            "no_such_tool",
            "`nowhere`",
        ),
        (policy("permit (principal"), "policy_invalid", "x"),
        (
            policy("forbid (principal is Agent, action == Action::\"notes/nowhere\", resource);"),
            "policy_invalid",
            "nowhere",
        ),
        // Names that could be taken for others (Cyrillic `а`, a full-width letter, an invisible sign, upper case).
        (person("m\u{430}ya"), "bad_name", "m\u{430}ya"),
        (person("\u{ff4d}aya"), "bad_name", "\u{ff4d}aya"),
        (person("maya\u{200b}"), "bad_name", "is not a name"),
        (person("Maya"), "bad_name", "`Maya`"),
        (person("a__b"), "bad_name", "`a__b`"),
        (person("../x"), "bad_name", "`../x`"),
        (person(""), "bad_name", "is not a name"),
    ];
    let before = (admin.position().await, admin.get("export").await.body);
    for (bad, code, named) in cases {
        for dry_run in [false, true] {
            let body = json!({ "documents": [good, bad] });
            let answer = admin.post(&format!("apply?dry_run={dry_run}"), &body).await;
            let refused = answer.json();
            assert!(answer.status.is_client_error(), "{bad}: {}", answer.text());
            assert_eq!(refused["code"], code, "{bad}: {refused}");
            assert!(refused["message"].as_str().unwrap().contains(named), "{bad}: {refused}");
        }
    }
    assert_eq!((admin.position().await, admin.get("export").await.body.clone()), before);
    node.kill_and_start().await;
    assert_eq!(node.admin().get("export").await.body, before.1, "something was half done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_by_the_command_line_with_its_place() {
    let node = Node::start(On::Sqlite).await;
    let (admin, file) = (node.admin(), node.beside("bad.yaml"));
    let before = admin.position().await;
    for (text, exit, named) in [
        (
            "apiVersion: writ/v1\nkind: Person\nmetadata: { name: x }\nspec: { display_name: x }\nmore: 1\n",
            1,
            "document 1 of `",
        ),
        (
            "apiVersion: writ/v1\nkind: Person\nmetadata: { name: x, labels: {} }\nspec: { display_name: x }\n",
            1,
            "labels",
        ),
        (
            "---\n---\napiVersion: writ/v1\nkind: Person\nmetadata: { name: x }\nspec: { display_name: x, admin: 1 }\n",
            1,
            "bad.yaml`: Person `x`: `spec`: unknown field `admin`",
        ),
        (
            "apiVersion: writ/v1\nkind: Policy\nmetadata: { name: x }\nspec: { description: x, text: permit }\n",
            1,
            "document 1 of `",
        ),
        ("apiVersion: writ/v1\nkind: Person\nkind: Agent\nmetadata: { name: x }\nspec: {}\n", 1, "kind"),
        ("{ not yaml", 1, "bad.yaml"),
        ("", 2, "no documents"),
        (
            "apiVersion: writ/v1\nkind: Persona\nmetadata: { name: x }\nspec: {}\n",
            1,
            "bad.yaml`: Persona `x`",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = apply(&admin, &node.beside(""), &file, &[]);
        assert!(ran.exit == exit, "{text}: {ran:?}");
        assert!(ran.said.contains(named), "{text}: {ran:?}");
    }
    let person = |number| {
        format!(
            "---\napiVersion: writ/v1\nkind: Person\nmetadata: {{ name: p-{number} }}\nspec: {{ display_name: one of very many people }}\n"
        )
    };
    std::fs::write(&file, (0..9000).map(person).collect::<String>()).unwrap();
    let ran = apply(&admin, &node.beside(""), &file, &[]);
    assert!(ran.exit == 2 && ran.said.contains("apply them in parts"), "{ran:?}");
    assert_eq!(admin.position().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let (world, folder) = stage(On::Sqlite).await;
    let (admin, home) = (&world.admin, world.node.beside(""));
    let before = (admin.position().await, admin.get("export").await.body);
    let said = apply(admin, &home, &folder, &["--dry-run", "-o", "json"]).done();
    let plan: Value = serde_json::from_slice(&said).unwrap();
    let created = plan["changes"].as_array().unwrap().iter().find(|change| change["outcome"] == "created");
    assert_eq!(created.unwrap()["name"], "for-a-while", "{plan}");
    assert!(plan["position"].is_null() && plan["dry_run"] == true);
    assert_eq!(writ(admin, &home, &["diff", "-f", folder.to_str().unwrap()]).exit, 6);
    admin.put("groups/new?dry_run=true", &json!({ "of": "agent", "description": "x" })).await.done();
    admin.ask("DELETE", "groups/writers?dry_run=true").send().await.done();
    assert_eq!((admin.position().await, admin.get("export").await.body), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_do_not_lift_a_stop() {
    let (world, folder) = stage(On::Sqlite).await;
    let (admin, home) = (&world.admin, world.node.beside(""));
    apply(admin, &home, &folder, &[]).done();
    for (kind, name, key) in [
        ("agent", "ada", "agents"),
        ("person", "noah", "people"),
        ("workload", "cron", "workloads"),
        ("server", "notes", "servers"),
    ] {
        admin.post("kill", &json!({ "kind": kind, "name": name, "reason": "test" })).await.done();
        let stopped = admin.get(&format!("{key}/{name}")).await.done();
        let before = admin.position().await;
        let refused = apply(admin, &home, &folder, &[]);
        assert_eq!(refused.exit, 7, "{kind}: {refused:?}");
        assert!(refused.said.contains(name), "{kind}: {refused:?}");
        assert_eq!(admin.position().await, before, "{kind}");
        assert_eq!(admin.get(&format!("{key}/{name}")).await.done(), stopped, "{kind}");
        // What documents cannot do, a person can, by name.
        let back = match kind {
            "person" => "enable",
            "server" => "start",
            _ => "resume",
        };
        admin.act(&format!("{key}/{name}/{back}")).await.done();
        apply(admin, &home, &folder, &[]).done();
    }
    // A tool that was stopped is none that a label set lets go.
    admin.post("kill", &json!({ "kind": "tool", "name": "notes/drop_note", "reason": "test" })).await.done();
    apply(admin, &home, &folder, &[]).done();
    assert_eq!(admin.get("tools/notes/drop_note").await.done()["spec"]["state"], "quarantined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_come_from_standard_input_too() {
    let (world, folder) = stage(On::Sqlite).await;
    let (admin, home) = (&world.admin, world.node.beside(""));
    apply(admin, &home, &folder, &[]).done();
    let exported = writ(admin, &home, &["export"]).done();
    let input = home.join("input");
    std::fs::write(&input, &exported).unwrap();
    assert_eq!(reading(admin, &home, &["diff", "-f", "-"], &input).done(), b"", "nothing differs");
    let more = text(&exported).to_owned()
        + "---\n{apiVersion: writ/v1, kind: Person, metadata: {name: zoe}, spec: {display_name: Zoe}}\n";
    std::fs::write(&input, more).unwrap();
    let differs = reading(admin, &home, &["diff", "-f", "-"], &input);
    assert_eq!((differs.exit, text(&differs.out)), (6, "+ Person zoe\n"), "{differs:?}");
    let plan = reading(admin, &home, &["apply", "-f", "-", "-o", "json"], &input).done();
    let plan: Value = serde_json::from_slice(&plan).unwrap();
    let created =
        plan["changes"].as_array().unwrap().iter().filter(|change| change["outcome"] != "unchanged");
    assert_eq!(created.map(|change| change["name"].as_str().unwrap()).collect::<Vec<_>>(), ["zoe"]);
    assert_eq!(admin.get("people/zoe").await.done()["spec"]["display_name"], "Zoe");
    // What is wrong is said of where it came from, and nothing at all is no configuration.
    for (input_text, exit, words) in [("kind: [", 1, "standard input"), ("", 2, "no documents")] {
        std::fs::write(&input, input_text).unwrap();
        let refused = reading(admin, &home, &["apply", "-f", "-"], &input);
        assert_eq!(refused.exit, exit, "{refused:?}");
        assert!(refused.said.contains(words), "{refused:?}");
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
