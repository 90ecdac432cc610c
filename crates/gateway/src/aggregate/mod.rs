//! `/mcp`: all servers that the caller may use, behind one endpoint.
//!
//! A request for one server is split at its name ([`names`]) and goes the way of that server's own endpoint, as a [`Visit`]
//! of its own; what comes back is named for this one ([`Naming`]). Lists ask all servers ([`lists`]), streams merge what they
//! say ([`listen`]). Only the first words are Writ's own: no server is spoken to before something is asked of it.

mod listen;
mod lists;
mod names;
mod offer;
mod session;
mod stateless;
mod whole;

use std::sync::{Arc, OnceLock};

use axum::{body::Body, response::Response};
use http::{Method, request::Parts};
use wire::mcp::{self, RpcError, code};

pub(crate) use names::Naming;
pub(crate) use whole::{Whole, Wholes};

use crate::{
    Gateway, Holder, Plane,
    gateway::{Visit, stop},
    leash::Leash,
    post,
    reply::{self, Stop},
    room::Room,
    tasks::Ids,
};

/// One authenticated request for all servers.
pub(crate) struct Aggregate<P: Plane> {
    pub(crate) gate: Arc<Gateway<P>>,
    pub(crate) caller: P::Caller,
    /// The caller once an act has used up its sender proof; shared with all visits that are parts of this.
    pub(crate) proven: Arc<OnceLock<P::Caller>>,
    pub(crate) holder: Holder,
    pub(crate) leash: Leash<P>,
    pub(crate) held: Option<Room>,
}

/// Serves one HTTP request.
pub(crate) async fn serve<P: Plane>(
    mut all: Aggregate<P>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Stop> {
    let headers = &parts.headers;
    if parts.method == Method::POST {
        let (message, held) = post::receive(&all.gate, &all.holder, headers, body).await?;
        all.held = Some(Room::of(held));
        return if crate::stateless::is_meant(headers, &message) {
            stateless::serve(all, headers, message).await
        } else {
            session::serve(all, headers, message).await
        };
    }
    if crate::stateless::is_alone(headers) {
        return Err(reply::wrong_method("POST"));
    }
    match parts.method {
        Method::GET => session::listen(all, headers).await,
        _ => session::close(all, headers).await,
    }
}

impl<P: Plane> Aggregate<P> {
    /// Who calls.
    pub(crate) fn caller(&self) -> &P::Caller {
        self.proven.get().unwrap_or(&self.caller)
    }

    /// The part that concerns one server; none where there is no such server for this caller.
    pub(crate) fn server(&self, name: &str) -> Option<Visit<P>> {
        let upstream = self.gate.plane.upstream(self.caller(), name)?;
        Some(Visit::part(self, upstream))
    }

    /// The parts that concern each server, by name.
    pub(crate) fn servers(&self) -> Vec<Visit<P>> {
        let upstreams = self.gate.plane.upstreams(self.caller());
        upstreams.into_iter().map(|upstream| Visit::part(self, upstream)).collect()
    }

    /// Uses up the sender proof of a message that is no act of one server. The acts that follow from it show none.
    pub(crate) async fn be_admitted(&self) -> Result<(), Stop> {
        self.gate.plane.admit(self.caller()).await.map_err(stop)?;
        self.proven.get_or_init(|| self.gate.plane.proven(&self.caller));
        Ok(())
    }

    /// Answers for a message that leads to no server; see [`Visit::be_refused`].
    pub(crate) async fn be_refused(&self, method: &str, error: &RpcError) -> Result<(), Stop> {
        if error.code != code::METHOD_NOT_FOUND {
            return self.be_admitted().await;
        }
        self.gate.plane.deny_unknown(self.caller(), None, method).await.map_err(stop)
    }

    /// The part that a request is about, with the server's own name in it.
    fn target(&mut self, request: &mut mcp::Request) -> Result<Visit<P>, RpcError> {
        let method = mcp::Method::parse(&request.method);
        let method = method.ok_or_else(|| RpcError::method_not_found(&request.method))?;
        let mut visit = match method {
            mcp::Method::TasksGet
            | mcp::Method::TasksResult
            | mcp::Method::TasksCancel
            | mcp::Method::TasksUpdate => self.server_of_task(request),
            mcp::Method::ToolsCall
            | mcp::Method::PromptsGet
            | mcp::Method::ResourcesRead
            | mcp::Method::ResourcesSubscribe
            | mcp::Method::ResourcesUnsubscribe
            | mcp::Method::Complete => {
                let server = names::take_server(method, request)?;
                self.server(&server).ok_or_else(names::unknown)
            }
            _ => Err(RpcError::method_not_found(&request.method)),
        }?;
        visit.held = self.held.take();
        Ok(visit)
    }

    /// The server whose task is asked about: the one for which its id was sealed.
    fn server_of_task(&self, request: &mcp::Request) -> Result<Visit<P>, RpcError> {
        let is_of = |visit: &Visit<P>| {
            let ids = Ids::new(&*self.gate.plane, &self.holder, &visit.upstream);
            ids.open_in(&mut request.clone()).is_ok_and(|opened| opened.is_some())
        };
        self.servers().into_iter().find(is_of).ok_or_else(crate::tasks::unknown)
    }
}
