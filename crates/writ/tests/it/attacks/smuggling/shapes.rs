//! Requests that two readers may take for different ones, as they go over the wire.

/// What is to come of a shape at Writ itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// So many calls are carried out, each with its own credential.
    Served(usize),
    /// Nothing is carried out.
    Refused,
}

/// One shape. `bytes` holds `{call}` for a call's body, `{len}` for its length, `{auth}` for the lines of the client's
/// credential, `{host}`, and `{evil}` for a whole second request that has no credential of its own.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) fate: Fate,
    pub(super) bytes: String,
}

const HEAD: &str = "POST /mcp/notes HTTP/1.1\r\nhost: {host}\r\n{auth}";
const LENGTH: &str = "content-length: {len}\r\n";
const CHUNKS: &str = "{hex}\r\n{call}\r\n0\r\n\r\n";

/// A call with these lines in its head, and this after the head.
fn shape(name: &'static str, fate: Fate, lines: &str, rest: &str) -> Shape {
    Shape { name, fate, bytes: format!("{HEAD}{lines}\r\n{rest}") }
}

fn whole(name: &'static str, fate: Fate, bytes: impl Into<String>) -> Shape {
    Shape { name, fate, bytes: bytes.into() }
}

/// All of them.
pub(super) fn shapes() -> Vec<Shape> {
    let mut all = vec![
        shape("plain", Served(1), LENGTH, "{call}"),
        shape("chunked", Served(1), "transfer-encoding: chunked\r\n", CHUNKS),
    ];
    all.extend(lengths());
    all.extend(codings());
    all.extend(chunks());
    all.extend(heads());
    all.extend(targets());
    all.extend(hosts());
    all.extend(followers());
    all
}

use Fate::{Refused, Served};

fn lengths() -> Vec<Shape> {
    let with = |name, fate, value: &str| shape(name, fate, &format!("content-length: {value}\r\n"), "{call}");
    vec![
        // Both readings of the same number are one.
        shape("length twice, the same", Served(1), &LENGTH.repeat(2), "{call}"),
        shape("length twice, another", Refused, &format!("{LENGTH}content-length: 0\r\n"), "{call}"),
        shape("length twice, another first", Refused, &format!("content-length: 0\r\n{LENGTH}"), "{call}"),
        with("length with plus", Refused, "+{len}"),
        with("length with minus", Refused, "-{len}"),
        with("length as list", Refused, "{len}, {len}"),
        with("length as list of two", Refused, "{len}, 0"),
        with("length in hex", Refused, "0x{hex}"),
        with("length with space within", Refused, "{len} 0"),
        with("length with letters", Refused, "{len}a"),
        with("length empty", Refused, ""),
        with("length with point", Refused, "{len}.0"),
        with("length beyond 64 bits", Refused, "18446744073709551616{len}"),
        with("length with underscore", Refused, "1_0"),
        shape("length name with space", Refused, "content-length : {len}\r\n", "{call}"),
        shape("length name with tab", Refused, "content-length\t: {len}\r\n", "{call}"),
        shape("length too short", Refused, "content-length: 10\r\n", "{call}"),
        shape("none, and a body", Refused, "", "{call}"),
        shape("length zero, and a request", Refused, "content-length: 0\r\n", "{evil}"),
        whole(
            "GET with a length",
            Served(0),
            "GET /livez HTTP/1.1\r\nhost: {host}\r\ncontent-length: {evil-len}\r\n\r\n{evil}",
        ),
    ]
}

fn codings() -> Vec<Shape> {
    let with = |name, fate, line: &str| shape(name, fate, &format!("{line}\r\n"), CHUNKS);
    // A reader by length takes what follows the chunks for the body's rest, one by coding for a request.
    let both = "content-length: {both}\r\n";
    let te = "transfer-encoding: chunked\r\n";
    vec![
        shape("length then coding", Served(1), &format!("{both}{te}"), "{hex}\r\n{call}\r\n0\r\n\r\n{evil}"),
        shape("coding then length", Served(1), &format!("{te}{both}"), "{hex}\r\n{call}\r\n0\r\n\r\n{evil}"),
        shape("length short, coding long", Served(1), &format!("content-length: 4\r\n{te}"), CHUNKS),
        shape("coding, and a length that is wrong", Served(1), &format!("{te}content-length: x\r\n"), CHUNKS),
        shape("coding, and a request", Served(1), te, "{hex}\r\n{call}\r\n0\r\n\r\n{evil}"),
        with("coding in capitals", Served(1), "TRANSFER-ENCODING: CHUNKED"),
        with("coding with tab before", Served(1), "transfer-encoding:\tchunked"),
        with("coding with x before", Refused, "transfer-encoding: xchunked"),
        with("coding quoted", Refused, "transfer-encoding: \"chunked\""),
        with("coding with parameter", Refused, "transfer-encoding: chunked;q=1"),
        with("coding gzip too", Refused, "transfer-encoding: gzip, chunked"),
        with("coding not last", Refused, "transfer-encoding: chunked, identity"),
        with("coding identity", Refused, "transfer-encoding: identity"),
        with("coding empty", Refused, "transfer-encoding:"),
        with("coding twice", Refused, "transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        with("coding twice, other last", Refused, "transfer-encoding: chunked\r\ntransfer-encoding: cow"),
        with("coding list of commas", Refused, "transfer-encoding: ,chunked"),
        with("coding name with space", Refused, "transfer-encoding : chunked"),
        with("coding folded", Refused, "transfer-encoding:\r\n chunked"),
        with("coding after folded line", Refused, "x: a\r\n transfer-encoding: chunked"),
        with("coding with vertical tab", Refused, "transfer-encoding: \x0bchunked"),
        with("coding with NUL", Refused, "transfer-encoding: chunked\0"),
        with("coding with an underscore", Refused, "transfer_encoding: chunked"),
        whole(
            "coding in HTTP/1.0",
            Refused,
            format!("POST /mcp/notes HTTP/1.0\r\nhost: {{host}}\r\n{{auth}}{te}\r\n{CHUNKS}"),
        ),
    ]
}

fn chunks() -> Vec<Shape> {
    let with = |name, fate, rest: &str| shape(name, fate, "transfer-encoding: chunked\r\n", rest);
    vec![
        with("chunk extension", Served(1), "{hex};a=b\r\n{call}\r\n0\r\n\r\n"),
        with("chunk extension quoted", Served(1), "{hex};a=\"b\"\r\n{call}\r\n0\r\n\r\n"),
        with("chunk extension with bare LF", Refused, "{hex};a\n{call}\r\n0\r\n\r\n"),
        with("chunk size with 0x", Refused, "0x{hex}\r\n{call}\r\n0\r\n\r\n"),
        with("chunk size with plus", Refused, "+{hex}\r\n{call}\r\n0\r\n\r\n"),
        with("chunk size with minus", Refused, "-{hex}\r\n{call}\r\n0\r\n\r\n"),
        with("chunk size empty", Refused, "\r\n{call}\r\n0\r\n\r\n"),
        with("chunk size beyond 64 bits", Refused, "10000000000000000{hex}\r\n{call}\r\n0\r\n\r\n"),
        with("chunk size with bare LF", Refused, "{hex}\n{call}\r\n0\r\n\r\n"),
        with("chunk size with bare CR", Refused, "{hex}\r{call}\r\n0\r\n\r\n"),
        with("chunk longer than it says", Refused, "1\r\n{call}\r\n0\r\n\r\n"),
        with("chunk without its end", Refused, "{hex}\r\n{call}0\r\n\r\n"),
        with("trailer with a length", Served(1), "{hex}\r\n{call}\r\n0\r\ncontent-length: 5\r\n\r\n"),
        with(
            "trailer with a credential",
            Served(1),
            "{hex}\r\n{call}\r\n0\r\nauthorization: Bearer x\r\n\r\n",
        ),
    ]
}

fn heads() -> Vec<Shape> {
    let with = |name, fate, line: &str| shape(name, fate, &format!("{line}{LENGTH}"), "{call}");
    vec![
        with("folded line", Refused, "x: a\r\n b\r\n"),
        with("NUL in a value", Refused, "x: a\0b\r\n"),
        with("bare CR in a value", Refused, "x: a\rb\r\n"),
        with("line without a colon", Refused, "x\r\n"),
        with("empty name", Refused, ": a\r\n"),
        with("name with space", Refused, "x y: a\r\n"),
        with("name not ASCII", Refused, "x\u{e9}: a\r\n"),
        with("space before the first line", Refused, " x: a\r\n"),
        // A lone LF ends a line for hyper as for nginx (RFC 9112, section 2.2); a CR alone ends none for either.
        with("bare LF ends a line", Served(1), "x: a\n"),
        with("101 header lines", Refused, &"x: a\r\n".repeat(101)),
        with("a line of 128 KiB", Refused, &format!("x: {}\r\n", "a".repeat(128 * 1024))),
        with(
            "upgrade to h2c",
            Served(1),
            "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        ),
        with("upgrade to websocket", Served(1), "connection: upgrade\r\nupgrade: websocket\r\n"),
        with("connection names the credential", Served(1), "connection: authorization\r\n"),
        with("connection names the length", Served(1), "connection: content-length\r\n"),
        with("expectation of another kind", Served(1), "expect: 200-ok\r\n"),
        with("credential twice", Refused, "authorization: Bearer x\r\n"),
        shape("expects to continue", Served(1), &format!("expect: 100-continue\r\n{LENGTH}"), "{call}"),
        whole("empty lines before", Served(1), format!("\r\n\r\n{HEAD}{LENGTH}\r\n{{call}}")),
        whole(
            "bare LF everywhere",
            Served(1),
            format!("{HEAD}{LENGTH}\r\n").replace("\r\n", "\n") + "{call}",
        ),
        whole("HTTP/0.9", Refused, "GET /mcp/notes\r\n\r\n"),
        whole("HTTP/1.2", Refused, format!("{HEAD}{LENGTH}\r\n{{call}}").replace("HTTP/1.1", "HTTP/1.2")),
        whole(
            "HTTP/2.0 in words",
            Refused,
            format!("{HEAD}{LENGTH}\r\n{{call}}").replace("HTTP/1.1", "HTTP/2.0"),
        ),
        whole("two spaces", Refused, format!("{HEAD}{LENGTH}\r\n{{call}}").replace("POST ", "POST  ")),
        whole(
            "space in the target",
            Refused,
            format!("{HEAD}{LENGTH}\r\n{{call}}").replace("/mcp/notes ", "/mcp/notes x "),
        ),
        whole(
            "method in small letters",
            Refused,
            format!("{HEAD}{LENGTH}\r\n{{call}}").replace("POST", "post"),
        ),
        whole("HTTP/1.0", Served(1), format!("{HEAD}{LENGTH}\r\n{{call}}").replace("HTTP/1.1", "HTTP/1.0")),
        whole(
            "HTTP/1.0, and a request",
            Served(1),
            format!("{HEAD}{LENGTH}\r\n{{call}}{{evil}}").replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
    ]
}

fn targets() -> Vec<Shape> {
    let to = |name, fate, target: &str| {
        let bytes = format!("{HEAD}{LENGTH}connection: close\r\n\r\n{{call}}");
        whole(name, fate, bytes.replacen("/mcp/notes", target, 1))
    };
    vec![
        to("absolute target, its own", Served(1), "http://{host}/mcp/notes"),
        to("absolute target, another's", Refused, "http://evil.example/mcp/notes"),
        to("absolute target with a user", Refused, "http://u:p@{host}/mcp/notes"),
        to("two slashes", Refused, "//mcp/notes"),
        to("two slashes within", Refused, "/mcp//notes"),
        to("slash at the end", Refused, "/mcp/notes/"),
        to("dots", Refused, "/mcp/other/../notes"),
        to("dots in code", Refused, "/mcp/notes%2f..%2fnotes"),
        to("dots half in code", Refused, "/mcp/%2e%2e/mcp/notes"),
        to("slash in code", Refused, "/mcp%2fnotes"),
        to("backslash", Refused, "/mcp\\notes"),
        to("NUL in code", Refused, "/mcp/notes%00"),
        to("parameters", Refused, "/mcp/notes;a=b"),
        to("capitals", Refused, "/MCP/notes"),
        to("fragment", Refused, "/mcp/notes%23"),
        to("no slash", Refused, "mcp/notes"),
        to("star", Refused, "*"),
        whole(
            "CONNECT",
            Refused,
            "CONNECT {host} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n{evil}",
        ),
    ]
}

fn hosts() -> Vec<Shape> {
    let with = |name, fate, lines: &str| {
        whole(
            name,
            fate,
            format!("POST /mcp/notes HTTP/1.1\r\n{lines}{{auth}}{LENGTH}connection: close\r\n\r\n{{call}}"),
        )
    };
    vec![
        with("no host", Refused, ""),
        with("host twice, the same", Refused, "host: {host}\r\nhost: {host}\r\n"),
        with("host twice, another", Refused, "host: {host}\r\nhost: evil.example\r\n"),
        with("host of another", Refused, "host: evil.example\r\n"),
        with("host as list", Refused, "host: {host}, evil.example\r\n"),
        with("host with a user", Refused, "host: evil@{host}\r\n"),
        with("host with a path", Refused, "host: {host}/x\r\n"),
        with("host empty", Refused, "host:\r\n"),
        with("host name with space", Refused, "host : {host}\r\n"),
    ]
}

/// What follows a whole request on its connection.
fn followers() -> Vec<Shape> {
    let first = format!("{HEAD}{LENGTH}\r\n{{call}}");
    vec![
        whole("two calls", Served(2), first.repeat(2)),
        whole("five calls", Served(5), first.repeat(5)),
        whole("a call, and one without a credential", Served(1), format!("{first}{{evil}}")),
        whole("a call, and rubbish", Served(1), format!("{first}\x01\x02\x03\x04 rubbish\r\n\r\n")),
        whole("a call, and HTTP/2", Served(1), format!("{first}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        whole(
            "a call that closes, and another",
            Served(1),
            format!("{HEAD}connection: close\r\n{LENGTH}\r\n{{call}}{first}"),
        ),
    ]
}
