//! What is asked, and of whom.

use bytes::Bytes;
use loadgen::{fail, loopback};
use serde_json::Value;

use crate::credential::Credential;

#[derive(Clone)]
pub(crate) enum Kind {
    Http { method: String, body: Bytes, ctype: String },
    Mcp { tool: String, args: Value, protocol: String, init: bool },
}

pub(crate) struct Target {
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) credential: Credential,
    pub(crate) expect: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) new_conn: bool,
}

impl Target {
    pub(crate) fn at(url: &str, kind: Kind) -> Target {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| fail("only http:// is supported"));
        let (authority, path) = match rest.find('/') {
            Some(i) => (&rest[..i], &rest[i..]),
            None => (rest, "/"),
        };
        let authority =
            if authority.contains(':') { authority.to_string() } else { format!("{authority}:80") };
        loopback(&authority);
        Target {
            authority,
            path: path.into(),
            kind,
            headers: vec![],
            credential: Credential::None,
            expect: None,
            status: None,
            new_conn: false,
        }
    }
}
