//! The one message that a permit is asked for and that is sent on it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wire::{
    json::Json,
    mcp::{self, Envelope, HeaderParam, Id, Request, Response, RpcError},
};

use super::client::{METHOD, NAME};
use crate::Upstream;

/// The form in which a message goes to a server.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    /// Within a session.
    Session,
    /// By itself: with all that it says about itself, and the headers that repeat it.
    Stateless {
        envelope: &'a Envelope,
        /// The schema of the arguments, where it is a tool that is called.
        schema: Option<&'a Json>,
    },
}

/// A client's request in the form in which it goes to the server.
///
/// INVARIANT: `body` is the serialisation of the value that `digest` was taken of, and `headers` repeat parts of that
/// value; nothing changes any of them later.
pub(crate) struct Outbound {
    /// The id under which the client asked.
    pub(crate) client_id: Id,
    /// The token under which the client wants to hear of progress.
    pub(crate) progress: Option<Id>,
    number: i64,
    digest: [u8; 32],
    body: Bytes,
    headers: HeaderMap,
}

impl Outbound {
    /// `number` becomes the id and the progress token on the server's side. It is unique in this process, so that an
    /// answer that a server gives to the wrong request of the right connection still finds nobody (threat class 19).
    pub(crate) fn new(
        mut message: Request,
        upstream: &Upstream,
        form: Form<'_>,
        number: i64,
    ) -> Result<Self, RpcError> {
        let mut carried = message.detach()?;
        let mut headers = HeaderMap::new();
        if let Form::Stateless { envelope, schema } = form {
            headers = repeated(&message, schema)?;
            envelope.put(&mut message);
        }
        let digest = message.digest(upstream.id.as_str());
        let progress = carried.progress_token.take();
        carried.progress_token = progress.as_ref().map(|_| Id::Number(number));
        message.attach(carried);
        let client_id = std::mem::replace(&mut message.id, Id::Number(number));
        Ok(Self { client_id, progress, number, digest, body: message.to_bytes().into(), headers })
    }

    /// A client's answer to what the server asked, under the id that the server gave.
    pub(crate) fn of_answer(response: &Response, upstream: &Upstream) -> Self {
        Self {
            client_id: Id::Number(0),
            progress: None,
            number: 0,
            digest: response.act_digest(upstream.id.as_str()),
            body: response.to_bytes().into(),
            headers: HeaderMap::new(),
        }
    }

    /// The id on the server's side.
    pub(crate) const fn id(&self) -> Id {
        Id::Number(self.number)
    }

    pub(crate) const fn number(&self) -> i64 {
        self.number
    }

    pub(crate) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(crate) const fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

/// The headers that repeat what stands in the message (MCP 2026-07-28, transports, "Standard headers" and "Custom
/// headers"). Made from the message itself: what the client's own headers say was only compared with it.
fn repeated(message: &Request, schema: Option<&Json>) -> Result<HeaderMap, RpcError> {
    let mut headers = HeaderMap::new();
    headers.insert(METHOD, value(&message.method)?);
    let name = mcp::named_param(&message.method).and_then(|param| message.param(param));
    if let Some(name) = name.and_then(Json::as_str) {
        headers.insert(NAME, value(name)?);
    }
    let (Some(schema), Some(arguments)) = (schema, message.param("arguments")) else { return Ok(headers) };
    for param in HeaderParam::of_schema(schema) {
        if let Some(text) = param.value_in(arguments) {
            let name = format!("mcp-param-{}", param.name.to_ascii_lowercase());
            let name = HeaderName::try_from(name)
                .map_err(|_| RpcError::invalid_params("the tool's schema names a header that is none"))?;
            headers.insert(name, value(&text)?);
        }
    }
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, RpcError> {
    HeaderValue::try_from(mcp::encode_header(text))
        .map_err(|_| RpcError::invalid_params("a name or an argument is too long for a header"))
}
