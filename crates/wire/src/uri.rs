//! URLs that every parser reads alike.

use url::Url;

/// The longest URI accepted, in bytes.
const URI_BYTES_MAX: usize = 4096;

/// An absolute `http` or `https` URL, normalised (case of scheme and host, default port, dot segments, an empty path
/// as `/`). `None` for anything else, and for user information, backslashes, spaces, control characters and
/// non-ASCII, which URL parsers repair in different ways.
pub(crate) fn strict_url(text: &str) -> Option<Url> {
    let suspicious = |byte: u8| byte <= b' ' || byte == b'\\' || byte >= 0x7f;
    let authority = text.split_once("://")?.1;
    if text.len() > URI_BYTES_MAX || text.bytes().any(suspicious) || authority.starts_with(['/', '?', '#']) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let plain =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    // An empty user name leaves no trace in the parsed value.
    let authority = authority.split(['/', '?', '#']).next()?;
    (plain && !authority.contains('@')).then_some(url)
}
