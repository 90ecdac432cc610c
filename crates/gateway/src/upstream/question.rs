//! Questions that the control plane itself asks a server: which tools there are.

use std::time::Duration;

use base::ServerId;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use wire::{
    json::{Json, Object},
    mcp::{Id, Message, Request, Revision},
};

use super::{
    Frames, Trouble,
    client::{Client, SESSION_ID, Standing, Way},
};
use crate::{Patience, Upstream, opening};

/// The most pages of a list.
const PAGES_MAX: i64 = 100;
/// The most bytes of one page.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A short session of the control plane's own with one server.
///
/// SECURITY: no client is behind it and no act comes of it: it opens, lists and closes, with messages made here.
pub(crate) struct Question<'a> {
    client: &'a Client,
    standing: Standing,
    upstream: Upstream,
    revision: Option<Revision>,
    session_id: Option<HeaderValue>,
    number: i64,
}

impl<'a> Question<'a> {
    pub(crate) fn new(
        client: &'a Client,
        url: http::Uri,
        credential: Vec<(HeaderName, HeaderValue)>,
        wait: Duration,
        id: ServerId,
    ) -> Self {
        let patience = Patience { headers: wait, idle: wait };
        let upstream =
            Upstream { id, name: "(asked)".into(), url, patience, answer_bytes_max: PAGE_BYTES_MAX };
        let standing = Standing::new(credential);
        Self { client, standing, upstream, revision: None, session_id: None, number: 0 }
    }

    /// All definitions of the server's tools, as it gives them.
    pub(crate) async fn tools(mut self) -> Result<Vec<Json>, Trouble> {
        self.open().await?;
        let tools = self.list().await;
        if self.session_id.is_some() {
            drop(self.client.close(&self.standing, self.way()).await);
        }
        tools
    }

    async fn open(&mut self) -> Result<(), Trouble> {
        let about =
            Json::object([("name", Json::from("writ")), ("version", Json::from(env!("CARGO_PKG_VERSION")))]);
        let params = Json::object([
            ("protocolVersion", Json::from(Revision::LATEST.as_str())),
            ("capabilities", Json::Object(Object::new())),
            ("clientInfo", about),
        ]);
        let mut result = self.ask("initialize", params).await?;
        self.revision = Some(opening::answer(&mut result)?);
        let opened = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        match self.client.tell(&self.standing, opened.to_vec(), self.way()).await? {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(()),
            other => Err(Trouble::Status(other.as_u16())),
        }
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
        self.number += 1;
        let id = Id::read(&Json::from(self.number)).ok_or(Trouble::NotPermitted)?;
        let request =
            Request { id: id.clone(), method: method.to_owned(), params: Some(params), rest: Object::new() };
        let body = request.to_bytes().into();
        let answer = self.client.send(Method::POST, body, &self.standing, &self.way()).await?;
        if self.session_id.is_none() {
            self.session_id = answer.headers().get(SESSION_ID).cloned();
        }
        let mut frames = Frames::of_answer(answer, &self.upstream, self.session_id.is_some())?;
        while let Some(message) = frames.next().await? {
            if let Message::Response(response) = message
                && response.id.as_ref() == Some(&id)
            {
                return response.outcome.map_err(|_error| Trouble::Garbage("an error instead of an answer"));
            }
        }
        Err(Trouble::Garbage("no answer"))
    }

    fn way(&self) -> Way<'_> {
        Way { upstream: &self.upstream, revision: self.revision, session_id: self.session_id.as_ref() }
    }
}
