//! Reading requests: strictly, and with errors that name the field.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
};
use base::{Bodies, BodyRefusal, HeldBody, Sender, limit};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use wire::json::Json;

use super::error::ApiError;

/// How long a client may take to send a body.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// The same for whoever holds half of what one sender may: what they send slowly keeps their own requests out, and those of
/// all behind the same address.
const HOARDER_WAIT: Duration = Duration::from_secs(2);
/// How often that is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a request has no body that could be served.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unread {
    /// It broke off.
    Broken,
    /// It did not come in time.
    Late,
    /// It is too large, or there is no room for it just now.
    Refused(BodyRefusal),
    /// Nobody said how much may be held.
    Unguarded,
}

/// Reads a body: bounded in size and time, and within what its sender may make us hold.
///
/// SECURITY: whoever can be known is known before this, so that strangers make us hold a head and no more. What they
/// showed may be revoked while the body is on its way: it is asked again after this.
pub(crate) async fn read(
    parts: &Parts,
    body: Body,
    sender: Sender,
    bytes_max: usize,
) -> Result<HeldBody, Unread> {
    let bodies = parts.extensions.get::<Bodies>().ok_or(Unread::Unguarded)?;
    let refused = |refusal| {
        metrics::counter!("writ_bodies_refused_total").increment(1);
        Unread::Refused(refusal)
    };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(refused(BodyRefusal::TooLarge(bytes_max)));
    }
    let mut held = bodies.begin(sender, head_bytes(parts), bytes_max).map_err(refused)?;
    let mut pieces = body.into_data_stream();
    let begun = Instant::now();
    loop {
        let until = begun + if held.is_of_hoarder() { HOARDER_WAIT } else { BODY_WAIT };
        let now = Instant::now();
        if until <= now {
            return Err(Unread::Late);
        }
        match tokio::time::timeout_at(until.min(now + LOOK_EVERY), pieces.next()).await {
            Ok(Some(piece)) => held.push(&piece.map_err(|_| Unread::Broken)?).map_err(refused)?,
            Ok(None) => return Ok(held),
            Err(_) => {}
        }
    }
}

/// Where a request comes from, as far as its connection tells.
pub(crate) fn stranger(parts: &Parts) -> Sender {
    parts.extensions.get().cloned().unwrap_or_else(|| Sender::Stranger(Arc::from("somewhere")))
}

/// The same as a text; empty for somebody who is known.
pub(crate) fn address(parts: &Parts) -> String {
    match stranger(parts) {
        Sender::Stranger(address) => address.to_string(),
        Sender::Known(_) => String::new(),
    }
}

fn head_bytes(parts: &Parts) -> usize {
    let headers = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + parts.uri.path_and_query().map_or(0, |path| path.as_str().len())
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Broken => Self::invalid("the body could not be read"),
            Unread::Late => Self::invalid("the body did not come in time"),
            Unread::Refused(refusal @ BodyRefusal::TooLarge(_)) => Self::invalid(&refusal.to_string()),
            Unread::Refused(refusal @ (BodyRefusal::Share | BodyRefusal::Spent)) => Self::full(refusal),
            Unread::Unguarded => Self::unguarded(),
        }
    }
}

/// A JSON body. Duplicate members are refused, as are unknown ones where the type says so.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| ApiError::invalid("the body could not be read, or is larger than the limit"))?;
        if bytes.len() > limit::BODY_BYTES_MAX {
            return Err(ApiError::invalid("the body is larger than 1 MiB"));
        }
        Json::parse(&bytes)
            .map_err(|error| ApiError::invalid(&format!("the body is not strict JSON: {error}")))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::invalid(&format!("the body does not fit: {error}")))
    }
}

/// Query parameters; unknown ones are refused where the type says so.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|error| ApiError::invalid(&error.body_text()))
    }
}

/// Parameters of the path.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        // A path that does not fit names nothing.
        path.map(|Path(parameters)| Self(parameters)).map_err(|_| ApiError::missing())
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::{
        body::{Body, Bytes},
        http::Request,
    };
    use base::{Bodies, Sender, Share, Shares};
    use futures_util::stream;
    use tokio::time::Instant;

    use super::{BODY_WAIT, HOARDER_WAIT, Unread, read};

    #[tokio::test(start_paused = true)]
    async fn who_holds_much_is_not_waited_for_long() {
        let share = Share { all: 1 << 20, one: 64 * 1024 };
        let bodies = Bodies::new(Shares { strangers: share, machines: share, people: share });
        let (parts, ()) = Request::builder().extension(bodies.clone()).body(()).unwrap().into_parts();
        let stranger = || Sender::Stranger("somewhere".into());
        let waits = async || {
            let never = stream::pending::<Result<Bytes, Infallible>>();
            let began = Instant::now();
            let late = read(&parts, Body::from_stream(never), stranger(), 1024).await;
            assert!(matches!(late, Err(Unread::Late)));
            began.elapsed()
        };
        assert_eq!(waits().await, BODY_WAIT);
        let hoard = bodies.begin(stranger(), 32 * 1024, 1024).unwrap();
        assert_eq!(waits().await, HOARDER_WAIT);
        drop(hoard);
        // Who comes to hold much meanwhile is not waited for either.
        let begins = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let _hoard = bodies.begin(stranger(), 32 * 1024, 1024).unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            waited = waits() => assert!(waited < Duration::from_secs(5), "{waited:?}"),
            () = begins => unreachable!(),
        }
    }
}
