//! From the arguments of a call to Cedar values, exactly or not at all.
//!
//! Cedar knows no floats, no null and no integers outside 64 bits, and a forbid that finds an attribute absent does
//! not match. So what cannot be carried over exactly is named: [`Converted::unreadable`]. The engine refuses the act
//! when a forbid reads such an argument, and passes over a permit that does.
//!
//! INVARIANT: a placeholder stands only where no evaluated policy reads: for arguments that are unreadable, and for
//! those that no candidate names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use aws_lc_rs::digest::{SHA256, digest};
use cedar_policy_core::{
    ast::{Literal, Name, Value},
    extensions::Extensions,
};
use wire::json::{Json, Number, Object};

use super::shape::{Field, Shape};

/// Arguments as Cedar sees them.
#[derive(Debug)]
pub(crate) struct Converted {
    /// The record of the arguments.
    pub(crate) record: Value,
    /// The arguments that could not be carried over, with the reason.
    pub(crate) unreadable: BTreeMap<String, Unreadable>,
    /// Their names and those of arguments that the schema does not have; sorted.
    pub(crate) unmapped: BTreeSet<String>,
}

/// Why an argument could not be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It does not fit the schema.
    Mismatch(String),
    /// Its value has no exact form in Cedar.
    Inexact(&'static str),
}

type Carried = Result<Value, Unreadable>;

/// Carries over the arguments that `reads` names; the others are left out or get placeholders.
pub(crate) fn arguments(
    fields: &BTreeMap<String, Field>,
    value: &Json,
    reads: impl Fn(&str) -> bool,
) -> Converted {
    let empty = Object::new();
    let object = value.as_object().unwrap_or(&empty);
    let mut record = Vec::new();
    let mut unreadable = BTreeMap::new();
    for (name, field) in fields {
        let given = object.get(name).filter(|value| !value.is_null());
        let carried = match given {
            Some(given) if reads(name) => carry(&field.shape, given).map(Some),
            None if field.required && reads(name) => Err(mismatch("it is required", "it is missing")),
            _ => Ok(None),
        };
        match carried {
            Ok(Some(value)) => record.push((name.as_str(), value)),
            Ok(None) if !field.required => {}
            Ok(None) => record.push((name, placeholder(&field.shape))),
            Err(why) => {
                unreadable.insert(name.clone(), why);
                if field.required {
                    record.push((name, placeholder(&field.shape)));
                }
            }
        }
    }
    let undeclared = object.names().filter(|name| !fields.contains_key(*name)).map(str::to_owned);
    let unmapped = unreadable.keys().cloned().chain(undeclared).collect();
    Converted { record: Value::record(record, None), unreadable, unmapped }
}

fn carry(shape: &Shape, value: &Json) -> Carried {
    match (shape, value) {
        (Shape::Bool, Json::Bool(value)) => Ok((*value).into()),
        (Shape::Long, Json::Number(number)) => long(number),
        (Shape::Decimal, Json::Number(number)) => decimal(number),
        (Shape::Text, Json::String(text)) => Ok(text.as_str().into()),
        (Shape::Choice(choices), Json::String(text)) => {
            if choices.contains(text) {
                Ok(text.as_str().into())
            } else {
                Err(mismatch("it must be one of the schema's choices", "it is another text"))
            }
        }
        (Shape::Time, Json::String(text)) => {
            let time = extension("datetime", &cedar_time(text).ok_or(INEXACT_TIME)?).ok_or(INEXACT_TIME)?;
            Ok(Value::record([("text", text.as_str().into()), ("time", time)], None))
        }
        (Shape::Address, Json::String(text)) => {
            let address =
                extension("ip", text).ok_or(Unreadable::Inexact("write the address in its usual form"))?;
            Ok(Value::record([("text", text.as_str().into()), ("address", address)], None))
        }
        (Shape::Record(fields), Json::Object(object)) => nested(fields, object),
        (Shape::List(item), Json::Array(items)) => {
            let values = items.iter().map(|value| carry(item, value)).collect::<Result<Vec<_>, _>>()?;
            Ok(Value::record([("items", Value::set(values, None)), ("count", count(items.len()))], None))
        }
        (Shape::Union(branches), _) => union(branches, value),
        (Shape::Free, Json::Object(object)) => {
            Ok(Value::record([("keys", keys(object)), ("digest", digest_of(value))], None))
        }
        (Shape::Any, _) => any(value),
        _ => Err(mismatch(expected(shape), &format!("it is {}", value.kind()))),
    }
}

/// Each branch that fits is filled, so that a rule on any of them sees the value. One branch that fits but cannot be
/// carried over makes the whole unreadable: a rule on it would be blind.
fn union(branches: &[(String, Shape)], value: &Json) -> Carried {
    let mut record = Vec::new();
    for (name, shape) in branches {
        match carry(shape, value) {
            Ok(value) => record.push((name.as_str(), value)),
            Err(Unreadable::Mismatch(_)) => {}
            Err(inexact) => return Err(inexact),
        }
    }
    if record.is_empty() && !value.is_null() {
        return Err(mismatch("it must fit one of the schema's branches", &format!("it is {}", value.kind())));
    }
    Ok(Value::record(record, None))
}

fn nested(fields: &BTreeMap<String, Field>, object: &Object) -> Carried {
    let mut record = Vec::new();
    for (name, field) in fields {
        match object.get(name).filter(|value| !value.is_null()) {
            Some(value) => record.push((name.as_str(), carry(&field.shape, value)?)),
            None if field.required => {
                return Err(mismatch("all its required members must be there", "one is missing"));
            }
            None => {}
        }
    }
    Ok(Value::record(record, None))
}

fn any(value: &Json) -> Carried {
    let mut record = vec![("digest", digest_of(value))];
    match value {
        Json::Null => {}
        Json::Bool(truth) => record.push(("bool", (*truth).into())),
        Json::String(text) => record.push(("text", text.as_str().into())),
        Json::Array(items) => record.push(("count", count(items.len()))),
        Json::Object(object) => record.push(("keys", keys(object))),
        Json::Number(number) => {
            if number.is_integer() {
                record.push(("long", long(number)?));
            }
            // A whole number that no decimal can hold is still exact as `long`.
            match decimal(number) {
                Ok(value) => record.push(("decimal", value)),
                Err(_) if number.is_integer() => return Err(Unreadable::Inexact("use a smaller number")),
                Err(why) => return Err(why),
            }
        }
    }
    Ok(Value::record(record, None))
}

fn long(number: &Number) -> Carried {
    match number.as_i64() {
        Some(value) => Ok(Value::new(Literal::from(value), None)),
        None if number.is_integer() => Err(Unreadable::Inexact("use an integer of at most 64 bits")),
        None => Err(mismatch("it must be an integer", "it is a fraction")),
    }
}

fn decimal(number: &Number) -> Carried {
    const INEXACT: Unreadable =
        Unreadable::Inexact("use at most 4 digits after the point and an amount below 922337203685477");
    let text = number.canonical();
    let text = if text.contains(['.', 'e']) { text } else { format!("{text}.0").into() };
    extension("decimal", &text).ok_or(INEXACT)
}

const INEXACT_TIME: Unreadable = Unreadable::Inexact("write the time as `2026-11-22T15:04:05Z`");

/// RFC 3339 in the form that Cedar reads: no colon in the offset, exactly three digits of a fraction.
fn cedar_time(text: &str) -> Option<String> {
    let (head, zone) = if let Some(head) = text.strip_suffix(['Z', 'z']) {
        (head, "Z".to_owned())
    } else {
        let (head, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
        (head, zone.replacen(':', "", 1))
    };
    let (date, time) = head.split_once(['T', 't'])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    // Finer than a millisecond would be cut off, and a rule on the boundary would be wrong.
    let (kept, rest) = fraction.split_at_checked(fraction.len().min(3))?;
    if rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Some(format!("{date}T{time}.{kept:0<3}{zone}"))
}

/// The value that the extension's constructor makes of `text`, if it accepts it.
pub(crate) fn extension(constructor: &'static str, text: &str) -> Option<Value> {
    let name = CONSTRUCTORS.get(constructor)?;
    let function = Extensions::all_available().func(name).ok()?;
    Value::try_from(function.call(&[text.into()]).ok()?).ok()
}

static CONSTRUCTORS: LazyLock<BTreeMap<&'static str, Name>> = LazyLock::new(|| {
    ["decimal", "datetime", "ip"].into_iter().filter_map(|name| Some((name, name.parse().ok()?))).collect()
});

fn count(length: usize) -> Value {
    Value::new(Literal::from(i64::try_from(length).unwrap_or(i64::MAX)), None)
}

fn keys(object: &Object) -> Value {
    Value::set_of_lits(object.names().map(Literal::from), None)
}

/// The SHA-256 of the canonical text, in hexadecimal.
fn digest_of(value: &Json) -> Value {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, &value.canonical()).as_ref() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.as_str().into()
}

fn mismatch(wanted: &str, found: &str) -> Unreadable {
    Unreadable::Mismatch(format!("{wanted}, but {found}"))
}

const fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "it must be a boolean",
        Shape::Long => "it must be an integer",
        Shape::Decimal => "it must be a number",
        Shape::Text | Shape::Choice(_) | Shape::Time | Shape::Address => "it must be a string",
        Shape::Record(_) | Shape::Free => "it must be an object",
        Shape::List(_) => "it must be an array",
        Shape::Union(_) | Shape::Any => "it must fit the schema",
    }
}

/// A value of the right type that says nothing.
fn placeholder(shape: &Shape) -> Value {
    let text = || Value::from("");
    match shape {
        Shape::Bool => false.into(),
        Shape::Long => count(0),
        Shape::Decimal => ZERO.clone(),
        Shape::Text | Shape::Choice(_) => text(),
        Shape::Time | Shape::Address => Value::record([("text", text())], None),
        Shape::Record(fields) => Value::record(
            fields
                .iter()
                .filter(|(_, field)| field.required)
                .map(|(name, field)| (name.as_str(), placeholder(&field.shape))),
            None,
        ),
        Shape::List(_) => Value::record([("items", Value::empty_set(None)), ("count", count(0))], None),
        Shape::Union(_) => Value::empty_record(None),
        Shape::Free => Value::record([("keys", Value::empty_set(None)), ("digest", text())], None),
        Shape::Any => Value::record([("digest", text())], None),
    }
}

static ZERO: LazyLock<Value> =
    LazyLock::new(|| extension("decimal", "0.0").unwrap_or_else(|| Value::from("")));
