//! Entry bundles (C2SP tlog-tiles): entries one after another, each behind its length in two bytes.

/// Why bytes are not a bundle, or an entry does not fit one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end within an entry.
    #[error("the bundle ends within an entry")]
    Cut,
    /// An entry has more than 65,535 bytes.
    #[error("an entry has more than 65,535 bytes")]
    Long,
}

/// Writes entries as a bundle.
pub fn write_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, BundleError> {
    let mut out = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::Long)?;
        out.extend(length.to_be_bytes());
        out.extend(entry);
    }
    Ok(out)
}

/// Reads a bundle's entries.
pub fn read_bundle(mut bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut out = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>().ok_or(BundleError::Cut)?;
        let (entry, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(BundleError::Cut)?;
        out.push(entry);
        bundle = rest;
    }
    Ok(out)
}
