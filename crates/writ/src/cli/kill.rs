//! `writ kill`: the stop button.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::environment::stopwatch;
use super::exit::{Outcome, Trouble};
use super::output::talk;
use super::setting::Setting;

/// What `writ kill all` ends, said before it does.
const EVERYTHING: &str =
    "every task and every credential issued so far, your own and every other API token included";

/// Ends authority at once: calls, open streams and credentials.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ kill agent ada --reason \"mails strangers\" --yes",
    after_help = "`writ kill all` ends every task and every credential issued so far, your own and every other API token included.\nAfterwards restart `writ up`: where no administrator's token is left, it writes a new DATA/admin.token."
)]
pub(crate) struct Kill {
    /// What to stop
    #[arg(value_enum)]
    kind: Kind,
    /// Its name or id; a tool is SERVER/TOOL; nothing for `all`
    name: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Suspended, its tasks ended, its credentials dead
    Agent,
    /// Disabled, with everything they own
    Person,
    /// Suspended, its credentials dead
    Workload,
    /// Ended, with its descendants
    Task,
    /// Quarantined
    Tool,
    /// Stopped
    Server,
    /// Every task and every credential issued so far, your own and every other API token included
    All,
}

impl Kill {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let name = match (self.kind, self.name) {
            (Kind::All, None) => String::new(),
            (Kind::All, Some(_)) => return Err(Trouble::usage("`all` takes no name")),
            (_, Some(name)) if !name.is_empty() => name,
            _ => return Err(Trouble::usage("name what to stop").help("writ kill agent ada --reason \"...\"")),
        };
        let word = self.kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        stop(setting, &word, &name, &self.reason).await
    }
}

/// Asks, stops, and says how long it took from the request to the acknowledgement. From then on no call whose
/// decision is older is forwarded.
pub(crate) async fn stop(setting: &Setting, kind: &str, name: &str, reason: &str) -> Outcome {
    let all = kind == "all";
    let (shown, typed) =
        if all { ("everything".to_owned(), "all") } else { (format!("{kind} `{name}`"), name) };
    let means = if all { format!(": {EVERYTHING}") } else { String::new() };
    setting.confirm(&format!("{shown} will be stopped at once{means}"), typed)?;
    let client = setting.client()?;
    let watch = stopwatch();
    let body = json!({ "kind": kind, "name": name, "reason": reason });
    let mut answer = client.insist(&client.at(&["kill"]), &body).await?;
    let elapsed_us = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX);
    if let Some(members) = answer.as_object_mut() {
        members.insert("elapsed_us".to_owned(), json!(elapsed_us));
    }
    let (ms, tenths) = (elapsed_us / 1000, elapsed_us / 100 % 10);
    let sentence = format!(
        "{shown} stopped in {ms}.{tenths} ms; open tasks ended: {}; nothing older than position {} counts",
        answer["tasks_ended"], answer["position"]
    );
    let outcome = setting.done(&sentence, &answer)?;
    if all {
        talk("your own token is dead too; restart `writ up`: it writes a new DATA/admin.token");
    }
    Ok(outcome)
}
