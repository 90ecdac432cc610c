//! The head row: the one place that gives positions.

use base::{Fault, Position, Timestamp};

use crate::{engine::Conn, value::Row};

/// Where the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last record.
    pub position: Position,
    /// The last record that may have taken authority away. A decision that was made before it is made again.
    pub guard: Position,
    /// The last record that changed any state. A change that was planned before it is planned again.
    pub state: Position,
    /// The last record's time. No later record is earlier.
    pub time: Timestamp,
    /// How often the log began: once, and again each time that an older database came back.
    pub generation: i64,
    /// When this generation began. Credentials that are older are dead.
    pub generation_started_at: Timestamp,
    /// The first record of this generation. Credentials made before it are dead.
    pub generation_position: Position,
    /// The last record's leaf hash; zeros before the first record.
    pub leaf: [u8; 32],
}

macro_rules! columns {
    () => {
        "position, guard_position, state_position, time, generation, generation_started_at, generation_position, leaf"
    };
}

/// Takes the lock that orders commits, and reads the head under it.
///
/// INVARIANT: this is the last lock of a transaction, held until its commit. That makes the order of positions
/// the order of commits, without gaps, on both databases.
pub(crate) async fn lock_head(conn: &mut Conn) -> Result<Head, Fault> {
    // The same text locks the row on PostgreSQL and is harmless on SQLite, where the writer is alone.
    const SQL: &str = concat!("update log_head set position = position where id = 1 returning ", columns!());
    from_row(conn.row(SQL, &[]).await?)
}

pub(crate) async fn read_head(conn: &mut Conn) -> Result<Head, Fault> {
    const SQL: &str = concat!("select ", columns!(), " from log_head where id = 1");
    from_row(conn.row(SQL, &[]).await?)
}

/// Writes the head back. The caller holds its lock.
pub(crate) async fn write_head(conn: &mut Conn, head: &Head) -> Result<(), Fault> {
    const SQL: &str = "update log_head set position = $1, guard_position = $2, state_position = $3, time = $4, \
                       generation = $5, generation_started_at = $6, generation_position = $7, leaf = $8 \
                       where id = 1";
    let args = [
        head.position.into(),
        head.guard.into(),
        head.state.into(),
        head.time.into(),
        head.generation.into(),
        head.generation_started_at.into(),
        head.generation_position.into(),
        head.leaf.into(),
    ];
    conn.exec(SQL, &args).await.map(drop)
}

fn from_row(row: Option<Row>) -> Result<Head, Fault> {
    let row = row.ok_or_else(|| Fault::new("reading the log's head", "the head row is missing"))?;
    Ok(Head {
        position: row.position(0)?,
        guard: row.position(1)?,
        state: row.position(2)?,
        time: row.time(3)?,
        generation: row.int(4)?,
        generation_started_at: row.time(5)?,
        generation_position: row.position(6)?,
        leaf: row.array(7)?,
    })
}
