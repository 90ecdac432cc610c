use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use wire::json::{Json, Number};

const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);

fn act(server: &str, tool: &str, effect: Effect, arguments: &str) -> Act {
    let kind = ActKind::Tool { name: tool.to_owned(), definition_hash: [0; 32], effect };
    Act { server: server.parse().unwrap(), kind, arguments: Json::parse(arguments.as_bytes()).unwrap() }
}

fn scope(json: &str) -> Scope {
    let scope: Scope = serde_json::from_str(json).unwrap();
    scope.check().unwrap();
    scope
}

fn constrained(rule: &str) -> Scope {
    let text = format!(
        r#"{{"deadline": 1795359999000,
            "tools": [{{"server": "crm", "tool": "refund", "constraints": [{{"argument": "/a", "rule": {rule}}}]}}]}}"#
    );
    scope(&text)
}

fn admits(rule: &str, arguments: &str) -> bool {
    constrained(rule).covers(&act("crm", "refund", Effect::Write, arguments), NOW).is_ok()
}

#[test]
fn an_empty_scope_covers_nothing() {
    let nothing = Scope::nothing(NOW.plus_seconds(60));
    for kind in [
        ActKind::Open,
        ActKind::List,
        ActKind::Prompt { name: "p".into() },
        ActKind::Resource { uri: "file:///".into() },
    ] {
        assert!(nothing.covers(&Act { kind, ..act("crm", "t", Effect::Read, "{}") }, NOW).is_err());
    }
    assert!(nothing.covers(&act("crm", "t", Effect::Read, "{}"), NOW).is_err());
}

#[test]
fn the_deadline_itself_is_too_late() {
    let scope = scope(r#"{"deadline": 1000, "tools": [{"server": "*", "tool": "*"}]}"#);
    let act = act("crm", "t", Effect::Read, "{}");
    assert!(scope.covers(&act, Timestamp::from_millis(999)).is_ok());
    let late = scope.covers(&act, Timestamp::from_millis(1000)).unwrap_err();
    assert!(late.expired);
}

#[test]
fn constraints_on_arguments() {
    for (rule, arguments, expected) in [
        (r#"{"one_of": [1, "x", null]}"#, r#"{"a": 1.0}"#, true),
        (r#"{"one_of": [1, "x", null]}"#, r#"{"a": null}"#, true),
        (r#"{"one_of": [1, "x"]}"#, r#"{"a": "1"}"#, false),
        (r#"{"one_of": [1, "x"]}"#, r"{}", false),
        (r#"{"one_of": []}"#, r#"{"a": 1}"#, false),
        (r#"{"range": {"max": "100.50"}}"#, r#"{"a": 100.5}"#, true),
        (r#"{"range": {"max": "100.50"}}"#, r#"{"a": 100.500000000000000000001}"#, false),
        (r#"{"range": {"max": "100.50"}}"#, r#"{"a": 1e400}"#, false),
        (r#"{"range": {"max": "100.50"}}"#, r#"{"a": "1"}"#, false),
        (r#"{"range": {"min": 0, "max": 9}}"#, r#"{"a": -0.0}"#, true),
        (r#"{"range": {"min": 0, "max": 9}}"#, r#"{"a": -1e-9}"#, false),
        (r#"{"prefix": "/data/"}"#, r#"{"a": "/data/x"}"#, true),
        (r#"{"prefix": "/data/"}"#, r#"{"a": "/database"}"#, false),
        (r#"{"max_length": 2}"#, r#"{"a": "éé"}"#, true),
        (r#"{"max_length": 2}"#, r#"{"a": "abc"}"#, false),
        (r#"{"max_length": 2}"#, r#"{"a": [1, 2, 3]}"#, false),
        (r#"{"max_length": 2}"#, r#"{"a": 1}"#, false),
        (r#"{"each": {"one_of": ["x"]}}"#, r#"{"a": ["x", "x"]}"#, true),
        (r#"{"each": {"one_of": ["x"]}}"#, r#"{"a": ["x", "y"]}"#, false),
        (r#"{"each": {"one_of": ["x"]}}"#, r#"{"a": "x"}"#, false),
        (r#""absent""#, r#"{"b": 1}"#, true),
        (r#""absent""#, r#"{"a": null}"#, false),
        (r#"{"each": "absent"}"#, r#"{"a": [1]}"#, false),
    ] {
        assert_eq!(admits(rule, arguments), expected, "{rule} {arguments}");
    }
}

#[test]
fn a_prefix_cannot_be_climbed_out_of() {
    for text in [
        "/data/../etc",
        "/data/..",
        "/data/x/../../etc",
        "/data/%2e%2e/etc",
        "/data/.%2E/etc",
        "/data/%252e%252e/etc",
        "/data/..%2fetc",
        "/data/..\\\\etc",
        "/data/..%5cetc",
        "/data/..;/etc",
        "/data/.\\t./etc",
    ] {
        assert!(!admits(r#"{"prefix": "/data/"}"#, &format!(r#"{{"a": "{text}"}}"#)), "{text}");
    }
    for text in ["/data/..x", "/data/x..", "/data/a.b", "/data/...", "/data/ wait.. what"] {
        assert!(admits(r#"{"prefix": "/data/"}"#, &format!(r#"{{"a": "{text}"}}"#)), "{text}");
    }
    // The prefix may end within a segment.
    assert!(!admits(r#"{"prefix": "/data/."}"#, r#"{"a": "/data/./../etc"}"#));
    assert!(!admits(r#"{"prefix": "/data/."}"#, r#"{"a": "/data/../etc"}"#));
}

#[test]
fn resources_by_prefix_stay_inside() {
    let scope = scope(
        r#"{"deadline": 1795359999000, "resources": [{"server": "fs", "uri": {"prefix": "file:///home/"}}]}"#,
    );
    let covers = |server: &str, uri: &str| {
        let kind = ActKind::Resource { uri: uri.to_owned() };
        scope.covers(&Act { kind, ..act(server, "t", Effect::Read, "{}") }, NOW).is_ok()
    };
    assert!(covers("fs", "file:///home/a"));
    assert!(!covers("fs2", "file:///home/a"));
    assert!(!covers("fs", "file:///home/../etc/passwd"));
    assert!(!covers("fs", "FILE:///home/a"));
}

#[test]
fn the_refusal_says_what_would_do() {
    let refused = constrained(r#"{"range": {"max": "100"}}"#)
        .covers(&act("crm", "refund", Effect::Write, r#"{"a": 101}"#), NOW)
        .unwrap_err();
    assert_eq!(refused.why, "the task covers tool `crm/refund` only when `/a` is a number of at most 100");
    assert!(!refused.expired);
}

#[test]
fn a_malformed_constraint_is_named_and_never_satisfied() {
    for (rule, argument) in
        [(r#"{"range": {"min": 2, "max": 1}}"#, "/a"), (r#""absent""#, "a"), (r#""absent""#, "/a~2")]
    {
        let text = format!(
            r#"{{"deadline": 1, "tools": [{{"server": "*", "tool": "*",
                "constraints": [{{"argument": "{argument}", "rule": {rule}}}]}}]}}"#
        );
        let scope: Scope = serde_json::from_str(&text).unwrap();
        assert!(scope.check().unwrap_err().field.starts_with("tools[0].constraints[0]"));
        let refused =
            scope.covers(&act("crm", "t", Effect::Read, r#"{"a": 1.5}"#), Timestamp::from_millis(0));
        assert!(refused.is_err());
    }
}

#[test]
fn unknown_fields_are_refused() {
    for text in [
        r#"{"deadline": 1, "tool": []}"#,
        r#"{"deadline": 1, "tools": [{"server": "*", "tool": "*", "constraint": []}]}"#,
        r#"{"deadline": 1, "tools": [{"server": "*", "tool": "*", "effects": ["reed"]}]}"#,
        r#"{"deadline": 1, "tools": [{"server": "*", "tool": "*", "constraints": [{"argument": "/a", "rule": {"range": {"mx": 1}}}]}]}"#,
        r#"{"tools": []}"#,
    ] {
        assert!(serde_json::from_str::<Scope>(text).is_err(), "{text}");
    }
}

#[test]
fn effects_of_a_child_may_come_from_several_rules() {
    let parent = scope(
        r#"{"deadline": 9, "tools": [{"server": "*", "tool": "*", "effects": ["read"]},
            {"server": "crm", "tool": "*", "effects": ["write"]}]}"#,
    );
    let child = |server: &str, effects: &str| {
        scope(&format!(
            r#"{{"deadline": 9, "tools": [{{"server": "{server}", "tool": "x", "effects": {effects}}}]}}"#
        ))
    };
    assert!(child("crm", r#"["read", "write"]"#).is_within(&parent).is_ok());
    let wider = child("mail", r#"["read", "write"]"#).is_within(&parent).unwrap_err();
    assert_eq!(wider.field, "tools[0]");
    assert!(wider.why.contains("effect `write`"), "{wider}");
    // An effect list that is empty covers nothing, not even a session.
    let empty = child("anywhere", "[]");
    assert!(empty.is_within(&parent).is_ok());
    assert!(
        empty
            .covers(
                &Act { kind: ActKind::Open, ..act("anywhere", "x", Effect::Read, "{}") },
                Timestamp::default()
            )
            .is_err()
    );
}

fn pattern() -> impl Strategy<Value = Pattern> {
    select(vec!["*", "a", "b"]).prop_map(Pattern::from)
}

const VALUES: [&str; 18] = [
    "\"\"",
    "\"p\"",
    "\"p/q\"",
    "\"p/../q\"",
    "\"z\"",
    "1",
    "1.0",
    "2",
    "1.5",
    "-3",
    "null",
    "true",
    "[]",
    "[1]",
    "[\"p\"]",
    "[1, 2, 1]",
    "[[1]]",
    "{}",
];

fn parsed(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn value() -> impl Strategy<Value = Json> {
    select(VALUES.to_vec()).prop_map(parsed)
}

/// Every small rule: all pairs of bounds, single and paired choices, prefixes, lengths, and each of these for items.
fn small_rules() -> Vec<Rule> {
    let bounds = [None, Some("-3"), Some("1"), Some("1.5"), Some("2")];
    let exact = |bound: Option<&str>| bound.map(|text| Exact(Number::parse(text).unwrap()));
    let ranges =
        bounds.iter().flat_map(|&min| bounds.map(|max| Rule::Range { min: exact(min), max: exact(max) }));
    let pairs = VALUES.iter().flat_map(|a| VALUES.map(|b| Rule::OneOf(vec![parsed(a), parsed(b)])));
    let prefixes = ["", "p", "p/"].map(|text| Rule::Prefix(text.to_owned()));
    let mut rules: Vec<Rule> =
        ranges.chain(pairs).chain(prefixes).chain((0..4).map(Rule::MaxLength)).collect();
    rules.extend([Rule::Absent, Rule::OneOf(vec![])]);
    let each: Vec<Rule> = rules.iter().map(|rule| Rule::Each(Box::new(rule.clone()))).collect();
    rules.extend(each);
    rules
}

#[test]
fn implication_of_all_small_rules_never_widens() {
    let (rules, values) = (small_rules(), VALUES.map(parsed));
    let admitted: Vec<Vec<bool>> =
        rules.iter().map(|rule| values.iter().map(|value| rule.admits(value)).collect()).collect();
    let mut implied = 0;
    for (inner, inner_admits) in rules.iter().zip(&admitted) {
        for (outer, outer_admits) in rules.iter().zip(&admitted) {
            if inner.implies(outer) {
                implied += 1;
                let widens = inner_admits.iter().zip(outer_admits).any(|(inner, outer)| *inner && !*outer);
                assert!(!widens, "{inner:?} is said to imply {outer:?}");
            }
        }
        assert!(inner.implies(inner), "{inner:?}");
    }
    assert!(implied > 5_000, "too few to mean anything: {implied}");
}

fn exact() -> impl Strategy<Value = Option<Exact>> {
    option::of(select(vec!["-3", "1", "1.5", "2"]).prop_map(|text| Exact(Number::parse(text).unwrap())))
}

fn rule() -> impl Strategy<Value = Rule> {
    let leaf = prop_oneof![
        vec(value(), 0..4).prop_map(Rule::OneOf),
        (exact(), exact()).prop_map(|(min, max)| Rule::Range { min, max }),
        select(vec!["", "p", "p/"]).prop_map(|text| Rule::Prefix(text.to_owned())),
        (0_u32..4).prop_map(Rule::MaxLength),
        Just(Rule::Absent),
    ];
    leaf.prop_recursive(2, 4, 1, |inner| inner.prop_map(|rule| Rule::Each(Box::new(rule))))
}

fn constraint() -> impl Strategy<Value = Constraint> {
    (select(vec!["/n", "/s", "/s/0"]), rule())
        .prop_map(|(argument, rule)| Constraint { argument: argument.to_owned(), rule })
}

fn tool_rule() -> impl Strategy<Value = ToolRule> {
    let effects = option::of(proptest::collection::btree_set(select(Effect::ALL[..3].to_vec()), 0..3));
    (pattern(), pattern(), effects, vec(constraint(), 0..3))
        .prop_map(|(server, tool, effects, constraints)| ToolRule { server, tool, effects, constraints })
}

fn scopes() -> impl Strategy<Value = Scope> {
    let uri = (any::<bool>(), select(vec!["", "p", "p/", "p/q", "p/../q"])).prop_map(|(exact, uri)| {
        if exact { UriRule::Exact(uri.into()) } else { UriRule::Prefix(uri.into()) }
    });
    let resource = (pattern(), uri).prop_map(|(server, uri)| ResourceRule { server, uri });
    let prompt = (pattern(), pattern()).prop_map(|(server, prompt)| PromptRule { server, prompt });
    (vec(tool_rule(), 0..4), vec(resource, 0..3), vec(prompt, 0..3), 1_i64..4).prop_map(
        |(tools, resources, prompts, deadline)| Scope {
            tools,
            resources,
            prompts,
            deadline: Timestamp::from_millis(deadline),
        },
    )
}

fn acts() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![
        4 => (select(vec!["a", "b"]), select(Effect::ALL[..3].to_vec())).prop_map(|(name, effect)| ActKind::Tool {
            name: name.to_owned(), definition_hash: [0; 32], effect }),
        2 => select(vec!["p", "p/q", "p/../q", "z"]).prop_map(|uri| ActKind::Resource { uri: uri.to_owned() }),
        1 => select(vec!["a", "b"]).prop_map(|name| ActKind::Prompt { name: name.to_owned() }),
        1 => Just(ActKind::Open),
    ];
    let argument = || option::weighted(0.8, value());
    (select(vec!["a", "b"]), kind, argument(), argument()).prop_map(|(server, kind, n, s)| {
        let members = [("n", n), ("s", s)].into_iter().filter_map(|(name, value)| Some((name, value?)));
        Act { server: server.parse().unwrap(), kind, arguments: Json::Object(members.collect()) }
    })
}

/// A child that is narrower by construction: some rules dropped, some tightened, an earlier deadline.
fn narrowed(parent: Scope) -> impl Strategy<Value = Scope> {
    let tools = parent.tools.len();
    (vec((any::<bool>(), pattern(), pattern(), rule()), tools), any::<bool>()).prop_map(
        move |(changes, earlier)| {
            let mut child = parent.clone();
            let changed =
                std::mem::take(&mut child.tools).into_iter().zip(changes).filter_map(|(mut tool, change)| {
                    let (keep, server, name, rule) = change;
                    if server.is_within(&tool.server) {
                        tool.server = server;
                    }
                    if name.is_within(&tool.tool) {
                        tool.tool = name;
                    }
                    tool.constraints.push(Constraint { argument: "/n".to_owned(), rule });
                    keep.then_some(tool)
                });
            child.tools = changed.collect();
            if earlier {
                child.deadline = child.deadline.plus_millis(-1);
            }
            child
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sound: when a child is within its parent, the parent covers every act that the child covers.
    #[test]
    fn within_never_widens(
        (parent, mut child) in scopes().prop_flat_map(|parent| (Just(parent.clone()), narrowed(parent))),
        stranger in scopes(),
        mixed in 0..4,
        acts in vec(acts(), 12),
        now in 0_i64..4,
    ) {
        // Half are narrower by construction; the others take something from a stranger and may be wider.
        match mixed {
            0 => child.tools.extend(stranger.tools.into_iter().take(1)),
            1 => child.resources.extend(stranger.resources.into_iter().take(1)),
            _ => {}
        }
        if child.is_within(&parent).is_ok() {
            let now = Timestamp::from_millis(now);
            for act in acts {
                if child.covers(&act, now).is_ok() {
                    prop_assert!(parent.covers(&act, now).is_ok(), "{act:?}");
                }
            }
        }
    }

    /// The same where it bites: two rules on one tool that differ only in their constraints.
    #[test]
    fn constraints_never_widen(
        inner in vec(constraint(), 0..4),
        outer in vec(constraint(), 0..2),
        acts in vec(acts(), 24),
    ) {
        let only = |constraints| {
            let rule = ToolRule { server: Pattern::Any, tool: Pattern::Any, effects: None, constraints };
            Scope { tools: vec![rule], ..Scope::nothing(NOW) }
        };
        let (child, parent) = (only(inner), only(outer));
        if child.is_within(&parent).is_ok() {
            for act in acts.iter().filter(|act| child.covers(act, Timestamp::default()).is_ok()) {
                prop_assert!(parent.covers(act, Timestamp::default()).is_ok(), "{act:?}");
            }
        }
    }

    /// Complete enough: what was made narrower is seen to be narrower, and every scope lies within itself.
    #[test]
    fn what_was_narrowed_is_within((parent, child) in scopes().prop_flat_map(|parent| {
        let child = narrowed(parent.clone());
        (Just(parent), child)
    })) {
        prop_assert_eq!(parent.is_within(&parent), Ok(()));
        prop_assert_eq!(child.is_within(&parent), Ok(()));
    }

    /// Documents keep their meaning.
    #[test]
    fn scopes_round_trip(scope in scopes()) {
        let text = serde_json::to_string(&scope).unwrap();
        prop_assert_eq!(serde_json::from_str::<Scope>(&text).unwrap(), scope);
    }
}
