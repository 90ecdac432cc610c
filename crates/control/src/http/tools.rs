//! Tools over the API: what servers offer, and what people say about it.

use axum::{Json, extract::State};
use policy::Effect;
use serde::Deserialize;

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::{At, Input, Params},
    error::ApiError,
    kinds::Done,
};
use crate::{
    catalogue::{Seen, Tested, Tool, ToolSpec},
    control::Control,
    draft::Outcome,
    kind::View,
};

/// Which tools to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    server: Option<String>,
}

/// What calling a tool does.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Label {
    /// `read`, `fetch`, `write`, `send`, `destroy` or `admin`.
    #[schema(value_type = String)]
    effect: Effect,
}

/// Which definition a person looked at.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// SHA-256 of the canonical definition, hexadecimal: `spec.digest` of the tool as it was shown.
    digest: String,
}

type ToolPath = At<(String, String)>;

pub(super) fn operations(mut api: Api) -> Api {
    api.schema::<ToolSpec>();
    let one = "/api/v1/tools/{server}/{tool}";
    let discover = Operation::new(
        "post",
        "/api/v1/servers/{name}/discover",
        "discover_tools",
        Need::Administer,
        "Asks a server for its tools: pins those that are new, quarantines those that changed.",
    );
    api.lists::<View<ToolSpec>, _, _>(
        Operation::new("get", "/api/v1/tools", "list_tools", Need::Audit, "Lists tools.")
            .query("server", "only tools of this server"),
        list_tools,
    )
    .answers::<View<ToolSpec>, _, _>(
        Operation::new("get", one, "show_tool", Need::Audit, "Shows a tool."),
        show_tool,
    )
    .answers::<Done, _, _>(
        Operation::new(
            "delete",
            one,
            "delete_tool",
            Need::Administer,
            "Removes a tool that nothing stands on.",
        ),
        remove_tool,
    )
    .takes::<Label, Done, _, _>(
        Operation::new(
            "put",
            "/api/v1/tools/{server}/{tool}/label",
            "label_tool",
            Need::Administer,
            "Confirms what calling a tool does.",
        ),
        label_tool,
    )
    .takes::<Approval, Done, _, _>(
        Operation::new(
            "post",
            "/api/v1/tools/{server}/{tool}/approve",
            "approve_tool",
            Need::Administer,
            "Pins the definition that was seen of a quarantined tool; 409 when another was seen since.",
        ),
        approve_tool,
    )
    .lists::<Seen, _, _>(discover, discover_tools)
    .answers::<Tested, _, _>(
        Operation::new(
            "post",
            "/api/v1/servers/{name}/test",
            "test_server",
            Need::Administer,
            "Asks a server what it speaks and offers; changes nothing.",
        ),
        test_server,
    )
}

async fn list_tools(
    State(control): State<Control>,
    _asked: Asked,
    Params(which): Params<Which>,
) -> Json<Vec<View<ToolSpec>>> {
    let known = control.snapshot();
    let tools = known.tools.iter().map(|tool| tool.view(&known));
    Json(
        tools.filter(|tool| which.server.as_ref().is_none_or(|server| server == &tool.spec.server)).collect(),
    )
}

async fn show_tool(
    State(control): State<Control>,
    _asked: Asked,
    At((server, tool)): ToolPath,
) -> Result<Json<View<ToolSpec>>, ApiError> {
    let known = control.snapshot();
    let thing = known.tools.named(&format!("{server}/{tool}")).ok_or_else(ApiError::missing)?;
    Ok(Json(thing.view(&known)))
}

async fn remove_tool(
    State(control): State<Control>,
    asked: Asked,
    At((server, tool)): ToolPath,
) -> Result<Json<Done>, ApiError> {
    let name = format!("{server}/{tool}");
    let (outcome, position) = control.change(&asked, |draft| draft.remove::<Tool>(&name)).await?;
    Ok(Json(Done::new(outcome, &name, position)))
}

async fn label_tool(
    State(control): State<Control>,
    asked: Asked,
    At((server, tool)): ToolPath,
    Input(label): Input<Label>,
) -> Result<Json<Done>, ApiError> {
    let position = control.label_tool(&asked, &server, &tool, label.effect).await?;
    Ok(done(&server, &tool, position))
}

async fn approve_tool(
    State(control): State<Control>,
    asked: Asked,
    At((server, tool)): ToolPath,
    Input(approval): Input<Approval>,
) -> Result<Json<Done>, ApiError> {
    let position = control.approve_tool(&asked, &server, &tool, &approval.digest).await?;
    Ok(done(&server, &tool, position))
}

async fn discover_tools(
    State(control): State<Control>,
    asked: Asked,
    At(name): At<String>,
) -> Result<Json<Vec<Seen>>, ApiError> {
    Ok(Json(control.discover(&asked, &name).await?))
}

async fn test_server(
    State(control): State<Control>,
    _asked: Asked,
    At(name): At<String>,
) -> Result<Json<Tested>, ApiError> {
    Ok(Json(control.test_server(&name).await?))
}

fn done(server: &str, tool: &str, position: Option<base::Position>) -> Json<Done> {
    let outcome = if position.is_some() { Outcome::Changed } else { Outcome::Unchanged };
    Json(Done::new(outcome, &format!("{server}/{tool}"), position))
}
