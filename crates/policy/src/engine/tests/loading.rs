//! What is refused at loading, and how it is said.

use super::{Engine, World, catalogue, engine, problems, sources, tool};
use crate::{Catalogue, Effect};

#[test]
fn the_built_in_policies_load_over_an_empty_catalogue() {
    let engine = Engine::compile(&Catalogue::default(), &[]).unwrap();
    assert_eq!(engine.policy_count(), 3);
}

#[test]
fn a_policy_that_reads_what_is_not_there_is_refused_with_its_line() {
    let text = "// first line\n@id(\"limit\")\nforbid (principal is Agent, action == Action::\"crm/refund\", resource)\n\
                when {\n  context.arguments.amuont.greaterThan(decimal(\"10.0\"))\n};";
    let found = problems(&[text]);
    assert_eq!((found[0].source.as_str(), found[0].policy.as_str(), found[0].line), ("p0", "limit", 5));
    assert!(found[0].message.contains("amuont"), "{found:#?}");
    assert!(found[0].help.contains("amount"), "{found:#?}");
}

#[test]
fn an_optional_attribute_must_be_asked_for_first() {
    let found = problems(&[r#"forbid (principal is Agent, action == Action::"crm/refund", resource)
        when { context.arguments.note == "x" };"#]);
    assert_eq!(found[0].line, 2);
    assert!(found[0].help.contains("has"), "{found:#?}");
    engine(&[r#"forbid (principal is Agent, action == Action::"crm/refund", resource)
        when { context.arguments has note && context.arguments.note == "x" };"#]);
}

#[test]
fn a_policy_that_can_never_match_is_refused() {
    for text in [
        r"forbid (principal is Agent, action, resource) when { 1 == 2 };",
        r#"forbid (principal is Agent, action == Action::"crm/refund", resource) when { context.arguments has amuont };"#,
        r#"forbid (principal is Agent, action == Action::"crm/refund", resource is Prompt);"#,
        r#"forbid (principal is Agent, action == Action::"open", resource in Server::"crm") when { principal is Person };"#,
    ] {
        let found = problems(&[text]);
        assert!(found[0].help.contains("can never match"), "{text}: {found:#?}");
    }
}

#[test]
fn an_unknown_action_or_type_is_refused() {
    for text in [
        r#"forbid (principal is Agent, action == Action::"crm/refnud", resource);"#,
        r"forbid (principal is Agnet, action, resource);",
        r"forbid (principal is Agent, action, resource is Toool);",
    ] {
        assert!(!problems(&[text]).is_empty(), "{text}");
    }
}

#[test]
fn a_policy_on_an_effect_stands_without_a_tool_of_that_effect() {
    engine(&[r#"@approval("security") forbid (principal is Agent, action in Action::"destroy", resource)
        when { context.arguments has everything && context.arguments.everything };"#]);
}

#[test]
fn annotations_are_checked() {
    for (text, word) in [
        ("@confrim forbid (principal is Agent, action, resource);", "@confrim"),
        ("@confirm permit (principal is Agent, action, resource);", "permit"),
        ("@approval forbid (principal is Agent, action, resource);", "needs a value"),
        ("@step_up(\"\") forbid (principal is Agent, action, resource);", "needs a value"),
        ("@confirm @approval(\"x\") forbid (principal is Agent, action, resource);", "only one"),
    ] {
        let found = problems(&[text]);
        assert!(found[0].message.contains(word), "{found:#?}");
    }
}

#[test]
fn ids_come_from_the_annotation_and_are_unique() {
    let two =
        "permit (principal is Agent, action, resource); permit (principal is Person, action, resource);";
    let found = problems(&[two]);
    assert_eq!(found.len(), 2);
    assert!(found[0].help.contains("@id"), "{found:#?}");
    let same = r#"@id("a") permit (principal is Agent, action, resource);"#;
    assert!(problems(&[same, same])[0].message.contains("same id"));
    let taken = r#"@id("builtin-agent-roles") forbid (principal is Agent, action, resource);"#;
    assert_eq!(problems(&[taken]).len(), 1, "a built-in policy cannot be replaced");
}

#[test]
fn templates_and_bad_syntax_are_refused() {
    let found = problems(&["permit (principal == ?principal, action, resource);"]);
    assert!(found[0].message.contains("template"), "{found:#?}");
    let found = problems(&["\n\npermit (principal is Agent, action resource);"]);
    assert_eq!(found[0].line, 3, "{found:#?}");
    assert!(!problems(&["nonsense"]).is_empty());
}

#[test]
fn text_that_reads_otherwise_than_it_says_is_refused() {
    let found = problems(&[
        "forbid (principal is Agent, action, resource) when { resource in Server::\"a\u{202e}b\" };",
    ]);
    assert!(found[0].help.contains("direction"), "{found:#?}");
}

#[test]
fn all_problems_are_told_at_once_and_nothing_is_loaded_in_part() {
    let found = problems(&[
        "nonsense",
        r"forbid (principal, action, resource);",
        r"permit (principal is Agent, action, resource);",
    ]);
    assert_eq!(found.iter().map(|problem| problem.source.as_str()).collect::<Vec<_>>(), ["p0", "p1"]);
}

#[test]
fn a_tool_cannot_stand_twice_or_take_the_name_of_a_group() {
    let mut twice = catalogue();
    twice.tools.push(twice.tools[0].clone());
    assert!(Engine::compile(&twice, &[]).unwrap_err()[0].message.contains("twice"));
    // `write` and `read_resource` are actions; a tool's action always has its server before it.
    let mut odd = catalogue();
    odd.tools.push(tool("crm", "write", Effect::Read, "{}"));
    odd.tools.push(tool("crm", "read_resource", Effect::Read, "{}"));
    let engine = Engine::compile(
        &odd,
        &sources(&[r#"forbid (principal is Agent, action in Action::"write", resource);"#]),
    );
    let mut world = World::new();
    world.act = super::call("crm", "write", Effect::Read, "{}");
    assert_eq!(world.word(&engine.unwrap()), "allow");
}

#[test]
fn odd_names_of_tools_and_arguments_are_taken_verbatim() {
    for name in [
        "",
        "a/b",
        "if",
        "permit",
        "a::b",
        "\"quoted\"",
        "\\",
        "\u{202e}",
        "__cedar",
        "é",
        " ",
        "*",
        &"x".repeat(5000),
    ] {
        let mut odd = catalogue();
        let quoted = serde_json::to_string(name).unwrap();
        let schema = format!(r#"{{"type": "object", "properties": {{{quoted}: {{"type": "string"}}}}}}"#);
        odd.tools.push(tool("crm", name, Effect::Read, &schema));
        let engine = Engine::compile(&odd, &[]).unwrap_or_else(|problems| panic!("{name:?}: {problems:?}"));
        let mut world = World::new();
        world.act = super::call("crm", name, Effect::Read, &format!("{{{quoted}: \"v\"}}"));
        assert_eq!(world.word(&engine), "allow", "{name:?}");
    }
}

#[test]
fn the_digest_depends_on_the_texts_and_not_on_their_order() {
    let (a, b) = (
        r#"@id("a") forbid (principal is Agent, action, resource is Prompt);"#,
        r#"@id("b") permit (principal is Agent, action, resource is Prompt);"#,
    );
    assert_eq!(engine(&[a, b]).digest(), engine(&[b, a]).digest());
    assert_ne!(engine(&[a, b]).digest(), engine(&[a]).digest());
    assert_ne!(engine(&[a]).digest(), engine(&[&a.replace("is Prompt", "is Tool")]).digest());
}
