//! Lists of what people own: who is active and whose owner is not can do nothing.

use serde_json::{Value, json};

use super::exit::Outcome;
use super::setting::Setting;
use super::things::Noun;

impl Noun {
    /// Lists all, and says of whom the owner is disabled.
    pub(crate) async fn list_owned(&self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let things = client.get(&client.at(&[self.plural])).await?;
        let people = client.get(&client.at(&["people"])).await?;
        let disabled: Vec<&str> = people
            .as_array()
            .into_iter()
            .flatten()
            .filter(|person| person["spec"]["state"] == "disabled")
            .filter_map(|person| person["name"].as_str())
            .collect();
        let ownerless =
            |row: &Value| row["spec"]["owner"].as_str().is_some_and(|owner| disabled.contains(&owner));
        setting.list_as(self.columns, &things, |mut row| {
            if row["spec"]["state"] == "active" && ownerless(&row) {
                row["spec"]["state"] = json!("active (owner disabled)");
            }
            row
        })
    }
}
