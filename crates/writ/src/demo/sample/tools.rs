//! What the server offers: its tools with their schemas and annotations, one resource, one prompt.

use serde_json::{Value, json};

/// The tools, in the order in which they are listed.
pub(crate) const NAMES: [&str; 6] =
    ["read_ticket", "search_customers", "watch_inbox", "send_mail", "issue_refund", "delete_customer"];

/// The only resource.
pub(super) const POLICY_URI: &str = "crm://policy/refunds";
pub(super) const POLICY_TEXT: &str = "Refunds up to the price of the order, once the ticket names the defect. \
     Above 1,000 EUR a second person agrees first.";

/// The only prompt.
pub(super) const PROMPT_NAME: &str = "answer_ticket";

/// What a tool does to the world, as MCP annotations say it (`ToolAnnotations`, 2025-06-18).
#[derive(Clone, Copy)]
enum Effect {
    /// Reads the house's own data.
    Read,
    /// Changes the house's own data; calling twice changes twice.
    Write,
    /// Reaches people outside.
    Send,
    /// Cannot be taken back.
    Destroy,
}

impl Effect {
    fn annotations(self, title: &str) -> Value {
        json!({
            "title": title,
            "readOnlyHint": matches!(self, Self::Read),
            "destructiveHint": matches!(self, Self::Destroy),
            "idempotentHint": matches!(self, Self::Read | Self::Destroy),
            "openWorldHint": matches!(self, Self::Send),
        })
    }
}

/// All definitions; `describe` may replace a description.
pub(super) fn definitions(describe: impl Fn(&str) -> Option<String>) -> Vec<Value> {
    let mut definitions = vec![
        read_ticket(),
        search_customers(),
        tool(
            "watch_inbox",
            Effect::Read,
            "Watch the inbox",
            "Watches the inbox and reports progress until the given number of seconds has passed.",
            &json!({"seconds": {"type": "integer", "minimum": 1, "maximum": 600}}),
        ),
        tool(
            "send_mail",
            Effect::Send,
            "Send a mail",
            "Sends a mail to anybody, inside or outside of the house.",
            &json!({"to": line("Mail address"), "subject": line("Subject"), "body": {"type": "string", "maxLength": 20_000}}),
        ),
        tool(
            "issue_refund",
            Effect::Write,
            "Issue a refund",
            "Gives money back for an order.",
            &json!({"order": line("Order number"), "amount": {"type": "number", "exclusiveMinimum": 0, "description": "Euros"}}),
        ),
        tool(
            "delete_customer",
            Effect::Destroy,
            "Delete a customer",
            "Deletes a customer for good.",
            &json!({"id": line("Customer number")}),
        ),
    ];
    for definition in &mut definitions {
        let name = definition["name"].as_str().unwrap_or_default();
        if let Some(text) = describe(name) {
            definition["description"] = text.into();
        }
    }
    definitions
}

fn read_ticket() -> Value {
    let mut definition = tool(
        "read_ticket",
        Effect::Read,
        "Read a ticket",
        "Reads one support ticket, with the words of the customer.",
        &json!({"id": line("Ticket number")}),
    );
    let texts = ["id", "customer", "order", "subject", "text"];
    let properties: Value =
        texts.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    definition["outputSchema"] = json!({"type": "object", "properties": properties, "required": texts});
    definition
}

fn search_customers() -> Value {
    let mut definition = tool(
        "search_customers",
        Effect::Read,
        "Search customers",
        "Finds customers by number or part of a name, with mail address and bank account.",
        &json!({"query": line("Number or part of a name")}),
    );
    definition["outputSchema"] = json!({
        "type": "object",
        "properties": {"customers": {"type": "array", "items": {"type": "object"}}},
        "required": ["customers"],
    });
    definition
}

fn line(description: &str) -> Value {
    json!({"type": "string", "maxLength": 500, "description": description})
}

fn tool(name: &str, effect: Effect, title: &str, description: &str, properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().map(|map| map.keys().collect()).unwrap_or_default();
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        },
        "annotations": effect.annotations(title),
    })
}
