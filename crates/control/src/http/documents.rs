//! Documents over the API.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{Input, Params},
    error::ApiError,
};
use crate::{
    control::Control,
    documents::{Document, Plan},
};

/// Documents to be applied together.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Documents {
    /// In any order.
    documents: Vec<Document>,
}

/// How to apply.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn operations(api: Api) -> Api {
    let apply = Operation::new(
        "post",
        "/api/v1/apply",
        "apply",
        Need::Administer,
        "Applies documents: all of them, or none.",
    )
    .flag("dry_run", "`true`: say what would happen and change nothing");
    let export =
        Operation::new("get", "/api/v1/export", "export", Need::Audit, "Everything that documents can say.");
    api.takes::<Documents, Plan, _, _>(apply, apply_documents)
        .lists::<Document, _, _>(export, export_documents)
}

async fn apply_documents(
    State(control): State<Control>,
    asked: Asked,
    Params(how): Params<How>,
    Input(documents): Input<Documents>,
) -> Result<Json<Plan>, ApiError> {
    Ok(Json(control.apply(&asked, documents.documents, how.dry_run).await?))
}

async fn export_documents(
    State(control): State<Control>,
    _asked: Asked,
) -> Result<Json<Vec<Document>>, ApiError> {
    Ok(Json(control.export()?))
}
