//! Label sets: what a person says about a server's tools, as a document.

use std::collections::BTreeMap;

use base::{Error, ServerId};
use policy::Effect;
use serde::{Deserialize, Serialize};

use super::{CatalogueRefusal, EffectSource, Tool};
use crate::{draft::Draft, snapshot::Snapshot};

/// What a document of kind `LabelSet` says: the labels of a server's tools. Its name is the server's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelSetSpec {
    /// For each tool, by the name the server gives it, what calling it does.
    #[schema(value_type = BTreeMap<String, String>)]
    pub effects: BTreeMap<String, Effect>,
}

/// Confirms the labels of tools; tools that are not named keep theirs.
pub fn apply_labels(draft: &mut Draft, server: &str, labels: &LabelSetSpec) -> Result<(), Error> {
    for (tool, &effect) in &labels.effects {
        let name = format!("{server}/{tool}");
        let known = draft.known();
        let thing =
            known.tools.named(&name).ok_or_else(|| CatalogueRefusal::no_such_tool(server, tool, known))?;
        let mut spec = thing.view(known).spec;
        spec.effect = effect;
        spec.effect_source = EffectSource::Confirmed;
        draft.put::<Tool>(&name, spec)?;
    }
    Ok(())
}

/// The labels of a server's tools that a person has confirmed.
pub fn labels_of(server: &ServerId, known: &Snapshot) -> LabelSetSpec {
    let confirmed = known
        .tools
        .iter()
        .filter(|tool| &tool.body.server == server && tool.body.effect_source == EffectSource::Confirmed);
    LabelSetSpec { effects: confirmed.map(|tool| (tool.body.tool.clone(), tool.body.effect)).collect() }
}
