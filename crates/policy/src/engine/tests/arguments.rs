//! Arguments: what policies see of them, and what happens when they cannot see.

use super::{Engine, World, catalogue, json, sources, tool};
use crate::{Effect, engine::shape};

/// An engine with one more tool, `crm/t`, and one forbid on it.
fn forbidding(schema: &str, condition: &str) -> Engine {
    let mut catalogue = catalogue();
    catalogue.tools.push(tool("crm", "t", Effect::Read, schema));
    let text = format!(
        r#"forbid (principal is Agent, action == Action::"crm/t", resource) when {{ {condition} }};"#
    );
    Engine::compile(&catalogue, &sources(&[&text])).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn word(engine: &Engine, arguments: &str) -> &'static str {
    let mut world = World::new();
    world.act = super::call("crm", "t", Effect::Read, arguments);
    world.word(engine)
}

fn object(properties: &str, required: &str) -> String {
    format!(r#"{{"type": "object", "properties": {{{properties}}}, "required": [{required}]}}"#)
}

#[test]
fn numbers_are_compared_exactly_or_not_at_all() {
    let schema = object(r#""n": {"type": "number"}"#, r#""n""#);
    let engine = forbidding(&schema, r#"context.arguments.n.greaterThan(decimal("100.0"))"#);
    for (arguments, expected) in [
        (r#"{"n": 100}"#, "allow"),
        (r#"{"n": 100.0000}"#, "allow"),
        (r#"{"n": 1e2}"#, "allow"),
        (r#"{"n": 100.0001}"#, "forbidden"),
        (r#"{"n": -5}"#, "allow"),
        (r#"{"n": 922337203685477.5807}"#, "forbidden"),
        (r#"{"n": 100.00001}"#, "argument_unreadable"),
        (r#"{"n": 1e300}"#, "argument_unreadable"),
        (r#"{"n": 922337203685477.5808}"#, "argument_unreadable"),
        (r#"{"n": "100"}"#, "arguments_invalid"),
        (r#"{"n": null}"#, "arguments_invalid"),
        (r"{}", "arguments_invalid"),
        (r"[]", "arguments_invalid"),
        (r"null", "arguments_invalid"),
    ] {
        assert_eq!(word(&engine, arguments), expected, "{arguments}");
    }
}

#[test]
fn an_integer_beyond_64_bits_does_not_slip_past_a_forbid() {
    let schema = object(r#""n": {"type": "integer"}"#, "");
    let engine = forbidding(&schema, "context.arguments has n && context.arguments.n > 5");
    for (arguments, expected) in [
        ("{}", "allow"),
        (r#"{"n": 5.0}"#, "allow"),
        (r#"{"n": 9223372036854775807}"#, "forbidden"),
        (r#"{"n": 9223372036854775808}"#, "argument_unreadable"),
        (r#"{"n": 5.5}"#, "arguments_invalid"),
    ] {
        assert_eq!(word(&engine, arguments), expected, "{arguments}");
    }
}

#[test]
fn what_no_forbid_reads_is_nobodys_business() {
    let schema = object(r#""n": {"type": "integer"}, "m": {"type": "number"}"#, r#""n", "m""#);
    let engine = forbidding(&schema, "context.arguments.n > 5");
    assert_eq!(word(&engine, r#"{"n": 1, "m": 1e99}"#), "allow");
    assert_eq!(word(&engine, r#"{"n": 1}"#), "allow");
}

#[test]
fn a_permit_that_cannot_see_does_not_permit() {
    let mut catalogue = catalogue();
    catalogue.tools.push(tool("crm", "t", Effect::Read, &object(r#""n": {"type": "number"}"#, r#""n""#)));
    let text = r#"permit (principal is Agent, action == Action::"crm/t", resource)
        when { context.arguments.n.lessThan(decimal("10.0")) };"#;
    let engine = Engine::compile(&catalogue, &sources(&[text])).unwrap();
    let mut world = World::new();
    world.agent = super::subject(crate::EntityKind::Agent, "bot", &[]);
    for (arguments, expected) in
        [(r#"{"n": 9}"#, "allow"), (r#"{"n": 0.00001}"#, "not_granted"), ("{}", "not_granted")]
    {
        world.act = super::call("crm", "t", Effect::Read, arguments);
        assert_eq!(world.word(&engine), expected, "{arguments}");
    }
}

#[test]
fn the_record_as_a_whole_reads_every_argument() {
    let schema = object(r#""n": {"type": "integer"}, "s": {"type": "string"}"#, "");
    for condition in [
        r#"context.arguments == context.arguments && resource.name == "x""#,
        r#"context == context && resource.name == "x""#,
        r#"context.unmapped.contains("zzz")"#,
    ] {
        let engine = forbidding(&schema, condition);
        assert_eq!(word(&engine, r#"{"s": "a"}"#), "allow", "{condition}");
        assert_eq!(word(&engine, r#"{"n": 9223372036854775808}"#), "argument_unreadable", "{condition}");
    }
}

#[test]
fn undeclared_arguments_are_named() {
    let engine =
        forbidding(&object(r#""s": {"type": "string"}"#, ""), r#"context.unmapped.contains("extra")"#);
    assert_eq!(word(&engine, r#"{"s": "a"}"#), "allow");
    assert_eq!(word(&engine, r#"{"s": "a", "extra": 1}"#), "forbidden");
}

#[test]
fn lists_are_sets_with_a_count() {
    let schema = object(r#""to": {"type": "array", "items": {"type": "string"}}"#, "");
    let engine = forbidding(
        &schema,
        r#"context.arguments has to && (context.arguments.to.items.contains("x@y") || context.arguments.to.count > 2)"#,
    );
    for (arguments, expected) in [
        ("{}", "allow"),
        (r#"{"to": ["a", "a"]}"#, "allow"),
        (r#"{"to": ["a", "a", "a"]}"#, "forbidden"),
        (r#"{"to": ["a", "x@y"]}"#, "forbidden"),
        (r#"{"to": ["a", 1]}"#, "arguments_invalid"),
        (r#"{"to": "x@y"}"#, "arguments_invalid"),
    ] {
        assert_eq!(word(&engine, arguments), expected, "{arguments}");
    }
}

#[test]
fn each_branch_of_a_union_that_fits_is_seen() {
    let schema = object(
        r#""v": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "null"}]}"#,
        "",
    );
    let engine = forbidding(
        &schema,
        r#"context.arguments has v && ((context.arguments.v has decimal
            && context.arguments.v.decimal.greaterThan(decimal("5.0")))
            || (context.arguments.v has text && context.arguments.v.text == "x"))"#,
    );
    for (arguments, expected) in [
        (r#"{"v": null}"#, "allow"),
        (r#"{"v": 5}"#, "allow"),
        (r#"{"v": 6}"#, "forbidden"),
        (r#"{"v": "x"}"#, "forbidden"),
        (r#"{"v": "y"}"#, "allow"),
        (r#"{"v": 5.00001}"#, "argument_unreadable"),
        (r#"{"v": true}"#, "arguments_invalid"),
    ] {
        assert_eq!(word(&engine, arguments), expected, "{arguments}");
    }
}

#[test]
fn choices_times_and_addresses() {
    let engine =
        forbidding(&object(r#""c": {"enum": ["eur", "usd"]}"#, r#""c""#), r#"context.arguments.c == "usd""#);
    assert_eq!(word(&engine, r#"{"c": "eur"}"#), "allow");
    assert_eq!(word(&engine, r#"{"c": "usd"}"#), "forbidden");
    assert_eq!(word(&engine, r#"{"c": "USD"}"#), "arguments_invalid");

    let engine = forbidding(
        &object(r#""at": {"type": "string", "format": "date-time"}"#, ""),
        r#"context.arguments has at && (if context.arguments.at has time
            then context.arguments.at.time > datetime("2026-01-01T00:00:00Z") else true)"#,
    );
    for (arguments, expected) in [
        (r#"{"at": "2025-12-31T23:59:59Z"}"#, "allow"),
        (r#"{"at": "2026-01-01T01:00:00.000+02:00"}"#, "allow"),
        (r#"{"at": "2026-01-01T00:00:00.001Z"}"#, "forbidden"),
        (r#"{"at": "2026-01-01T00:00:00.0000001Z"}"#, "argument_unreadable"),
        (r#"{"at": "tomorrow"}"#, "argument_unreadable"),
        (r#"{"at": "é"}"#, "argument_unreadable"),
    ] {
        assert_eq!(word(&engine, arguments), expected, "{arguments}");
    }

    let engine = forbidding(
        &object(r#""host": {"type": "string", "format": "ipv4"}"#, ""),
        r"context.arguments has host && context.arguments.host has address && context.arguments.host.address.isLoopback()",
    );
    assert_eq!(word(&engine, r#"{"host": "10.0.0.1"}"#), "allow");
    assert_eq!(word(&engine, r#"{"host": "127.0.0.1"}"#), "forbidden");
    assert_eq!(word(&engine, r#"{"host": "127.1"}"#), "argument_unreadable");
}

#[test]
fn free_form_objects_show_their_keys() {
    let engine = forbidding(
        &object(r#""meta": {"type": "object"}, "x": {}"#, ""),
        r#"(context.arguments has meta && context.arguments.meta.keys.contains("admin"))
            || (context.arguments has x && context.arguments.x has bool && context.arguments.x.bool)"#,
    );
    assert_eq!(word(&engine, r#"{"meta": {"a": {"admin": 1}}}"#), "allow");
    assert_eq!(word(&engine, r#"{"meta": {"admin": null}}"#), "forbidden");
    assert_eq!(word(&engine, r#"{"x": true}"#), "forbidden");
    for any in ["1", "1.5", "\"s\"", "[1]", "{\"a\":1}", "false"] {
        assert_eq!(word(&engine, &format!(r#"{{"x": {any}}}"#)), "allow", "{any}");
    }
}

#[test]
fn nested_objects_are_records() {
    let schema = object(
        r##""user": {"$ref": "#/$defs/user"}"##,
        "",
    )
    .replacen('{', r##"{"$defs": {"user": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "boss": {"$ref": "#/$defs/user"}}}}, "##, 1);
    let engine = forbidding(&schema, "context.arguments has user && context.arguments.user.id == 0");
    assert_eq!(word(&engine, r#"{"user": {"id": 1}}"#), "allow");
    assert_eq!(word(&engine, r#"{"user": {"id": 0, "boss": {"id": 1}}}"#), "forbidden");
    assert_eq!(word(&engine, r#"{"user": {}}"#), "arguments_invalid");
}

#[test]
fn hostile_schemas_end() {
    let wide: String =
        (0..40).map(|at| format!(r##""p{at}": {{"$ref": "#"}},"##)).collect::<Vec<_>>().concat();
    let recursive = format!(r#"{{"type": "object", "properties": {{{wide} "z": {{"type": "string"}}}}}}"#);
    let loops = r##"{"$ref": "#"}"##;
    let elsewhere = r#"{"properties": {"a": {"$ref": "https://evil.example/x"}}}"#;
    for schema in [
        &recursive,
        loops,
        elsewhere,
        "true",
        "null",
        "[]",
        r#"{"type": 5, "properties": 7, "required": {}}"#,
    ] {
        shape::arguments(&json(schema));
        let mut catalogue = catalogue();
        catalogue.tools.push(tool("crm", "t", Effect::Read, schema));
        Engine::compile(&catalogue, &[]).unwrap();
    }
}
