use proptest::prelude::*;

use super::{Carried, Denial, Id, Message, Method, Notice, Request, Response, Revision, code};
use crate::json::Json;

fn request(text: &str) -> Request {
    match Message::parse(text.as_bytes()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_come_back_with_everything_they_held() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","x":1.10,"_meta":{"v":[1e400]}},"y":null}"#,
        r#"{"jsonrpc":"2.0","id":"1","method":"no/such"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9007199254740993},"z":0}"#,
        r#"{"jsonrpc":"2.0","id":-7,"result":{"content":[{"type":"future"}]},"w":true}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no","data":1.0,"extra":{}}}"#,
    ] {
        let bytes = match Message::parse(text.as_bytes()).unwrap() {
            Message::Request(request) => request.to_bytes(),
            Message::Notification(notification) => notification.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        };
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }
}

#[test]
fn what_is_not_one_message_gets_the_exact_error() {
    let id = |id: i64| Some(Id::Number(id));
    let cases = [
        ("", code::PARSE_ERROR, None),
        ("{", code::PARSE_ERROR, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, code::PARSE_ERROR, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"n":1,"\u006e":2}}"#, code::PARSE_ERROR, None),
        ("[]", code::INVALID_REQUEST, None),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, code::INVALID_REQUEST, None),
        ("1", code::INVALID_REQUEST, None),
        (r#"{"id":3,"method":"ping"}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":2.0,"id":3,"method":"ping"}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":-0,"method":"ping"}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":3,"method":7}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":3,"method":"a","params":[]}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":3,"method":"a","params":null}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":3,"method":"a","params":{"_meta":1}}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":3,"method":"a","result":{}}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":3}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","id":3,"result":7}"#, code::INVALID_REQUEST, id(3)),
        (
            r#"{"jsonrpc":"2.0","id":3,"result":{},"error":{"code":1,"message":""}}"#,
            code::INVALID_REQUEST,
            id(3),
        ),
        (r#"{"jsonrpc":"2.0","id":3,"error":{"code":1.5,"message":""}}"#, code::INVALID_REQUEST, id(3)),
        (r#"{"jsonrpc":"2.0","result":{}}"#, code::INVALID_REQUEST, None),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, code::INVALID_REQUEST, None),
    ];
    for (text, code, id) in cases {
        let invalid = Message::parse(text.as_bytes()).expect_err(text);
        assert_eq!((invalid.error.code, invalid.id), (code, id), "{text}");
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(257));
    assert!(Message::parse(long.as_bytes()).is_err());
}

#[test]
fn ids_of_different_types_differ() {
    assert_ne!(Id::read(&Json::from(1)), Id::read(&Json::from("1")));
}

#[test]
fn the_digest_is_of_the_act_and_of_nothing_else() {
    let digest = |text: &str| {
        let mut request = request(text);
        request.detach().unwrap();
        request.digest("srv_1")
    };
    let act =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2}}}"#;
    let same = [
        r#"{"jsonrpc":"2.0","id":"other","method":"tools/call","params":{"arguments":{"y":2.0,"x":1},"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2},"_meta":{"progressToken":5,"traceparent":"00-1"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2},"_meta":{}}}"#,
    ];
    let other = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2},"_meta":{"z":1}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2},"extra":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2}},"extra":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/cal","params":{"name":"a","arguments":{"x":1,"y":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1,"y":2.0000000000000000001}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":"1","y":2}}}"#,
    ];
    assert!(same.iter().all(|text| digest(text) == digest(act)));
    for text in other {
        assert_ne!(digest(text), digest(act), "{text}");
    }
    assert_ne!(request(act).digest("srv_1"), request(act).digest("srv_2"));
}

#[test]
fn what_is_detached_can_be_attached_again() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"k":1,"progressToken":"p","traceparent":"t","baggage":"b"}}}"#;
    let mut request = request(text);
    let whole = request.clone();
    let carried = request.detach().unwrap();
    assert_eq!(carried.progress_token, Some(Id::Text("p".into())));
    assert_eq!(carried.trace.len(), 2);
    assert_eq!(request.params.as_ref().unwrap().to_text(), r#"{"_meta":{"k":1}}"#);
    request.attach(carried);
    assert_eq!(request, whole);
    request.params = None;
    request.attach(Carried { progress_token: Some(Id::Number(3)), trace: Vec::new() });
    assert_eq!(request.params.unwrap().to_text(), r#"{"_meta":{"progressToken":3}}"#);
}

#[test]
fn a_progress_token_of_another_type_is_refused() {
    for token in ["null", "1.5", "{}", "true"] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{{"progressToken":{token}}}}}}}"#
        );
        assert_eq!(request(&text).detach().unwrap_err().code, code::INVALID_PARAMS, "{token}");
    }
}

#[test]
fn a_denial_reads_as_the_contract_says() {
    let mut denial = Denial::new("not_granted", "agent `bot` has no grant on tool `pay`", "ask for access");
    denial.policy = vec!["builtin".into()];
    denial.approval_url = Some("https://w.example/a".into());
    denial.retry_after = Some(5);
    denial.decision_id = Some("dec_00000000000000000000000000".parse().unwrap());
    let details = r#"{"code":"not_granted","reason":"agent `bot` has no grant on tool `pay`","policy":["builtin"],"what_would_help":"ask for access","approval_url":"https://w.example/a","retry_after":5,"decision_id":"dec_00000000000000000000000000"}"#;
    let result = denial.tool_result();
    assert_eq!(result.get("structuredContent").unwrap().to_text(), details);
    assert_eq!(result.get("isError"), Some(&Json::Bool(true)));
    let text = result.pointer("/content/0/text").unwrap().as_str().unwrap();
    for part in
        ["not_granted", "no grant on tool `pay`", "ask for access", "https://w.example/a", "5 s", "dec_0"]
    {
        assert!(text.contains(part), "{text}");
    }
    let error = denial.error();
    assert_eq!((error.code, error.data.unwrap().to_text().as_str()), (code::DENIED, details));

    denial.output_is_typed = true;
    let result = denial.tool_result();
    assert!(result.get("structuredContent").is_none());
    assert_eq!(result.get("_meta").unwrap().get("writ/denial").unwrap().to_text(), details);
    assert!(!Denial::new("a", "b", "c").details().to_text().contains("null"));
}

#[test]
fn closed_lists_read_what_they_write() {
    assert!(Method::ALL.iter().all(|method| Method::parse(method.as_str()) == Some(*method)));
    assert!(Notice::ALL.iter().all(|notice| Notice::parse(notice.as_str()) == Some(*notice)));
    assert!(Revision::ALL.iter().all(|revision| Revision::parse(revision.as_str()) == Some(*revision)));
    for unknown in ["", "Tools/call", "tools/call ", "tools\u{2215}call", "2026-07-28", "2024-11-05"] {
        assert!(Method::parse(unknown).is_none() && Revision::parse(unknown).is_none(), "{unknown}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics_and_round_trips(text in r#"\{"jsonrpc":"2.0"(,"(id|method|params|result|error|x)":(1|"a"|\{\}|null|\{"code":1,"message":"m"\})){0,4}\}"#) {
        if let Ok(message) = Message::parse(text.as_bytes()) {
            let bytes = match &message {
                Message::Request(request) => request.to_bytes(),
                Message::Notification(notification) => notification.to_bytes(),
                Message::Response(response) => response.to_bytes(),
            };
            prop_assert_eq!(Message::parse(&bytes).unwrap(), message);
        }
    }
}

#[test]
fn responses_without_an_id_are_errors_only() {
    let error = Response::error(None, super::RpcError::new(code::PARSE_ERROR, "x"));
    assert_eq!(error.to_bytes(), br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#);
}
