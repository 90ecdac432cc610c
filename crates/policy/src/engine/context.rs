//! The context of a request: arguments and circumstances as Cedar values, made by constructors only.
//!
//! SECURITY: Cedar's JSON forms accept duplicate keys and entity escapes; nothing here goes through JSON.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use cedar_policy_core::ast::{self, Literal, Value};
use wire::json::Json;

use super::{
    convert::{self, Converted, Unreadable, extension},
    rule::Rule,
    target::Target,
};
use crate::Circumstances;

/// The arguments of a call, as far as some candidate reads them.
#[derive(Debug)]
pub(crate) struct Arguments {
    converted: Converted,
    /// Whether some candidate reads the time, which costs more than the rest of the context.
    time_is_read: bool,
}

impl Arguments {
    pub(crate) fn new(target: &Target, arguments: &Json, candidates: &[&Rule]) -> Self {
        let none = BTreeMap::new();
        let fields = target.tool.as_ref().map_or(&none, |tool| &tool.arguments);
        let reads = |name: &str| candidates.iter().any(|rule| rule.reads.argument(name));
        let time_is_read = candidates.iter().any(|rule| rule.reads.now);
        Self { converted: convert::arguments(fields, arguments, reads), time_is_read }
    }

    /// The first argument that the policy reads and that could not be carried over, with the reason.
    pub(crate) fn unreadable_for(&self, rule: &Rule) -> Option<(&str, &Unreadable)> {
        self.converted
            .unreadable
            .iter()
            .find(|(name, _)| rule.reads.argument(name))
            .map(|(name, why)| (name.as_str(), why))
    }
}

/// The context: what [`super::schema`] declares. `None` only when the clock is beyond what Cedar can say.
pub(crate) fn build(
    circumstances: &Circumstances,
    arguments: &Arguments,
    for_person: bool,
) -> Option<ast::Context> {
    let now = if arguments.time_is_read {
        extension("datetime", &circumstances.now.to_string())?
    } else {
        NO_TIME.clone()
    };
    let long = |value: u64| Value::new(Literal::from(i64::try_from(value).unwrap_or(i64::MAX)), None);
    let mut task =
        vec![("purpose", circumstances.purpose.as_str().into()), ("depth", long(circumstances.depth.into()))];
    task.extend(circumstances.calls_left.map(|left| ("calls_left", long(left))));
    task.extend(circumstances.bytes_left.map(|left| ("bytes_left", long(left))));
    let unmapped = arguments.converted.unmapped.iter().map(|name| Literal::from(name.as_str()));
    let mut context = BTreeMap::from([
        ("arguments".into(), arguments.converted.record.clone()),
        ("unmapped".into(), Value::set_of_lits(unmapped, None)),
        ("task".into(), Value::record(task, None)),
        ("now".into(), now),
        ("for_person".into(), for_person.into()),
    ]);
    if let Some(acr) = &circumstances.acr {
        context.insert("acr".into(), acr.as_str().into());
    }
    Some(ast::Context::Value(Arc::new(context)))
}

/// Stands for the time where no candidate reads it. Not a time on purpose if Cedar could not make one: the request
/// would be refused as not fitting the schema.
static NO_TIME: LazyLock<Value> =
    LazyLock::new(|| extension("datetime", "1970-01-01T00:00:00Z").unwrap_or_else(|| Value::from("")));
