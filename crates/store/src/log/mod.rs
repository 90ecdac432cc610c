//! The log: what a record is, and how records get their positions.

mod append;
mod ended;
mod head;
mod record;

pub(crate) use append::{Appended, append};
pub(crate) use head::{lock_head, read_head};
pub(crate) use record::Draft;

pub use ended::{Ended, Seen};
pub use head::Head;
pub use record::{Origin, Record};
