//! Changes of state that documents cannot make: bringing back what was stopped.

use axum::{Json, extract::State};

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::At,
    error::ApiError,
    kinds::Done,
};
use crate::{control::Control, draft::Outcome};

pub(super) fn operations(api: Api) -> Api {
    let resume = |path: &str, id: &str, what: &str| Operation::new("post", path, id, Need::Administer, what);
    api.answers::<Done, _, _>(
        resume(
            "/api/v1/agents/{name}/resume",
            "resume_agent",
            "Lets a suspended agent work again; its old credentials stay dead.",
        ),
        resume_agent,
    )
    .answers::<Done, _, _>(
        resume(
            "/api/v1/people/{name}/enable",
            "enable_person",
            "Lets a disabled person act again; their old credentials stay dead.",
        ),
        enable_person,
    )
    .answers::<Done, _, _>(
        resume("/api/v1/workloads/{name}/resume", "resume_workload", "Lets a suspended workload act again."),
        resume_workload,
    )
    .answers::<Done, _, _>(
        resume("/api/v1/servers/{name}/start", "start_server", "Lets calls go to a stopped server again."),
        start_server,
    )
}

fn done(name: &str, position: Option<base::Position>) -> Json<Done> {
    Json(Done::new(if position.is_some() { Outcome::Changed } else { Outcome::Unchanged }, name, position))
}

async fn resume_agent(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    Ok(done(&name, control.resume_agent(&asked, &name).await?))
}

async fn enable_person(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    Ok(done(&name, control.enable_person(&asked, &name).await?))
}

async fn resume_workload(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    Ok(done(&name, control.resume_workload(&asked, &name).await?))
}

async fn start_server(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    Ok(done(&name, control.start_server(&asked, &name).await?))
}
