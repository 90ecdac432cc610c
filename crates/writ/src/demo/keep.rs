//! After the steps: what to do next, or a server that stays for a person's own client.

use anyhow::Context as _;
use serde_json::json;

use super::agent::Agent;
use super::screen::Screen;
use super::stage::Stage;
use super::steps::tools_of_the_task;

/// What to do after the demonstration.
pub(super) const NEXT: &str = "
next:
  writ demo --keep      the same, left running for your own MCP client
  writ up --data .writ  a server of your own; it says how to go on
  writ --help           all commands, each with an example";

/// Brings the agent back, prints how to connect, and waits to be interrupted.
pub(super) async fn keep(stage: &Stage) -> anyhow::Result<()> {
    stage.admin.act(&stage.admin.at(&["agents", "ada", "resume"])).await?;
    // Her old key died with the kill.
    let ada = Agent::new("ada")?;
    stage.register(&ada).await?;
    let task = stage.task(tools_of_the_task()).await?;
    let issued = ada.token(&stage.admin, json!({ "type": "writ_task", "task": task }), false).await?;
    let token_file = stage.data.join("admin.token");
    std::fs::metadata(&token_file).with_context(|| format!("`{}`", token_file.display()))?;
    let settings = json!({ "mcpServers": { "shop": {
        "type": "http", "url": stage.gate(),
        "headers": { "Authorization": format!("Bearer {}", issued.token.expose()) },
    } } });
    Screen::block(&format!(
        "\nada was resumed and has a new task. For your MCP client, good for {} s:\n\n{}\n\nfor the command line:\n\n  \
         export WRIT_URL={}\n  export WRIT_TOKEN=$(cat {})\n  writ task show {task}\n  writ audit tail --follow\n  \
         writ kill agent ada --reason \"enough\"\n\nit runs until you press Ctrl-C",
        issued.seconds,
        serde_json::to_string_pretty(&settings)?,
        stage.server.url.as_str().trim_end_matches('/'),
        token_file.display(),
    ));
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}
