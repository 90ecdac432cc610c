//! Questions that the control plane itself asks a server: what it speaks, and which tools there are.

use std::{sync::Arc, time::Duration};

use base::ServerId;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use wire::{
    json::{Json, Object},
    mcp::{Ask, Envelope, Id, Message, Request, Response, Revision, RpcError, STATELESS},
};

use super::{
    Form, Frames, Outbound, Trouble,
    client::{Client, SESSION_ID, Standing, Way},
};
use crate::{
    Passes, Patience, Upstream,
    room::AnswerRoom,
    tongue::{Offer, Tongue, wants_once_more},
};

/// The most pages of a list.
const PAGES_MAX: i64 = 100;
/// The most bytes of one page.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A short conversation of the control plane's own with one server, in whichever generation the server knows.
///
/// SECURITY: no client is behind it and no act comes of it: it opens, lists and closes, with messages made here.
pub(crate) struct Question<'a> {
    client: &'a Client,
    standing: Standing,
    upstream: Upstream,
    tongue: Option<Tongue>,
    session_id: Option<HeaderValue>,
    number: i64,
}

/// What a server says of itself when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The revision of the protocol that it was spoken to in.
    pub revision: &'static str,
    /// Its name and version, as it says.
    pub info: Option<Json>,
    /// What it offers, as far as the gate carries it.
    pub capabilities: Json,
    /// All definitions of its tools, as it gives them.
    pub tools: Vec<Json>,
}

impl<'a> Question<'a> {
    pub(crate) fn new(
        client: &'a Client,
        url: http::Uri,
        credential: Vec<(HeaderName, HeaderValue)>,
        authority: Option<Arc<str>>,
        (wait, passes): (Duration, Passes),
        id: ServerId,
    ) -> Self {
        let upstream = Upstream {
            id,
            name: "(asked)".into(),
            url,
            patience: Patience { headers: wait, idle: wait },
            answer_bytes_max: PAGE_BYTES_MAX,
            passes,
            authority,
        };
        let standing = Standing::new(credential);
        Self { client, standing, upstream, tongue: None, session_id: None, number: 0 }
    }

    /// Opens, lists the tools, and closes.
    pub(crate) async fn discover(mut self) -> Result<Discovered, Trouble> {
        self.tongue = Some(Tongue::Stateless);
        let offer = match self.describe().await {
            Ok(offer) => offer,
            // What a server of the other generation says to that.
            Err(Trouble::Status(400..=499) | Trouble::Garbage(_) | Trouble::Revision | Trouble::NoAnswer) => {
                (self.tongue, self.session_id) = (None, None);
                self.initialize().await?
            }
            Err(trouble) => return Err(trouble),
        };
        let has_tools = offer.capabilities.contains("tools");
        let tools = if has_tools { self.list().await } else { Ok(Vec::new()) };
        if self.session_id.is_some() {
            drop(self.client.close(&self.standing, self.way()).await);
        }
        let revision = match &self.tongue {
            Some(Tongue::Session { revision, .. }) => revision.as_str(),
            Some(Tongue::Stateless) | None => STATELESS,
        };
        Ok(Discovered { revision, info: offer.info, capabilities: offer.capabilities.into(), tools: tools? })
    }

    async fn initialize(&mut self) -> Result<Offer, Trouble> {
        let params = Json::object([
            ("protocolVersion", Json::from(Revision::LATEST.as_str())),
            ("capabilities", Json::Object(answerable(self.upstream.passes))),
            ("clientInfo", ourselves()),
        ]);
        let mut result = self.ask("initialize", params).await?;
        let (revision, offer) = Offer::of_initialize(&mut result, Passes::default())?;
        self.tongue = Some(Tongue::Session { revision, id: self.session_id.clone() });
        let opened = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        match self.client.tell(&self.standing, opened.to_vec(), self.way()).await? {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(offer),
            other => Err(Trouble::Status(other.as_u16())),
        }
    }

    async fn describe(&mut self) -> Result<Offer, Trouble> {
        let mut answer = self.hear("server/discover", Json::Object(Object::new())).await?;
        if answer.as_ref().is_err_and(wants_once_more) {
            answer = self.hear("server/discover", Json::Object(Object::new())).await?;
        }
        let mut result = answer.map_err(|_error| Trouble::Garbage("an error instead of an answer"))?;
        Offer::of_discover(&mut result, Passes::default())
    }

    async fn list(&mut self) -> Result<Vec<Json>, Trouble> {
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let mut params = Object::new();
            if let Some(cursor) = cursor.take() {
                params.insert("cursor", Json::String(cursor));
            }
            let result = self.ask("tools/list", Json::Object(params)).await?;
            let page = result
                .get("tools")
                .and_then(Json::as_array)
                .ok_or(Trouble::Garbage("a list without `tools`"))?;
            tools.extend_from_slice(page);
            match result.get("nextCursor").and_then(Json::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(tools),
            }
        }
        Err(Trouble::Garbage("a list without end"))
    }

    async fn ask(&mut self, method: &str, params: Json) -> Result<Json, Trouble> {
        let answer = self.hear(method, params).await?;
        answer.map_err(|_error| Trouble::Garbage("an error instead of an answer"))
    }

    async fn hear(&mut self, method: &str, params: Json) -> Result<Result<Json, RpcError>, Trouble> {
        self.number += 1;
        let request = Request::new(Id::Number(self.number), method, Some(params));
        let capabilities = answerable(self.upstream.passes);
        let envelope = Envelope { client_info: Some(ourselves()), capabilities, log_level: None };
        let form = match self.tongue {
            Some(Tongue::Stateless) => Form::Stateless { envelope: &envelope, schema: None },
            Some(Tongue::Session { .. }) | None => Form::Session,
        };
        let outbound = Outbound::new(request, &self.upstream, form, self.number)
            .map_err(|_| Trouble::Garbage("a message that cannot be sent"))?;
        let message = (outbound.body().clone(), outbound.headers());
        let answer = self.client.send(Method::POST, message, &self.standing, &self.way()).await?;
        if self.session_id.is_none() {
            self.session_id = answer.headers().get(SESSION_ID).cloned();
        }
        let mut frames = Frames::of_answer(answer, &self.upstream, self.way().is_in_session())?;
        let is_refusal = frames.is_refusal();
        let mut room = AnswerRoom::unbounded();
        while let Some(message) = frames.next(&mut room).await? {
            match message {
                Message::Response(response) if response.id == Some(outbound.id()) || is_refusal => {
                    return Ok(response.outcome);
                }
                // A server of the other generation has no way to ask but by its answer.
                Message::Request(asked) if !matches!(self.tongue, Some(Tongue::Stateless)) => {
                    self.client.tell(&self.standing, refuse(asked).to_bytes(), self.way()).await?;
                }
                Message::Request(_) | Message::Notification(_) | Message::Response(_) => {}
            }
        }
        Err(Trouble::Garbage("no answer"))
    }

    fn way(&self) -> Way<'_> {
        Way { upstream: &self.upstream, tongue: self.tongue.as_ref() }
    }
}

/// What a client behind the gate could be asked. Some servers show a tool that asks to such clients alone.
fn answerable(passes: Passes) -> Object {
    let nothing = || Json::object::<&str, 0>([]);
    let mut all = Object::new();
    all.insert("elicitation", Json::object([("form", nothing()), ("url", nothing())]));
    if passes.sampling {
        all.insert("sampling", nothing());
    }
    if passes.roots {
        all.insert("roots", nothing());
    }
    all
}

/// Nobody is here to answer: a question to a person is declined, everything else is not known.
fn refuse(asked: Request) -> Response {
    match Ask::parse(&asked.method) {
        Some(Ask::Ping) => Response::result(asked.id, Json::object::<&str, 0>([])),
        Some(Ask::Elicit) => Response::result(asked.id, Json::object([("action", Json::from("decline"))])),
        Some(Ask::Sample | Ask::RootsList) | None => {
            Response::error(Some(asked.id), RpcError::method_not_found(&asked.method))
        }
    }
}

/// What we are called when we ask for ourselves.
pub(crate) fn ourselves() -> Json {
    Json::object([("name", Json::from("writ")), ("version", Json::from(env!("CARGO_PKG_VERSION")))])
}

#[cfg(test)]
mod tests {
    use wire::{
        json::Json,
        mcp::{Id, Request},
    };

    use super::{answerable, refuse};
    use crate::Passes;

    #[test]
    fn a_server_shows_what_it_shows_to_clients_and_gets_no_answer_of_a_person() {
        let text = |passes| Json::Object(answerable(passes)).to_text();
        assert_eq!(text(Passes::default()), r#"{"elicitation":{"form":{},"url":{}}}"#);
        assert_eq!(
            text(Passes { sampling: true, roots: true, logging: true }),
            r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#
        );
        for (method, answer) in [
            ("ping", r#""result":{}"#),
            ("elicitation/create", r#""result":{"action":"decline"}"#),
            ("sampling/createMessage", r#""code":-32601"#),
            ("roots/list", r#""code":-32601"#),
            ("x/y", r#""code":-32601"#),
        ] {
            let told = refuse(Request::new(Id::Number(7), method, None)).to_bytes();
            let told = String::from_utf8(told).unwrap();
            assert!(told.contains(answer) && told.contains(r#""id":7"#), "{method}: {told}");
        }
    }
}
