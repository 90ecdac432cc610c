//! `initialize`: what the gate promises each side in the other's name.

use wire::{
    json::{Json, Object},
    mcp::{Request, Revision, RpcError},
};

use crate::upstream::Trouble;

/// What the gate carries of a server's capabilities, and which of their switches.
const CARRIED: [(&str, &[&str]); 4] = [
    ("tools", &["listChanged"]),
    ("resources", &["subscribe", "listChanged"]),
    ("prompts", &["listChanged"]),
    ("completions", &[]),
];

/// Rewrites a client's `initialize`: a revision that the gate speaks, and none of the client's capabilities, because
/// requests of servers (sampling, roots, elicitation) are not carried yet.
pub(crate) fn ask(message: &mut Request) -> Result<(), RpcError> {
    let invalid = |member: &str, kind: &str| {
        Err(RpcError::invalid_params(format!("`params.{member}` is missing or no {kind}")))
    };
    let Some(params) = message.params.as_mut().and_then(Json::as_object_mut) else {
        return Err(RpcError::invalid_params("`params` is missing"));
    };
    let Some(wanted) = params.get("protocolVersion").and_then(Json::as_str) else {
        return invalid("protocolVersion", "string");
    };
    let revision = Revision::parse(wanted).unwrap_or(Revision::LATEST);
    if params.get("capabilities").and_then(Json::as_object).is_none() {
        return invalid("capabilities", "object");
    }
    if params.get("clientInfo").and_then(Json::as_object).is_none() {
        return invalid("clientInfo", "object");
    }
    params.insert("protocolVersion", revision.as_str());
    params.insert("capabilities", Object::new());
    Ok(())
}

/// Rewrites a server's answer: only capabilities that the gate carries. The server's name, version and instructions
/// pass.
pub(crate) fn answer(result: &mut Json) -> Result<Revision, Trouble> {
    let members = result.as_object_mut().ok_or(Trouble::Garbage("a result that is no object"))?;
    let revision = members.get("protocolVersion").and_then(Json::as_str).and_then(Revision::parse);
    let revision = revision.ok_or(Trouble::Revision)?;
    let offered = members.get("capabilities").and_then(Json::as_object);
    let offered = offered.ok_or(Trouble::Garbage("an `initialize` result without capabilities"))?;
    let mut carried = Object::new();
    for (name, switches) in CARRIED {
        let Some(capability) = offered.get(name) else { continue };
        let mut kept = Object::new();
        for switch in switches {
            if capability.get(switch) == Some(&Json::Bool(true)) {
                kept.insert(*switch, true);
            }
        }
        carried.insert(name, kept);
    }
    members.insert("capabilities", carried);
    Ok(revision)
}

#[cfg(test)]
mod tests {
    use wire::{
        json::Json,
        mcp::{Message, Request},
    };

    use super::{Revision, Trouble, answer, ask};

    fn initialize(params: &str) -> Request {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_client_asks_for_what_the_gate_carries() {
        for (wanted, asked) in
            [("2025-06-18", "2025-06-18"), ("2026-07-28", "2025-11-25"), ("2024-11-05", "2025-11-25")]
        {
            let mut message = initialize(&format!(
                r#"{{"protocolVersion":"{wanted}","capabilities":{{"sampling":{{}},"roots":{{"listChanged":true}},"elicitation":{{}},"experimental":{{"x":{{}}}}}},"clientInfo":{{"name":"c","version":"1","future":1}}}}"#
            ));
            ask(&mut message).unwrap();
            assert_eq!(
                message.params.unwrap().to_text(),
                format!(
                    r#"{{"protocolVersion":"{asked}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1","future":1}}}}"#
                )
            );
        }
        for params in [
            "{}",
            r#"{"protocolVersion":1,"capabilities":{},"clientInfo":{}}"#,
            r#"{"protocolVersion":"2025-06-18","capabilities":[],"clientInfo":{}}"#,
            r#"{"protocolVersion":"2025-06-18","capabilities":{}}"#,
        ] {
            assert!(ask(&mut initialize(params)).is_err(), "{params}");
        }
    }

    #[test]
    fn a_server_promises_what_the_gate_carries() {
        let text = r#"{"protocolVersion":"2025-06-18","capabilities":{"logging":{},"tasks":{"list":{}},"tools":{"listChanged":true,"x":1},"resources":{"subscribe":true,"listChanged":"yes"},"completions":{}},"serverInfo":{"name":"s"},"instructions":"do"}"#;
        let mut result = Json::parse(text.as_bytes()).unwrap();
        assert_eq!(answer(&mut result).unwrap(), Revision::V20250618);
        assert_eq!(
            result.to_text(),
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"completions":{}},"serverInfo":{"name":"s"},"instructions":"do"}"#
        );
        let mut old = Json::parse(br#"{"protocolVersion":"2024-11-05","capabilities":{}}"#).unwrap();
        assert_eq!(answer(&mut old), Err(Trouble::Revision));
        let mut without = Json::parse(br#"{"protocolVersion":"2025-06-18"}"#).unwrap();
        assert!(answer(&mut without).is_err());
    }
}
