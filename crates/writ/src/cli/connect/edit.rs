//! One entry is put into a client's file, or taken out of it; all else in the file, comments included, stays as it is.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use toml_edit::{DocumentMut, Item, Table};

use super::client::{Entry, Language, Value};

/// The most levels of brackets that a file is read with: the parser goes down with each.
const DEPTH_MAX: usize = 200;

/// What an edit came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edited {
    /// The file as it is to be.
    Text(String),
    /// The same, and somebody else's entry is not in it any more.
    Instead(String),
    /// Nothing is to be done.
    Same,
}

/// Why a file is left alone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is not what the client would read, or not unambiguously.
    #[error("{0}")]
    Form(String),
    /// The entry is of another server.
    #[error("`{name}` is of `{url}` there")]
    Other { name: String, url: String },
}

/// Where an entry is, or is to be.
pub(super) struct Place<'a> {
    pub(super) language: Language,
    /// The member that lists the servers.
    pub(super) list: &'a str,
    pub(super) name: &'a str,
    /// Whether an entry of another server may be lost.
    pub(super) force: bool,
}

fn form(what: impl Into<String>) -> Refused {
    Refused::Form(what.into())
}

/// `text` with the entry in it. What a person added to an entry of the same server stays.
pub(super) fn put(text: &str, place: &Place<'_>, entry: &Entry) -> Result<Edited, Refused> {
    let (edited, instead) = match place.language {
        Language::Json => put_json(text, place, entry)?,
        Language::Toml => put_toml(text, place, entry)?,
    };
    Ok(if edited == text {
        Edited::Same
    } else if instead {
        Edited::Instead(edited)
    } else {
        Edited::Text(edited)
    })
}

/// `text` without the entry.
pub(super) fn take(text: &str, place: &Place<'_>, entry: &Entry) -> Result<Edited, Refused> {
    let edited = match place.language {
        Language::Json => take_json(text, place, entry)?,
        Language::Toml => take_toml(text, place, entry)?,
    };
    Ok(if edited == text { Edited::Same } else { Edited::Text(edited) })
}

/// Whether an entry is of another server, which only `force` lets go.
fn is_other(place: &Place<'_>, found: Option<String>, entry: &Entry) -> Result<bool, Refused> {
    if found.as_deref() == Some(&entry.url) {
        return Ok(false);
    }
    if place.force {
        return Ok(true);
    }
    let url = found.unwrap_or_else(|| "a server without this member for an address".to_owned());
    Err(Refused::Other { name: place.name.to_owned(), url })
}

fn read_json(text: &str) -> Result<CstRootNode, Refused> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(form(format!("it has more than {DEPTH_MAX} levels of brackets")));
        }
    }
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    CstRootNode::parse(text, &options).map_err(|error| form(format!("it is no JSON: {error}")))
}

/// The member of this name. SECURITY: of two, this program and the client could take different ones.
fn member(object: &CstObject, name: &str) -> Result<Option<CstObjectProp>, Refused> {
    let mut found: Vec<_> = object
        .properties()
        .into_iter()
        .filter(|property| property.decoded_name().is_some_and(|found| found == name))
        .collect();
    if found.len() > 1 {
        return Err(form(format!("`{name}` is there twice")));
    }
    Ok(found.pop())
}

/// The object that a member holds.
fn object(object: &CstObject, name: &str) -> Result<Option<CstObject>, Refused> {
    let Some(found) = member(object, name)? else { return Ok(None) };
    found.object_value().map(Some).ok_or_else(|| form(format!("`{name}` is no object there")))
}

fn text_of(object: &CstObject, name: &str) -> Result<Option<String>, Refused> {
    let value = member(object, name)?.and_then(|found| found.value());
    Ok(value.and_then(|value| value.as_string_lit()).and_then(|text| text.decoded_value().ok()))
}

fn json_of(value: &Value) -> CstInputValue {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Authorization(text) => {
            CstInputValue::Object(vec![("Authorization".to_owned(), text.as_str().into())])
        }
    }
}

fn put_json(text: &str, place: &Place<'_>, entry: &Entry) -> Result<(String, bool), Refused> {
    let root = read_json(text)?;
    let whole = match (root.value(), root.object_value()) {
        (None, _) => root.object_value_or_set(),
        (_, Some(whole)) => whole,
        (Some(_), None) => return Err(form("it holds no object")),
    };
    let list = match object(&whole, place.list)? {
        Some(list) => list,
        None => whole.append(place.list, CstInputValue::Object(Vec::new())).object_value_or_set(),
    };
    let mut instead = false;
    let known = match member(&list, place.name)? {
        None => None,
        Some(found) => {
            let known = found.object_value();
            let url = known.as_ref().map(|known| text_of(known, entry.url_key)).transpose()?.flatten();
            instead = is_other(place, url, entry)?;
            if instead {
                found.remove();
            }
            known.filter(|_| !instead)
        }
    };
    let Some(known) = known else {
        let members = entry.members.iter().map(|(name, value)| ((*name).to_owned(), json_of(value)));
        list.append(place.name, CstInputValue::Object(members.collect()));
        return Ok((ended(root.to_string()), instead));
    };
    for (name, value) in &entry.members {
        set_json(&known, name, value)?;
    }
    Ok((root.to_string(), instead))
}

/// Sets a member to what it is to be; where it is that already, not a byte changes. Other headers stay.
fn set_json(within: &CstObject, name: &str, value: &Value) -> Result<(), Refused> {
    if let Value::Authorization(text) = value
        && let Some(headers) = object(within, name)?
    {
        return set_json(&headers, "Authorization", &Value::Text(text.clone()));
    }
    let Some(found) = member(within, name)? else {
        within.append(name, json_of(value));
        return Ok(());
    };
    let is_it = match (value, found.value()) {
        (Value::Text(text), Some(held)) => {
            held.as_string_lit().and_then(|held| held.decoded_value().ok()).as_ref() == Some(text)
        }
        (Value::Flag(flag), Some(held)) => held.as_boolean_lit().is_some_and(|held| held.value() == *flag),
        (Value::Authorization(_), _) | (_, None) => false,
    };
    if !is_it {
        found.set_value(json_of(value));
    }
    Ok(())
}

fn take_json(text: &str, place: &Place<'_>, entry: &Entry) -> Result<String, Refused> {
    let root = read_json(text)?;
    let Some(whole) = root.object_value() else { return Ok(text.to_owned()) };
    let Some(list) = object(&whole, place.list)? else { return Ok(text.to_owned()) };
    let Some(found) = member(&list, place.name)? else { return Ok(text.to_owned()) };
    let url = found.object_value().map(|known| text_of(&known, entry.url_key)).transpose()?.flatten();
    is_other(place, url, entry)?;
    found.remove();
    Ok(root.to_string())
}

/// A file ends with the end of a line.
fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn read_toml(text: &str) -> Result<DocumentMut, Refused> {
    // The error as a whole shows a line of the file, and with it perhaps a token.
    text.parse().map_err(|error: toml_edit::TomlError| form(format!("it is no TOML: {}", error.message())))
}

/// The table of servers, where it is written as one: `[mcp_servers.NAME]`.
fn servers<'a>(document: &'a mut DocumentMut, list: &str) -> Result<Option<&'a mut Table>, Refused> {
    let Some(item) = document.get_mut(list) else { return Ok(None) };
    let table = item.as_table_mut().filter(|table| !table.is_dotted());
    table.map(Some).ok_or_else(|| form(format!("`{list}` is not written as `[{list}.NAME]`")))
}

fn toml_of(value: &Value) -> toml_edit::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Authorization(text) => {
            toml_edit::InlineTable::from_iter([("Authorization", text.as_str())]).into()
        }
    }
}

fn url_in(item: &Item, key: &str) -> Option<String> {
    item.get(key).and_then(Item::as_str).map(str::to_owned)
}

fn put_toml(text: &str, place: &Place<'_>, entry: &Entry) -> Result<(String, bool), Refused> {
    let mut document = read_toml(text)?;
    if servers(&mut document, place.list)?.is_none() {
        let mut list = Table::new();
        list.set_implicit(true);
        document.insert(place.list, Item::Table(list));
    }
    let Some(list) = servers(&mut document, place.list)? else { return Err(form("it cannot be added to")) };
    let mut instead = false;
    if let Some(found) = list.get_mut(place.name) {
        instead = is_other(place, url_in(found, entry.url_key), entry)?;
        if !instead {
            let known =
                found.as_table_like_mut().ok_or_else(|| form(format!("`{}` is no table", place.name)))?;
            for (name, value) in &entry.members {
                set_toml(known, name, value);
            }
            return Ok((document.to_string(), false));
        }
    }
    let mut table = Table::new();
    for (name, value) in &entry.members {
        table.insert(name, Item::Value(toml_of(value)));
    }
    if !instead && !text.trim().is_empty() {
        table.decor_mut().set_prefix("\n");
    }
    list.insert(place.name, Item::Table(table));
    Ok((document.to_string(), instead))
}

fn set_toml(within: &mut dyn toml_edit::TableLike, name: &str, value: &Value) {
    if let (Value::Authorization(text), Some(headers)) =
        (value, within.get_mut(name).and_then(Item::as_table_like_mut))
    {
        set_toml(headers, "Authorization", &Value::Text(text.clone()));
        return;
    }
    let is_it = match (value, within.get(name)) {
        (Value::Text(text), Some(held)) => held.as_str() == Some(text),
        (Value::Flag(flag), Some(held)) => held.as_bool() == Some(*flag),
        (Value::Authorization(_), _) | (_, None) => false,
    };
    if !is_it {
        within.insert(name, Item::Value(toml_of(value)));
    }
}

fn take_toml(text: &str, place: &Place<'_>, entry: &Entry) -> Result<String, Refused> {
    let mut document = read_toml(text)?;
    let Some(list) = servers(&mut document, place.list)? else { return Ok(text.to_owned()) };
    let Some(found) = list.get(place.name) else { return Ok(text.to_owned()) };
    is_other(place, url_in(found, entry.url_key), entry)?;
    list.remove(place.name);
    if list.is_empty() && list.is_implicit() {
        document.remove(place.list);
    }
    Ok(document.to_string())
}
