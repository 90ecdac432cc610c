//! The one message that a permit is asked for and that is sent on it.

use bytes::Bytes;
use wire::mcp::{Id, Request, RpcError};

use crate::Upstream;

/// A client's request in the form in which it goes to the server.
///
/// INVARIANT: `body` is the serialisation of the value that `digest` was taken of; nothing changes either later.
pub(crate) struct Outbound {
    /// The id under which the client asked.
    pub(crate) client_id: Id,
    /// The token under which the client wants to hear of progress.
    pub(crate) progress: Option<Id>,
    number: i64,
    digest: [u8; 32],
    body: Bytes,
}

impl Outbound {
    /// `number` becomes the id and the progress token on the server's side. It is unique in this process, so that an
    /// answer that a server gives to the wrong request of the right connection still finds nobody (threat class 19).
    pub(crate) fn new(mut message: Request, upstream: &Upstream, number: i64) -> Result<Self, RpcError> {
        let mut carried = message.detach()?;
        let digest = message.digest(upstream.id.as_str());
        let progress = carried.progress_token.take();
        carried.progress_token = progress.as_ref().map(|_| Id::Number(number));
        message.attach(carried);
        let client_id = std::mem::replace(&mut message.id, Id::Number(number));
        Ok(Self { client_id, progress, number, digest, body: message.to_bytes().into() })
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
}
