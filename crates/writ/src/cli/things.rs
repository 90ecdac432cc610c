//! What all nouns have in common: list, show, make, change and remove by name.

use clap::Args;
use serde_json::{Map, Value, json};

use super::exit::{Exit, Outcome, Trouble};
use super::output::{Column, printable, talk};
use super::setting::{DryRun, Setting};
use crate::api_client::{ApiClient, ApiError, Target};

/// A noun of the command line and its place in the API.
pub(crate) struct Noun {
    /// The singular, as typed.
    pub(crate) word: &'static str,
    /// The plural, as in paths.
    pub(crate) plural: &'static str,
    /// What lists show.
    pub(crate) columns: &'static [Column],
}

/// A thing by name.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name or id
    pub(crate) name: String,
}

/// A thing by name, to be changed.
#[derive(Debug, Args)]
pub(crate) struct Changed {
    /// Its name or id
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) how: DryRun,
}

impl Noun {
    /// Lists all.
    pub(crate) async fn list(&self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        setting.list(self.columns, &client.get(&client.at(&[self.plural])).await?)
    }

    /// Shows one.
    pub(crate) async fn show(&self, setting: &Setting, named: &Named) -> Outcome {
        let client = setting.client()?;
        setting.one(&client.get(&client.at(&[self.plural, &named.name])).await?)
    }

    /// Makes one that does not exist yet.
    pub(crate) async fn create(&self, setting: &Setting, name: &str, spec: &Value, how: DryRun) -> Outcome {
        let answer = self.make(&setting.client()?, name, spec, how).await?;
        self.say(setting, name, &answer, how)
    }

    /// Makes one that does not exist yet, and leaves the talking to the caller.
    pub(crate) async fn make(
        &self,
        client: &ApiClient,
        name: &str,
        spec: &Value,
        how: DryRun,
    ) -> Result<Value, Trouble> {
        match client.get(&client.at(&[self.plural, name])).await {
            Ok(_) => {
                let what = format!("{} `{name}` exists already", self.word);
                return Err(Trouble::new(Exit::Conflict, what)
                    .help("change it with `writ apply -f FILE`, or choose another name"));
            }
            Err(ApiError::Refused { status, .. }) if status == http::StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error.into()),
        }
        Ok(client.put(&self.target(client, name, how), spec).await?)
    }

    /// Makes one, or makes it what `spec` says.
    pub(crate) async fn put(&self, setting: &Setting, name: &str, spec: &Value, how: DryRun) -> Outcome {
        let client = setting.client()?;
        let answer = client.put(&self.target(&client, name, how), spec).await?;
        self.say(setting, name, &answer, how)
    }

    /// Changes members of one that exists.
    pub(crate) async fn change(
        &self,
        setting: &Setting,
        name: &str,
        how: DryRun,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Outcome {
        let client = setting.client()?;
        let mut thing = client.get(&client.at(&[self.plural, name])).await?;
        let name = thing["name"].as_str().unwrap_or(name).to_owned();
        let spec = thing["spec"]
            .as_object_mut()
            .ok_or_else(|| Trouble::new(Exit::Failed, "the answer has no `spec`"))?;
        change(spec);
        let answer = client.put(&self.target(&client, &name, how), &thing["spec"]).await?;
        self.say(setting, &name, &answer, how)
    }

    /// Sets the state of one.
    pub(crate) async fn set_state(&self, setting: &Setting, changed: &Changed, state: &str) -> Outcome {
        let set = |spec: &mut Map<String, Value>| {
            spec.insert("state".to_owned(), json!(state));
        };
        self.change(setting, &changed.name, changed.how, set).await
    }

    /// Brings back one that was stopped: what documents cannot do.
    pub(crate) async fn bring_back(&self, setting: &Setting, named: &Named, verb: &str) -> Outcome {
        let client = setting.client()?;
        let answer = client.act(&client.at(&[self.plural, &named.name, verb])).await?;
        self.say(setting, &named.name, &answer, DryRun { dry_run: false })
    }

    /// Removes one, after a question.
    pub(crate) async fn remove(&self, setting: &Setting, changed: &Changed) -> Outcome {
        let Changed { name, how } = changed;
        if !how.dry_run {
            setting.confirm(&format!("{} `{name}` will be removed", self.word), name)?;
        }
        let client = setting.client()?;
        let answer = client.delete(&self.target(&client, name, *how)).await?;
        self.say(setting, name, &answer, *how)
    }

    fn target(&self, client: &ApiClient, name: &str, how: DryRun) -> Target {
        client.at(&[self.plural, name]).with("dry_run", how.dry_run.then_some(true))
    }

    /// `agent ada created`, as one line for people; before it, what is probably not meant.
    pub(crate) fn say(&self, setting: &Setting, name: &str, answer: &Value, how: DryRun) -> Outcome {
        warn(self.word, name, answer);
        let outcome = answer["outcome"].as_str().unwrap_or("changed");
        let trial = if how.dry_run { " (dry run: nothing was changed)" } else { "" };
        let said = setting.done(&format!("{} {name} {outcome}{trial}", self.word), answer)?;
        if let Some(help) = answer["help"].as_str() {
            talk(&printable(help));
        }
        Ok(said)
    }
}

/// Passes the warnings of an answer on, to standard error.
pub(crate) fn warn(word: &str, name: &str, answer: &Value) {
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        talk(&format!("warning: {word} {name}: {}", printable(warning)));
    }
}

/// Keeps only members that were given.
pub(crate) fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

/// `SERVER/TOOL`, split at the first slash: servers' names hold none, tools' may.
pub(crate) fn server_and_tool(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((server, tool)) if !server.is_empty() && !tool.is_empty() => {
            Ok((server.to_owned(), tool.to_owned()))
        }
        _ => Err("give SERVER/TOOL, for example `shop/read_ticket`".to_owned()),
    }
}

/// A span of time: a whole number and `s`, `m`, `h` or `d`.
pub(crate) fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || "give a whole number and a unit of s, m, h or d, for example `90d`".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    let count = digits
        .parse::<u32>()
        .ok()
        .filter(|count| *count > 0 && !digits.starts_with('+'))
        .ok_or_else(wrong)?;
    Ok(i64::from(count) * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{given, seconds, server_and_tool};

    #[test]
    fn spans_have_units() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("8h"), Ok(28_800));
        assert_eq!(seconds("4294967295d"), Ok(4_294_967_295 * 86_400));
        for bad in ["", "s", "10", "0s", "-1s", "+1s", "1.5h", "1 h", "1w", "4294967296d", "1é"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_tool_may_hold_slashes() {
        assert_eq!(server_and_tool("shop/a/b"), Ok(("shop".into(), "a/b".into())));
        for bad in ["", "shop", "/a", "shop/"] {
            assert!(server_and_tool(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_was_not_given_is_left_out() {
        assert_eq!(given([("a", Some(json!(1))), ("b", None)]), json!({"a": 1}));
    }
}
