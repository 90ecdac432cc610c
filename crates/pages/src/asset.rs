//! What pages refer to.

/// A file that pages refer to.
#[derive(Debug)]
pub struct Asset {
    /// Its path below `/assets/`.
    pub name: &'static str,
    /// Its media type.
    pub media: &'static str,
    /// Its content.
    pub content: &'static str,
}

/// All of them.
pub const ASSETS: [Asset; 3] = [
    Asset { name: "style.css", media: "text/css; charset=utf-8", content: STYLE },
    Asset { name: "passkey.js", media: "text/javascript; charset=utf-8", content: SCRIPT },
    Asset { name: "mark.svg", media: "image/svg+xml", content: include_str!("../assets/mark.svg") },
];

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/passkey.js");

/// The address of the style: another one when it changes, so that browsers may keep it.
pub(crate) const STYLE_VERSION: u64 = fnv(STYLE.as_bytes());
/// The same of the script.
pub(crate) const SCRIPT_VERSION: u64 = fnv(SCRIPT.as_bytes());

/// FNV-1a: tells versions of a file apart, and nothing else.
const fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}
