//! What goes into a statement and what comes out of it.

use base::{AnyId, Fault, Name, Position, Timestamp};
use rusqlite::types::Value as Cell;
use sqlx::{Row as _, postgres::PgRow};

/// One parameter of a statement.
///
/// INVARIANT: a null keeps its type. PostgreSQL refuses a null of another type than the column's, and SQLite
/// does not care, so a text null bound to a bigint column would pass every test on SQLite alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `text`: texts, ids, names, documents.
    Text(Option<String>),
    /// `bigint` or `integer`: counts, positions, instants in milliseconds.
    Int(Option<i64>),
    /// `boolean`.
    Bool(Option<bool>),
    /// `bytea`.
    Bytes(Option<Vec<u8>>),
}

/// What can be bound as a [`Value`]. `Option`s of these bind as typed nulls.
pub trait Bind {
    /// The null of this type.
    const NULL: Value;

    /// The value.
    fn into_value(self) -> Value;
}

macro_rules! bind {
    ($($type:ty => $variant:ident, |$this:ident| $make:expr;)*) => {$(
        impl Bind for $type {
            const NULL: Value = Value::$variant(None);

            fn into_value(self) -> Value {
                let $this = self;
                Value::$variant(Some($make))
            }
        }
    )*};
}

bind! {
    &str => Text, |text| text.to_owned();
    String => Text, |text| text;
    &String => Text, |text| text.clone();
    Name => Text, |name| name.as_str().to_owned();
    &Name => Text, |name| name.as_str().to_owned();
    AnyId => Text, |id| id.as_str().to_owned();
    &AnyId => Text, |id| id.as_str().to_owned();
    i64 => Int, |number| number;
    i32 => Int, |number| i64::from(number);
    u32 => Int, |number| i64::from(number);
    Position => Int, |position| position.0;
    Timestamp => Int, |time| time.millis();
    bool => Bool, |flag| flag;
    &[u8] => Bytes, |bytes| bytes.to_vec();
    Vec<u8> => Bytes, |bytes| bytes;
    &Vec<u8> => Bytes, |bytes| bytes.clone();
}

macro_rules! bind_ids {
    ($($id:ident)*) => {
        bind! {$(
            base::$id => Text, |id| id.as_str().to_owned();
            &base::$id => Text, |id| id.as_str().to_owned();
        )*}
    };
}

bind_ids! {
    AgentId AuthenticatorId BlueprintId ClientId CredentialId DecisionId DelegationId GrantId GroupId KeyId PayloadId PersonId PolicyId RoleId SecretId
    ServerId SessionId TaskId TenantId TokenId ToolId WorkloadId
}

impl<const N: usize> Bind for [u8; N] {
    const NULL: Value = Value::Bytes(None);

    fn into_value(self) -> Value {
        Value::Bytes(Some(self.to_vec()))
    }
}

impl<const N: usize> Bind for &[u8; N] {
    const NULL: Value = Value::Bytes(None);

    fn into_value(self) -> Value {
        Value::Bytes(Some(self.to_vec()))
    }
}

impl<T: Bind> From<T> for Value {
    fn from(value: T) -> Self {
        value.into_value()
    }
}

impl<T: Bind> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(T::NULL, T::into_value)
    }
}

/// One row of an answer. Columns are read by index, in the order in which the statement names them.
///
/// Aggregates: `count(*)` is an integer on both databases; `sum(bigint)` is not, write `cast(sum(x) as bigint)`.
pub struct Row(pub(crate) Cells);

pub(crate) enum Cells {
    Sqlite(Vec<Cell>),
    Postgres(PgRow),
}

/// What a cell of SQLite's can be read as: SQLite has types of values, not of columns.
trait FromCell: Sized {
    fn from_cell(cell: &Cell) -> Option<Self>;

    fn from_cells(cells: &[Cell], column: usize) -> Result<Option<Self>, Fault> {
        let fault = |why: &str| Fault::new("reading a column", format!("column {column} {why}"));
        match cells.get(column) {
            None => Err(fault("does not exist")),
            Some(Cell::Null) => Ok(None),
            Some(cell) => Self::from_cell(cell).map(Some).ok_or_else(|| fault("is of another type")),
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.clone()) } else { None }
    }
}

impl FromCell for i64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Integer(number) = cell { Some(*number) } else { None }
    }
}

impl FromCell for bool {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Blob(bytes) = cell { Some(bytes.clone()) } else { None }
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $get:ident, $(#[$opt_doc:meta])* $opt:ident => $type:ty;)*) => {
        impl Row {$(
            $(#[$doc])*
            pub fn $get(&self, column: usize) -> Result<$type, Fault> {
                self.$opt(column)?.ok_or_else(|| {
                    Fault::new("reading a column", format!("column {column} is null where a value was expected"))
                })
            }

            $(#[$opt_doc])*
            pub fn $opt(&self, column: usize) -> Result<Option<$type>, Fault> {
                match &self.0 {
                    Cells::Sqlite(cells) => <$type>::from_cells(cells, column),
                    Cells::Postgres(row) => {
                        row.try_get_unchecked(column).map_err(|error| Fault::new("reading a column", error))
                    }
                }
            }
        )*}
    };
}

getters! {
    /// A text; a null is a fault.
    text, /** A text or null. */ opt_text => String;
    /// An integer; a null is a fault.
    int, /** An integer or null. */ opt_int => i64;
    /// A boolean; a null is a fault.
    bool, /** A boolean or null. */ opt_bool => bool;
    /// Bytes; a null is a fault.
    bytes, /** Bytes or null. */ opt_bytes => Vec<u8>;
}

impl Row {
    /// A text that has a stricter type: an id, a name. Text of another form is a fault, since only Writ writes it.
    pub fn parsed<T>(&self, column: usize) -> Result<T, Fault>
    where
        T: std::str::FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.text(column)?.parse().map_err(|error: T::Err| Fault::new("reading a column", error))
    }

    /// Like [`Row::parsed`], or null.
    pub fn opt_parsed<T>(&self, column: usize) -> Result<Option<T>, Fault>
    where
        T: std::str::FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(text) = self.opt_text(column)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| Fault::new("reading a column", error))
    }

    /// An instant; a null is a fault.
    pub fn time(&self, column: usize) -> Result<Timestamp, Fault> {
        self.int(column).map(Timestamp::from_millis)
    }

    /// An instant or null.
    pub fn opt_time(&self, column: usize) -> Result<Option<Timestamp>, Fault> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }

    /// A position; a null is a fault.
    pub fn position(&self, column: usize) -> Result<Position, Fault> {
        self.int(column).map(Position)
    }

    /// A position or null.
    pub fn opt_position(&self, column: usize) -> Result<Option<Position>, Fault> {
        Ok(self.opt_int(column)?.map(Position))
    }

    /// Exactly `N` bytes; another length or a null is a fault.
    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], Fault> {
        let bytes = self.bytes(column)?;
        <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| {
            Fault::new("reading a column", format!("{} bytes where {N} were expected", bytes.len()))
        })
    }
}
