//! Notifications: which of a server's reach a client, and those that the gate makes itself.

use wire::{
    json::{Json, Object},
    mcp::{Id, Notice, Notification, meta},
};

/// Notifications of servers that any stream of a session carries.
pub(crate) const fn is_carried_unasked(notice: Notice) -> bool {
    matches!(
        notice,
        Notice::ToolsListChanged
            | Notice::ResourcesListChanged
            | Notice::ResourcesUpdated
            | Notice::PromptsListChanged
            | Notice::ElicitationComplete
            | Notice::TasksStatus
    )
}

/// How grave a level of the log is (RFC 5424, section 6.2.1). One that nobody knows is the least.
pub(crate) fn severity(level: &str) -> usize {
    let levels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    levels.iter().position(|known| *known == level).unwrap_or_default()
}

/// `notifications/cancelled` under the id that the other side knows.
pub(crate) fn cancellation(number: i64) -> Notification {
    notice(Notice::Cancelled, [("requestId", Json::from(number))])
}

/// Says that a session is open.
pub(crate) fn opened() -> Notification {
    Notification { method: Notice::Initialized.as_str().to_owned(), params: None, rest: Object::new() }
}

/// Marks a notification as one of a subscription.
pub(crate) fn mark(notification: &mut Notification, subscription: &Id) {
    let params = notification.params.get_or_insert_with(|| Json::object::<&str, 0>([]));
    let Some(params) = params.as_object_mut() else { return };
    if !params.contains("_meta") {
        params.insert("_meta", Object::new());
    }
    if let Some(meta) = params.get_mut("_meta").and_then(Json::as_object_mut) {
        meta.insert(meta::SUBSCRIPTION_ID, subscription.to_json());
    }
}

/// A notification of ours.
pub(crate) fn notice<const N: usize>(notice: Notice, params: [(&str, Json); N]) -> Notification {
    Notification {
        method: notice.as_str().to_owned(),
        params: Some(Json::object(params)),
        rest: Object::new(),
    }
}
