//! The log over the API, for those with the right to read it; and its public half under `/log`.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use base::{DecisionId, Error, Position};
use serde::{Deserialize, Serialize};
use wire::tlog::TilePath;

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Params},
    error::ApiError,
};
use crate::{
    audit::{RecordView, Records, Wanted},
    control::Control,
    readers::Reader,
};

/// One record with what it names.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RecordShown {
    /// The record.
    #[serde(flatten)]
    view: RecordView,
    /// The payload that it names, where that has not been erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

/// Which part of the log to export.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    from: Option<i64>,
    to: Option<i64>,
}

pub(super) fn operations(api: Api) -> Api {
    let audit = |path: &str, id: &str, what: &str| Operation::new("get", path, id, Need::Audit, what);
    api.answers::<Records, _, _>(
        audit("/api/v1/audit/records", "search_records", "Finds records, newest first.")
            .number("from", "from this position on")
            .number("until", "up to this position")
            .query("kind", "of this kind, for example `call.denied`")
            .query("subject", "about this thing: an id, or `KIND/NAME`")
            .query("task", "within this task, or about it")
            .query("actor", "caused by this actor: an id, a name, or `KIND/NAME`")
            .query("decision", "of this decision, and what became of the act; asked for alone")
            .query("agent", "that name this agent anywhere: an id or a name")
            .query("person", "that name this person anywhere: an id or a name")
            .query("tool", "calls of this tool, and what became of the tool itself: `SERVER/TOOL`")
            .number("limit", "at most so many; 100 when absent, 1,000 at most"),
        search,
    )
    .answers::<RecordShown, _, _>(
        audit(
            "/api/v1/audit/records/{position}",
            "show_record",
            "Shows a record with its payload, by its position or by the id of the decision.",
        ),
        show,
    )
    .answers::<String, _, _>(
        audit("/api/v1/audit/export", "export_log", "The log as JSON lines that can be verified offline.")
            .number("from", "from this position on")
            .number("to", "up to this position")
            .media("application/jsonl"),
        export,
    )
    .answers::<String, _, _>(
        audit(
            "/api/v1/audit/proof/{position}",
            "prove_record",
            "A proof, verifiable offline, that a record is in the log.",
        )
        .media("text/plain"),
        proof,
    )
}

async fn search(
    State(control): State<Control>,
    _asked: Asked,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Records>, ApiError> {
    Ok(Json(control.search_records(wanted).await?))
}

async fn show(
    State(control): State<Control>,
    _asked: Asked,
    At(which): At<String>,
) -> Result<Json<RecordShown>, ApiError> {
    let shown = if let Ok(position) = which.parse() {
        control.show_record(Position(position)).await?
    } else if let Ok(decision) = which.parse::<DecisionId>() {
        control.show_decision(&decision).await?
    } else {
        None
    };
    let (view, payload) = shown.ok_or_else(ApiError::missing)?;
    Ok(Json(RecordShown { view, payload }))
}

async fn export(
    State(control): State<Control>,
    _asked: Asked,
    Params(part): Params<Part>,
) -> Result<Response, ApiError> {
    let (from, to) = (Position(part.from.unwrap_or(1)), Position(part.to.unwrap_or(i64::MAX)));
    let pieces = control.export_records(from, to).await?.ok_or_else(ApiError::missing)?;
    let stream = futures_util::stream::try_unfold(pieces, |mut pieces| async move {
        let piece = pieces.next().await?;
        Ok::<_, Error>(piece.map(|piece| (piece, pieces)))
    });
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(stream)).into_response())
}

async fn proof(
    State(control): State<Control>,
    _asked: Asked,
    At(position): At<i64>,
) -> Result<Response, ApiError> {
    let proof = control.prove_record(Position(position)).await?.ok_or_else(ApiError::missing)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], proof.to_string()).into_response())
}

/// The public half: checkpoints and hash tiles (C2SP tlog-tiles). Entries need the right to read and are not here.
pub fn public(control: &Control) -> Router {
    Router::new()
        .route("/log/checkpoint", routing::get(checkpoint))
        .route("/log/tile/{*path}", routing::get(tile))
        .with_state(control.clone())
}

/// From memory: it costs nothing to be asked often.
async fn checkpoint(State(control): State<Control>) -> Result<Response, ApiError> {
    let note = control.store().checkpoint().ok_or_else(ApiError::missing)?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, note).into_response())
}

async fn tile(State(control): State<Control>, At(path): At<String>) -> Result<Response, ApiError> {
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| ApiError::missing())?;
    // Entries need the right to read records; they are had through the API.
    let TilePath::Hashes { tile, width } = path else { return Err(ApiError::missing()) };
    let place = control.inner().readers.admit(Reader::Stranger).await?;
    let hashes = control.store().tile(tile, width).await?.ok_or_else(ApiError::missing)?;
    drop(place);
    let mut response = (StatusCode::OK, hashes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Ok(response)
}
