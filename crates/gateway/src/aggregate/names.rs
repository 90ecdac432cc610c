//! How what servers name is named behind one endpoint: `{server}__{name}`, and `writ:{server}:{uri}`.
//!
//! Names of servers hold no `__` and no `:`, and end in a letter or digit: the first `__`, and the first `:` behind the
//! scheme, are where the server's own begins, whatever that holds. A qualified URI is one of RFC 3986 (`path-rootless`),
//! and opaque to those who would tidy it, so the server gets its own back as it gave it.
//!
//! SECURITY: decisions are made on the server's own names and URIs, after they were split here, and on nothing else.

use base::Name;
use wire::{
    json::{Json, Object},
    mcp::{Method, Notification, Request as Message, Response, RpcError},
};

use crate::{List, Request};

const SEPARATOR: &str = "__";
const SCHEME: &str = "writ:";
/// The longest name of a tool that is listed here, in characters (MCP 2025-11-25, tools, "Tool names").
pub(crate) const TOOL_NAME_MAX: usize = 128;

/// How what a server names is named to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As the server does.
    Own,
    /// With the server's name before it.
    Qualified,
}

fn join_name(server: &str, own: &str) -> String {
    format!("{server}{SEPARATOR}{own}")
}

fn join_uri(server: &str, own: &str) -> String {
    format!("{SCHEME}{server}:{own}")
}

fn split_name(text: &str) -> Option<(&str, &str)> {
    text.split_once(SEPARATOR).filter(|(server, _)| server.parse::<Name>().is_ok())
}

/// The server and its own URI.
pub(crate) fn split_uri(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(SCHEME)?.split_once(':').filter(|(server, _)| server.parse::<Name>().is_ok())
}

/// The same URI as its client knows it.
pub(crate) fn qualified_uri(server: &str, own: &str) -> String {
    join_uri(server, own)
}

/// The answer to a name that leads to no server, whether there is one that the caller may not know of, or none at all.
pub(crate) fn unknown() -> RpcError {
    RpcError::invalid_params("there is nothing of this name here; list what there is")
        .with_code("unknown_name")
}

/// The member of a request that names something of a server, and how to split it.
type Member<'a> = (&'a mut Json, fn(&str) -> Option<(&str, &str)>);

fn member(method: Method, params: &mut Object) -> Result<Member<'_>, RpcError> {
    let missing =
        |member: &str| RpcError::invalid_params(format!("`params.{member}` is missing; send a string"));
    match method {
        Method::ToolsCall | Method::PromptsGet => {
            Ok((params.get_mut("name").ok_or_else(|| missing("name"))?, split_name))
        }
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            Ok((params.get_mut("uri").ok_or_else(|| missing("uri"))?, split_uri))
        }
        Method::Complete => {
            let reference =
                params.get_mut("ref").and_then(Json::as_object_mut).ok_or_else(|| missing("ref"))?;
            match reference.get("type").and_then(Json::as_str) {
                Some("ref/prompt") => {
                    Ok((reference.get_mut("name").ok_or_else(|| missing("ref.name"))?, split_name))
                }
                Some("ref/resource") => {
                    Ok((reference.get_mut("uri").ok_or_else(|| missing("ref.uri"))?, split_uri))
                }
                _ => Err(missing("ref.type")),
            }
        }
        _ => Err(unknown()),
    }
}

/// Puts the server's own name into a request that names something; gives the server's.
pub(crate) fn take_server(method: Method, message: &mut Message) -> Result<String, RpcError> {
    let params = message.params.as_mut().and_then(Json::as_object_mut);
    let params = params.ok_or_else(|| RpcError::invalid_params("`params` is missing"))?;
    let (named, split) = member(method, params)?;
    let text = named.as_str().ok_or_else(|| RpcError::invalid_params("what is named must be a string"))?;
    let (server, own) = split(text).ok_or_else(unknown)?;
    let (server, own) = (server.to_owned(), own.to_owned());
    *named = Json::String(own);
    Ok(server)
}

impl Naming {
    /// Names in an answer what the server names there. Structured content and `_meta` stay as they are.
    pub(crate) fn answer(self, response: &mut Response, asked: &Request, server: &str) {
        if self == Self::Own {
            return;
        }
        match &mut response.outcome {
            Ok(Json::Object(result)) => answered(result, asked, server),
            Ok(_) => {}
            // A resource that is not there: `data.uri` says which.
            Err(error) => {
                if let Some(data) = error.data.as_mut().and_then(Json::as_object_mut) {
                    uri_in(data, "uri", server);
                }
            }
        }
    }

    /// The same in what a server says on its own.
    pub(crate) fn notice(self, notification: &mut Notification, server: &str) {
        if self == Self::Qualified
            && let Some(params) = notification.params.as_mut().and_then(Json::as_object_mut)
        {
            uri_in(params, "uri", server);
        }
    }
}

fn answered(result: &mut Object, asked: &Request, server: &str) {
    match asked {
        Request::List(List::Tools) => {
            each(result, "tools", |tool| name_in(tool, server));
            let Some(Json::Array(tools)) = result.get_mut("tools") else { return };
            tools.retain(|tool| {
                let name = tool.get("name").and_then(Json::as_str).unwrap_or_default();
                let fits = name.chars().count() <= TOOL_NAME_MAX;
                if !fits {
                    tracing::warn!(tool = name, "a tool is not listed at `/mcp`: its name is too long there");
                }
                fits
            });
        }
        Request::List(List::Prompts) => each(result, "prompts", |prompt| name_in(prompt, server)),
        Request::List(List::Resources) => each(result, "resources", |item| uri_in(item, "uri", server)),
        Request::List(List::ResourceTemplates) => {
            each(result, "resourceTemplates", |item| uri_in(item, "uriTemplate", server));
        }
        Request::ReadResource { .. } => each(result, "contents", |item| uri_in(item, "uri", server)),
        Request::GetPrompt { .. } => each(result, "messages", |message| content_in(message, server)),
        Request::CallTool { .. } | Request::Tasks { .. } => {
            content_in(result, server);
            // A task of 2026-07-28 holds the result of its call.
            if let Some(inner) = result.get_mut("result").and_then(Json::as_object_mut) {
                content_in(inner, server);
            }
        }
        _ => {}
    }
}

fn each(result: &mut Object, member: &str, change: impl Fn(&mut Object)) {
    let Some(Json::Array(items)) = result.get_mut(member) else { return };
    items.iter_mut().filter_map(Json::as_object_mut).for_each(change);
}

/// The blocks of `content`: one, or several.
fn content_in(holder: &mut Object, server: &str) {
    match holder.get_mut("content") {
        Some(Json::Array(blocks)) => {
            blocks.iter_mut().filter_map(Json::as_object_mut).for_each(|block| block_in(block, server));
        }
        Some(Json::Object(block)) => block_in(block, server),
        _ => {}
    }
}

/// A link to a resource, or a resource itself.
fn block_in(block: &mut Object, server: &str) {
    match block.get("type").and_then(Json::as_str) {
        Some("resource_link") => uri_in(block, "uri", server),
        Some("resource") => {
            if let Some(resource) = block.get_mut("resource").and_then(Json::as_object_mut) {
                uri_in(resource, "uri", server);
            }
        }
        _ => {}
    }
}

fn name_in(item: &mut Object, server: &str) {
    if let Some(Json::String(name)) = item.get_mut("name") {
        *name = join_name(server, name);
    }
}

fn uri_in(item: &mut Object, member: &str, server: &str) {
    if let Some(Json::String(uri)) = item.get_mut(member) {
        *uri = join_uri(server, uri);
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        json::Json,
        mcp::{Id, Method, Request as Message, Response},
    };

    use super::{Naming, join_name, join_uri, split_name, split_uri, take_server};
    use crate::{List, Request};

    #[test]
    fn names_and_uris_come_apart_as_they_were_joined() {
        for own in ["read", "a__b", "__a", "_a", "", "a:b", "file:///x?y#z", "writ:crm:x"] {
            for server in ["crm", "a_b", "a-b.c", "1"] {
                assert_eq!(split_name(&join_name(server, own)), Some((server, own)));
                assert_eq!(split_uri(&join_uri(server, own)), Some((server, own)));
            }
        }
        for nothing in ["read", "__read", "Crm__read", "crm_", "a b__c", ""] {
            assert_eq!(split_name(nothing), None, "{nothing}");
        }
        for nothing in ["crm:x", "writ:crm", "writ::x", "writ://crm/x", "WRIT:crm:x", "file:///x"] {
            assert_eq!(split_uri(nothing), None, "{nothing}");
        }
    }

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn told(asked: &Request, text: &str) -> String {
        let mut response = Response::result(Id::Number(1), json(text));
        Naming::Qualified.answer(&mut response, asked, "crm");
        response.outcome.unwrap().to_text()
    }

    #[test]
    fn what_a_result_names_is_qualified_and_nothing_else() {
        let call = Request::CallTool { name: "t".into(), arguments: Json::Null };
        assert_eq!(
            told(
                &call,
                r#"{"content":[{"type":"text","text":"a:1","uri":"a:1"},{"type":"resource_link","uri":"a:1","name":"n"},{"type":"resource","resource":{"uri":"a:2","text":"x"}}],"structuredContent":{"uri":"a:1"},"_meta":{"uri":"a:1"}}"#
            ),
            r#"{"content":[{"type":"text","text":"a:1","uri":"a:1"},{"type":"resource_link","uri":"writ:crm:a:1","name":"n"},{"type":"resource","resource":{"uri":"writ:crm:a:2","text":"x"}}],"structuredContent":{"uri":"a:1"},"_meta":{"uri":"a:1"}}"#
        );
        let prompt = Request::GetPrompt { name: "p".into(), arguments: Json::Null };
        assert_eq!(
            told(
                &prompt,
                r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:2"}}}]}"#
            ),
            r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"writ:crm:a:2"}}}]}"#
        );
        let long = "x".repeat(124);
        assert_eq!(
            told(
                &Request::List(List::Tools),
                &format!(r#"{{"tools":[{{"name":"{long}"}},{{"name":"a"}}]}}"#)
            ),
            r#"{"tools":[{"name":"crm__a"}]}"#
        );
    }

    #[test]
    fn a_request_gets_its_server_and_the_servers_own_name() {
        let take = |method: Method, params: &str| {
            let mut message = Message::new(Id::Number(1), method.as_str(), Some(json(params)));
            let server = take_server(method, &mut message).ok()?;
            Some((server, message.params.unwrap().to_text()))
        };
        let is = |server: &str, params: &str| Some((server.to_owned(), params.to_owned()));
        assert_eq!(
            take(Method::ToolsCall, r#"{"name":"crm__a__b","arguments":{"name":"x__y"}}"#),
            is("crm", r#"{"name":"a__b","arguments":{"name":"x__y"}}"#)
        );
        assert_eq!(
            take(Method::Complete, r#"{"ref":{"type":"ref/resource","uri":"writ:crm:a:{x}"}}"#),
            is("crm", r#"{"ref":{"type":"ref/resource","uri":"a:{x}"}}"#)
        );
        assert_eq!(take(Method::ResourcesRead, r#"{"uri":"crm__a"}"#), None);
        assert_eq!(take(Method::ToolsCall, r#"{"name":1}"#), None);
    }
}
