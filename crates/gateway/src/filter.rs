//! What a client of 2026-07-28 wants to be told.

use std::collections::BTreeSet;

use wire::{
    json::{Json, Object},
    mcp::{Notice, Notification, RpcError},
};

use crate::request::TEXT_BYTES_MAX;

/// How many resources one stream may be about.
pub(crate) const RESOURCES_MAX: usize = 64;

/// What a client wants to be told, or is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    pub(crate) uris: BTreeSet<String>,
}

const LISTS: [&str; 3] = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
const URIS: &str = "resourceSubscriptions";

impl Filter {
    pub(crate) fn read(filter: &Json) -> Result<Self, RpcError> {
        let invalid = |member: &str| {
            RpcError::invalid_params(format!("`params.notifications.{member}` has the wrong shape"))
        };
        let switch = |member: &str| match filter.get(member) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| invalid(member)),
        };
        let uris = match filter.get(URIS) {
            None => BTreeSet::new(),
            Some(uris) => {
                let uris = uris.as_array().ok_or_else(|| invalid(URIS))?;
                let text =
                    |uri: &Json| uri.as_str().filter(|uri| uri.len() <= TEXT_BYTES_MAX).map(str::to_owned);
                let read = uris.iter().map(text);
                read.collect::<Option<_>>().ok_or_else(|| invalid(URIS))?
            }
        };
        if uris.len() > RESOURCES_MAX {
            return Err(RpcError::invalid_params(format!(
                "a stream is about {RESOURCES_MAX} resources at most"
            )));
        }
        Ok(Self { tools: switch(LISTS[0])?, prompts: switch(LISTS[1])?, resources: switch(LISTS[2])?, uris })
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut members = Object::new();
        for (member, is_on) in LISTS.into_iter().zip([self.tools, self.prompts, self.resources]) {
            if is_on {
                members.insert(member, true);
            }
        }
        if !self.uris.is_empty() {
            members.insert(URIS, Json::array(self.uris.iter().map(String::as_str)));
        }
        Json::Object(members)
    }

    /// Whether a notification is one that was asked for. A server may name a part of a resource.
    pub(crate) fn admits(&self, notification: &Notification) -> bool {
        match Notice::parse(&notification.method) {
            Some(Notice::ToolsListChanged) => self.tools,
            Some(Notice::PromptsListChanged) => self.prompts,
            Some(Notice::ResourcesListChanged) => self.resources,
            Some(Notice::ResourcesUpdated) => {
                let uri = notification.param("uri").and_then(Json::as_str);
                uri.is_some_and(|uri| self.uris.iter().any(|asked| is_within(uri, asked)))
            }
            _ => false,
        }
    }

    /// Whether it is about lists.
    pub(crate) const fn has_lists(&self) -> bool {
        self.tools || self.prompts || self.resources
    }
}

/// Whether a URI is the one that was asked for, or one below it.
fn is_within(uri: &str, asked: &str) -> bool {
    uri.strip_prefix(asked)
        .is_some_and(|rest| rest.is_empty() || asked.ends_with('/') || rest.starts_with(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use wire::{
        json::Json,
        mcp::{Message, Notification},
    };

    use super::{Filter, is_within};

    fn filter(text: &str) -> Filter {
        Filter::read(&Json::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn notification(text: &str) -> Notification {
        match Message::parse(text.as_bytes()) {
            Ok(Message::Notification(notification)) => notification,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_filter_is_read_as_it_is_written() {
        let text = r#"{"toolsListChanged":true,"resourceSubscriptions":["a://x","b://y"]}"#;
        assert_eq!(filter(text).to_json().to_text(), text);
        assert_eq!(filter(r#"{"promptsListChanged":false,"future":1}"#), Filter::default());
        for wrong in [
            r#"{"toolsListChanged":1}"#,
            r#"{"resourceSubscriptions":"a"}"#,
            r#"{"resourceSubscriptions":[1]}"#,
        ] {
            assert!(Filter::read(&Json::parse(wrong.as_bytes()).unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_was_asked_for_passes() {
        let asked = filter(r#"{"toolsListChanged":true,"resourceSubscriptions":["a://x"]}"#);
        let updated = |uri: &str| {
            notification(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#
            ))
        };
        assert!(asked.admits(&updated("a://x")) && asked.admits(&updated("a://x/part")));
        assert!(!asked.admits(&updated("a://xy")) && !asked.admits(&updated("b://x")));
        let changed = |what: &str| {
            notification(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/{what}/list_changed"}}"#))
        };
        assert!(asked.admits(&changed("tools")) && !asked.admits(&changed("prompts")));
        assert!(!asked.admits(&notification(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#)));
        assert!(is_within("a://b/c", "a://b/") && !is_within("a://bc", "a://b"));
    }
}
