//! From a tool's JSON Schema to types that Cedar can check.
//!
//! | JSON Schema | Cedar |
//! |---|---|
//! | boolean, string | `Bool`, `String` |
//! | integer | `Long` |
//! | number | `decimal` (at most four digits after the point) |
//! | string `enum`, `const` | `String` |
//! | string, format `date-time`, `ipv4`, `ipv6` | `{text: String, time?: datetime}`, `{text: String, address?: ipaddr}` |
//! | object with properties | record; what is not required or can be null is optional, null is absent |
//! | object without properties | `{keys: Set<String>, digest: String}` |
//! | array | `{items: Set<T>, count: Long}` |
//! | type list, `anyOf`, `oneOf` | record with one optional field per branch |
//! | all else | `{text?, long?, decimal?, bool?, keys?, count?, digest}` |

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wire::json::{Json, Object};

/// The type of an argument, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Long,
    Decimal,
    Text,
    /// A text out of a list.
    Choice(Vec<String>),
    Time,
    Address,
    Record(BTreeMap<String, Field>),
    List(Box<Shape>),
    /// Named branches.
    Union(Vec<(String, Shape)>),
    /// An object of which nothing is known.
    Free,
    /// A value of which nothing is known.
    Any,
}

/// A member of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// The deepest nesting that is looked into; below is [`Shape::Any`]. Also ends recursive references.
const DEPTH_MAX: usize = 8;
/// The most parts of one schema that are looked into; the rest is [`Shape::Any`].
const PARTS_MAX: usize = 2_000;

/// The arguments of a tool with this `inputSchema`, by name.
pub(crate) fn arguments(schema: &Json) -> BTreeMap<String, Field> {
    let mut reader = Reader { root: schema, parts: 0 };
    match reader.resolve(schema, 0).and_then(Json::as_object) {
        Some(object) => reader.fields(object, 0),
        None => BTreeMap::new(),
    }
}

struct Reader<'a> {
    root: &'a Json,
    parts: usize,
}

impl<'a> Reader<'a> {
    /// The shape, and whether null is possible, too.
    fn read(&mut self, schema: &'a Json, depth: usize) -> (Shape, bool) {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX {
            return (Shape::Any, true);
        }
        let Some(object) = self.resolve(schema, 0).and_then(Json::as_object) else {
            return (Shape::Any, true);
        };
        if let Some(choices) = choices(object) {
            return choices;
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(branches) = object.get(word).and_then(Json::as_array) {
                return self.union(branches, depth);
            }
        }
        if let Some([only]) = object.get("allOf").and_then(Json::as_array) {
            return self.read(only, depth + 1);
        }
        // Two schemas at once, or a reference with company: nothing simple can be said.
        if object.contains("allOf") || object.contains("$ref") {
            return (Shape::Any, true);
        }
        match object.get("type") {
            Some(Json::String(word)) => self.one_type(word, object, depth),
            Some(Json::Array(words)) => {
                let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
                let shapes: Vec<_> = words.iter().map(|word| self.one_type(word, object, depth)).collect();
                join(shapes)
            }
            None if object.contains("properties") => self.one_type("object", object, depth),
            _ => (Shape::Any, true),
        }
    }

    fn one_type(&mut self, word: &str, object: &'a Object, depth: usize) -> (Shape, bool) {
        let shape = match word {
            "null" => return (Shape::Union(Vec::new()), true),
            "boolean" => Shape::Bool,
            "integer" => Shape::Long,
            "number" => Shape::Decimal,
            "string" => match object.get("format").and_then(Json::as_str) {
                Some("date-time") => Shape::Time,
                Some("ipv4" | "ipv6") => Shape::Address,
                _ => Shape::Text,
            },
            "array" => match object.get("items") {
                Some(items) => Shape::List(Box::new(self.read(items, depth + 1).0)),
                None => Shape::List(Box::new(Shape::Any)),
            },
            "object" => match object.get("properties").and_then(Json::as_object) {
                Some(properties) if !properties.is_empty() => Shape::Record(self.fields(object, depth)),
                _ => Shape::Free,
            },
            _ => return (Shape::Any, true),
        };
        (shape, false)
    }

    fn fields(&mut self, object: &'a Object, depth: usize) -> BTreeMap<String, Field> {
        let required: Vec<&str> = object
            .get("required")
            .and_then(Json::as_array)
            .unwrap_or_default()
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let Some(properties) = object.get("properties").and_then(Json::as_object) else {
            return BTreeMap::new();
        };
        properties
            .iter()
            .map(|(name, schema)| {
                let (shape, nullable) = self.read(schema, depth + 1);
                (name.to_owned(), Field { shape, required: !nullable && required.contains(&name) })
            })
            .collect()
    }

    fn union(&mut self, branches: &'a [Json], depth: usize) -> (Shape, bool) {
        let shapes: Vec<_> = branches.iter().map(|branch| self.read(branch, depth + 1)).collect();
        join(shapes)
    }

    /// Follows `$ref` within the document; anything else stays as it is.
    fn resolve(&self, schema: &'a Json, hops: usize) -> Option<&'a Json> {
        match schema.as_object() {
            Some(object) if object.len() == 1 && hops <= DEPTH_MAX => match object
                .get("$ref")
                .and_then(Json::as_str)
            {
                Some(reference) => self.resolve(self.root.pointer(reference.strip_prefix('#')?)?, hops + 1),
                None => Some(schema),
            },
            _ => Some(schema),
        }
    }
}

/// `enum` and `const`, when they hold only texts and perhaps null.
fn choices(object: &Object) -> Option<(Shape, bool)> {
    let values: Vec<&Json> = match (object.get("enum"), object.get("const")) {
        (Some(Json::Array(values)), _) => values.iter().collect(),
        (_, Some(value)) => vec![value],
        _ => return None,
    };
    let nullable = values.iter().any(|value| value.is_null());
    let texts: Vec<String> = values.iter().filter_map(|value| value.as_str()).map(str::to_owned).collect();
    let only_texts = !texts.is_empty() && texts.len() + usize::from(nullable) == values.len();
    only_texts.then_some((Shape::Choice(texts), nullable))
}

/// One shape for several: the only one when the others are null, else a union with a branch for each.
fn join(shapes: Vec<(Shape, bool)>) -> (Shape, bool) {
    let nullable = shapes.iter().any(|(_, nullable)| *nullable);
    let null = Shape::Union(Vec::new());
    let mut rest: Vec<Shape> =
        shapes.into_iter().map(|(shape, _)| shape).filter(|shape| *shape != null).collect();
    if rest.contains(&Shape::Any) {
        return (Shape::Any, true);
    }
    if rest.len() == 1 {
        return (rest.remove(0), nullable);
    }
    let mut branches: Vec<(String, Shape)> = Vec::new();
    for shape in rest {
        let word = shape.branch();
        let same = branches.iter().filter(|(_, other)| other.branch() == word).count();
        let name = if same == 0 { word.to_owned() } else { format!("{word}_{}", same + 1) };
        branches.push((name, shape));
    }
    (Shape::Union(branches), nullable)
}

impl Shape {
    /// The name of this shape's branch in a union.
    const fn branch(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Long => "long",
            Self::Decimal => "decimal",
            Self::Text | Self::Choice(_) => "text",
            Self::Time => "time",
            Self::Address => "address",
            Self::Record(_) | Self::Free => "object",
            Self::List(_) => "array",
            Self::Union(_) | Self::Any => "any",
        }
    }

    /// The type in Cedar's JSON schema format.
    pub(crate) fn cedar(&self) -> Value {
        match self {
            Self::Bool => json!({"type": "Boolean"}),
            Self::Long => json!({"type": "Long"}),
            Self::Decimal => json!({"type": "Extension", "name": "decimal"}),
            Self::Text | Self::Choice(_) => json!({"type": "String"}),
            Self::Time => record([
                ("text", Self::Text.cedar(), true),
                ("time", json!({"type": "Extension", "name": "datetime"}), false),
            ]),
            Self::Address => record([
                ("text", Self::Text.cedar(), true),
                ("address", json!({"type": "Extension", "name": "ipaddr"}), false),
            ]),
            Self::Record(fields) => record_of(fields),
            Self::List(item) => record([
                ("items", json!({"type": "Set", "element": item.cedar()}), true),
                ("count", Self::Long.cedar(), true),
            ]),
            Self::Union(branches) => {
                record(branches.iter().map(|(name, shape)| (name.as_str(), shape.cedar(), false)))
            }
            Self::Free => record([("keys", texts(), true), ("digest", Self::Text.cedar(), true)]),
            Self::Any => record([
                ("text", Self::Text.cedar(), false),
                ("long", Self::Long.cedar(), false),
                ("decimal", Self::Decimal.cedar(), false),
                ("bool", Self::Bool.cedar(), false),
                ("keys", texts(), false),
                ("count", Self::Long.cedar(), false),
                ("digest", Self::Text.cedar(), true),
            ]),
        }
    }
}

/// A record of these fields in Cedar's JSON schema format.
pub(crate) fn record_of(fields: &BTreeMap<String, Field>) -> Value {
    record(fields.iter().map(|(name, field)| (name.as_str(), field.shape.cedar(), field.required)))
}

/// A record in Cedar's JSON schema format, from names, types and whether they are required.
pub(crate) fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Value, bool)>) -> Value {
    let attributes: serde_json::Map<String, Value> = fields
        .into_iter()
        .map(|(name, mut ty, required)| {
            if let Some(object) = ty.as_object_mut() {
                object.insert("required".to_owned(), Value::Bool(required));
            }
            (name.to_owned(), ty)
        })
        .collect();
    json!({"type": "Record", "attributes": attributes})
}

/// A set of texts in Cedar's JSON schema format.
pub(crate) fn texts() -> Value {
    json!({"type": "Set", "element": {"type": "String"}})
}
