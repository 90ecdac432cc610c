//! Reading stored values back.

use base::Fault;

/// A stored value that must be readable, since we wrote it: when it is not, the fault is ours or the disk's.
pub(crate) fn parsed<T, E>(value: Result<T, E>) -> Result<T, Fault>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    value.map_err(|error| Fault::new("reading a stored value", error))
}
