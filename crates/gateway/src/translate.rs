//! Answers of one generation as those of the other.
//!
//! What a client is told is always private to it: lists are filtered by what its caller may use, and a shared cache
//! would show one caller's list to another (MCP 2026-07-28, "Caching").

use wire::{
    json::{Json, Object},
    mcp::{Response, code},
};

use crate::{List, Request, request::Generation};

/// How long a client may keep what it was told, in milliseconds: rights may change at any time.
const TTL_MS_MAX: i64 = 5000;

/// Turns an answer that came in one generation into one of another, or tidies one that stays within its own.
pub(crate) fn answer(response: &mut Response, asked: &Request, from: Generation, to: Generation) {
    match (&mut response.outcome, to) {
        (Ok(Json::Object(result)), Generation::Stateless) => to_stateless(result, asked),
        (Ok(Json::Object(result)), Generation::Sessions) if from == Generation::Stateless => {
            to_sessions(result, asked);
        }
        (Err(error), Generation::Stateless) if error.code == code::RESOURCE_NOT_FOUND => {
            error.code = code::INVALID_PARAMS;
        }
        (Ok(_) | Err(_), _) => {}
    }
}

fn to_stateless(result: &mut Object, asked: &Request) {
    if !result.contains("resultType") {
        result.insert("resultType", "complete");
    }
    let is_complete = result.get("resultType").and_then(Json::as_str) == Some("complete");
    if is_complete && is_cacheable(asked) {
        let wished = result.get("ttlMs").and_then(Json::as_i64).filter(|wished| *wished >= 0);
        result.insert("ttlMs", wished.unwrap_or(TTL_MS_MAX).min(TTL_MS_MAX));
        result.insert("cacheScope", "private");
    } else if result.contains("cacheScope") {
        // Of whatever kind the result is: nothing that was told to one is for all.
        result.insert("cacheScope", "private");
    }
}

const fn is_cacheable(asked: &Request) -> bool {
    matches!(asked, Request::Open | Request::List(_) | Request::ReadResource { .. })
}

fn to_sessions(result: &mut Object, asked: &Request) {
    for member in ["resultType", "ttlMs", "cacheScope"] {
        result.remove(member);
    }
    match asked {
        // Only objects were structured content then; whatever it is stands in `content` as text, too.
        Request::CallTool { .. }
            if result.get("structuredContent").is_some_and(|content| content.as_object().is_none()) =>
        {
            result.remove("structuredContent");
        }
        Request::List(List::Tools) => {
            let tools = result.get_mut("tools");
            let Some(Json::Array(tools)) = tools else { return };
            for tool in tools.iter_mut().filter_map(Json::as_object_mut) {
                let is_object = |schema: &Json| schema.get("type").and_then(Json::as_str) == Some("object");
                if tool.get("outputSchema").is_some_and(|schema| !is_object(schema)) {
                    tool.remove("outputSchema");
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        json::Json,
        mcp::{Id, Response, RpcError, code},
    };

    use super::answer;
    use crate::{
        List, Request,
        request::Generation::{self, Sessions, Stateless},
    };

    fn told(result: &str, asked: &Request, from: Generation, to: Generation) -> String {
        let mut response = Response::result(Id::Number(1), Json::parse(result.as_bytes()).unwrap());
        answer(&mut response, asked, from, to);
        response.outcome.unwrap().to_text()
    }

    #[test]
    fn what_is_told_is_private_and_short_lived() {
        let list = Request::List(List::Prompts);
        assert_eq!(
            told(r#"{"prompts":[]}"#, &list, Sessions, Stateless),
            r#"{"prompts":[],"resultType":"complete","ttlMs":5000,"cacheScope":"private"}"#
        );
        assert_eq!(
            told(r#"{"resultType":"complete","ttlMs":7,"cacheScope":"public"}"#, &list, Stateless, Stateless),
            r#"{"resultType":"complete","ttlMs":7,"cacheScope":"private"}"#
        );
        assert_eq!(
            told(r#"{"ttlMs":86400000,"x":1}"#, &list, Stateless, Stateless),
            r#"{"ttlMs":5000,"x":1,"resultType":"complete","cacheScope":"private"}"#
        );
        let call = Request::CallTool { name: "t".into(), arguments: Json::Null };
        assert_eq!(
            told(r#"{"resultType":"input_required","requestState":"s"}"#, &call, Stateless, Stateless),
            r#"{"resultType":"input_required","requestState":"s"}"#
        );
        assert_eq!(
            told(r#"{"resultType":"future","cacheScope":"public"}"#, &list, Stateless, Stateless),
            r#"{"resultType":"future","cacheScope":"private"}"#
        );
    }

    #[test]
    fn old_clients_read_what_they_know() {
        let call = Request::CallTool { name: "t".into(), arguments: Json::Null };
        let result = r#"{"resultType":"complete","content":[],"structuredContent":[1],"x":1}"#;
        assert_eq!(told(result, &call, Stateless, Sessions), r#"{"content":[],"x":1}"#);
        assert_eq!(told(result, &call, Sessions, Sessions), result);
        let tools = r#"{"tools":[{"name":"a","outputSchema":{"type":"array"}},{"name":"b","outputSchema":{"type":"object"}}],"ttlMs":1,"cacheScope":"public"}"#;
        assert_eq!(
            told(tools, &Request::List(List::Tools), Stateless, Sessions),
            r#"{"tools":[{"name":"a"},{"name":"b","outputSchema":{"type":"object"}}]}"#
        );
    }

    #[test]
    fn a_missing_resource_has_another_number_now() {
        let mut response = Response::error(None, RpcError::new(code::RESOURCE_NOT_FOUND, "gone"));
        let read = Request::ReadResource { uri: "a".into() };
        answer(&mut response, &read, Sessions, Stateless);
        assert_eq!(response.outcome.unwrap_err().code, code::INVALID_PARAMS);
    }
}
