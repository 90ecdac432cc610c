//! Lists, filtered to what the caller may use.

use std::collections::HashSet;

use wire::json::Json;

use crate::{Item, List, Plane, ToolDefinition, Upstream, upstream::Trouble};

/// Takes out of one page of a list what the caller does not get to see. Everything else about the page stays.
///
/// INVARIANT: definitions are reported before any of them is shown, so that a changed tool is already hidden from
/// the list that brings it (threat class 29).
pub(crate) async fn filter<P: Plane>(
    plane: &P,
    caller: &P::Caller,
    upstream: &Upstream,
    list: List,
    result: &mut Json,
) -> Result<(), Trouble> {
    let member = result.as_object_mut().and_then(|members| members.get_mut(list.member()));
    let Some(Json::Array(items)) = member else { return Err(Trouble::Garbage("a list without items")) };
    let read = std::mem::take(items);
    let shown = match list {
        List::Tools => tools(plane, caller, upstream, read).await?,
        List::Resources => named(read, "uri", |uri| plane.visible(caller, upstream, Item::Resource(uri)))?,
        List::ResourceTemplates => {
            named(read, "uriTemplate", |uri| plane.visible(caller, upstream, Item::ResourceTemplate(uri)))?
        }
        List::Prompts => named(read, "name", |name| plane.visible(caller, upstream, Item::Prompt(name)))?,
    };
    *items = shown;
    Ok(())
}

async fn tools<P: Plane>(
    plane: &P,
    caller: &P::Caller,
    upstream: &Upstream,
    items: Vec<Json>,
) -> Result<Vec<Json>, Trouble> {
    let mut definitions = Vec::with_capacity(items.len());
    for definition in items {
        let name = definition.get("name").and_then(Json::as_str);
        let name = name.ok_or(Trouble::Garbage("a tool without a name"))?.to_owned();
        definitions.push(ToolDefinition { name, definition });
    }
    let mut names = HashSet::new();
    if !definitions.iter().all(|definition| names.insert(definition.name.as_str())) {
        // Which of the two a call would reach, only the server knows.
        return Err(Trouble::Garbage("a list with two tools of one name"));
    }
    plane.observed(upstream, &definitions).await;
    definitions.retain(|definition| plane.visible(caller, upstream, Item::Tool(definition)));
    Ok(definitions.into_iter().map(|definition| definition.definition).collect())
}

fn named(mut items: Vec<Json>, member: &str, visible: impl Fn(&str) -> bool) -> Result<Vec<Json>, Trouble> {
    if items.iter().any(|item| item.get(member).and_then(Json::as_str).is_none()) {
        return Err(Trouble::Garbage("a listed item without its name"));
    }
    items.retain(|item| item.get(member).and_then(Json::as_str).is_some_and(&visible));
    Ok(items)
}
