//! Clients of 2026-07-28 at `/mcp`.

use axum::response::Response;
use http::HeaderMap;
use wire::mcp::{self, Message};

use super::{Aggregate, listen, lists, offer};
use crate::{
    Passes, Plane, Request,
    reply::{self, Stop},
    request::Generation,
    stateless::{check, refuse, request_of, serve_request},
    translate,
};

/// Serves one message.
pub(super) async fn serve<P: Plane>(
    mut all: Aggregate<P>,
    headers: &HeaderMap,
    message: Message,
) -> Result<Response, Stop> {
    let Some(mut request) = request_of(headers, message)? else {
        all.be_admitted().await?;
        return Ok(reply::taken());
    };
    let id = request.id.clone();
    let refuse = |error| refuse(Some(id.clone()), error);
    let envelope = check(headers, &mut request).map_err(refuse)?;
    match Request::read(&request, Generation::Stateless, Passes::default()) {
        Ok(Request::Open) => {
            all.be_admitted().await?;
            let mut answer = mcp::Response::result(id, offer::discovered(&all));
            translate::answer(&mut answer, &Request::Open, Generation::Stateless, Generation::Stateless);
            Ok(reply::stateless(&answer))
        }
        Ok(Request::Listen) => {
            all.be_admitted().await?;
            listen::of_subscription(all, envelope, request).await
        }
        Ok(Request::List(list)) => {
            all.be_admitted().await?;
            lists::alone(&all, &envelope, list, request).await
        }
        _ => match all.target(&mut request) {
            Ok(visit) => serve_request(visit, headers, envelope, request).await,
            Err(error) => {
                all.be_refused(&request.method, &error).await?;
                Ok(reply::stateless(&mcp::Response::error(Some(id.clone()), error)))
            }
        },
    }
}
