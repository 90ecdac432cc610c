//! Changes of state that documents cannot make: bringing back what was stopped.

use axum::{Json, extract::State};

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::At,
    error::ApiError,
    kinds::Done,
};
use crate::{
    control::Control,
    draft::Outcome,
    kind::Kind,
    principal::{Agent, Person, Workload},
};

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
        resume(
            "/api/v1/workloads/{name}/resume",
            "resume_workload",
            "Lets a suspended workload act again; its old credentials stay dead.",
        ),
        resume_workload,
    )
    .answers::<Done, _, _>(
        resume("/api/v1/servers/{name}/start", "start_server", "Lets calls go to a stopped server again."),
        start_server,
    )
}

fn done(name: &str, position: Option<base::Position>) -> Done {
    Done::new(if position.is_some() { Outcome::Changed } else { Outcome::Unchanged }, name, position)
}

/// Somebody who works again; who has nothing left to prove it with is told how to get it.
fn back<K: Kind>(
    control: &Control,
    asked: &Asked,
    name: &str,
    position: Option<base::Position>,
    renew: &str,
) -> Json<Done> {
    let known = control.snapshot();
    let id = K::shelf(&known).find(name).map(|thing| thing.id.clone().into());
    let done = done(name, position);
    if id.is_none_or(|id| known.can_prove_itself(&id, &asked.ctx)) {
        return Json(done);
    }
    Json(done.with_help(format!("keys and tokens from before a stop stay dead; add a new one: {renew}")))
}

async fn resume_agent(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    let position = control.resume_agent(&asked, &name).await?;
    let renew = format!("`writ agent keys add {name} --generate-key FILE`");
    Ok(back::<Agent>(&control, &asked, &name, position, &renew))
}

async fn enable_person(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    let position = control.enable_person(&asked, &name).await?;
    let renew = format!(
        "`writ person token create {name}`, and for each of their agents `writ agent keys add NAME --generate-key FILE`"
    );
    Ok(back::<Person>(&control, &asked, &name, position, &renew))
}

async fn resume_workload(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    let position = control.resume_workload(&asked, &name).await?;
    let renew = format!(
        "`writ workload token create {name}`, or `writ workload keys add {name} --generate-key FILE`"
    );
    Ok(back::<Workload>(&control, &asked, &name, position, &renew))
}

async fn start_server(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Done>, ApiError> {
    Ok(Json(done(&name, control.start_server(&asked, &name).await?)))
}
