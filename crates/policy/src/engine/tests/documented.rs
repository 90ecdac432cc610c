//! What the reference page on policies shows is what the engine takes.

use super::{Catalogue, Engine, PolicySource, server, tool};
use crate::{Effect, schema_text};

const PAGE: &str = include_str!("../../../../../docs/reference/policies.md");

/// The shop of the page, with an argument of every kind of its table.
fn shop() -> Catalogue {
    let refund = r#"{"type": "object",
        "required": ["amount", "order", "urgent", "currency", "at", "host", "customer", "extra", "to", "tags", "id"],
        "properties": {
            "amount": {"type": "number"}, "order": {"type": "integer"}, "urgent": {"type": "boolean"},
            "currency": {"enum": ["EUR", "USD"]}, "note": {"type": "string"},
            "at": {"type": "string", "format": "date-time"}, "host": {"type": "string", "format": "ipv4"},
            "customer": {"type": "object", "required": ["country"], "properties": {"country": {"type": "string"}}},
            "extra": {"type": "object"}, "to": {"type": "array", "items": {"type": "string"}},
            "tags": {"type": "array", "items": {"type": "string"}}, "id": {"type": ["string", "integer"]}}}"#;
    Catalogue {
        servers: vec![server("shop")],
        tools: vec![tool("shop", "refund", Effect::Write, refund)],
        ..Catalogue::default()
    }
}

fn problems_of(text: &str) -> Vec<String> {
    let source = PolicySource { id: "page".to_owned(), text: text.to_owned() };
    let compiled = Engine::compile(&shop(), &[source]);
    compiled.err().into_iter().flatten().map(|problem| problem.to_string()).collect()
}

#[test]
fn every_policy_of_the_page_loads() {
    let blocks = PAGE.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for text in blocks {
        assert_eq!(problems_of(text), [""; 0], "{text}");
        count += 1;
    }
    assert!(count >= 3, "the page shows policies");
}

#[test]
fn every_comparison_of_the_page_loads() {
    let rows = PAGE.split("### Arguments\n").nth(1).unwrap().split("\n- ").next().unwrap();
    let comparisons = rows.split('`').filter(|code| code.starts_with("context.arguments"));
    let mut count = 0;
    for when in comparisons {
        let text = format!(
            "forbid (principal is Agent, action == Action::\"shop/refund\", resource) when {{ {when} }};"
        );
        assert_eq!(problems_of(&text), [""; 0], "{when}");
        count += 1;
    }
    assert!(count >= 10, "the table shows how to compare");
    let long = "forbid (principal is Agent, action == Action::\"shop/refund\", resource) when { context.arguments.amount > 100 };";
    assert_ne!(problems_of(long), [""; 0], "a number is no long");
}

#[test]
fn the_schema_says_what_the_page_says() {
    let text = schema_text(&shop()).unwrap();
    assert!(text.contains("amount: decimal"), "{text}");
    let attributes = PAGE.split('`').filter_map(|code| code.strip_prefix("principal."));
    for name in attributes.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())) {
        assert!(text.contains(&format!("{name}?: String")), "{name}");
    }
    for effect in Effect::ALL {
        assert!(PAGE.contains(&format!("| `{effect}` |")), "{effect}");
        assert!(text.contains(&format!("action \"{effect}\"")), "{effect}");
    }
}
