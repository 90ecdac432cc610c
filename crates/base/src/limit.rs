//! Bounds that hold everywhere. A bound without a name is a bug that has not been found yet.

/// The largest JSON document accepted from outside, in bytes.
pub const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest message of a server, in bytes: pictures and files travel in them.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The deepest nesting of a JSON document.
pub const JSON_DEPTH_MAX: usize = 64;
/// The largest control-plane request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest OAuth form, in bytes. Forms are read before anybody is known. It admits the longest instruction in any
/// script, percent-encoded (three bytes for each), and beside it a scope and the longest tokens.
pub const FORM_BYTES_MAX: usize = 256 * 1024;
/// The largest compact JWS accepted anywhere, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The longest free text of one line: purpose, reason, display name, in bytes.
pub const LINE_BYTES_MAX: usize = 500;
/// The longest instruction of a task, in bytes.
pub const INSTRUCTION_BYTES_MAX: usize = 64 * 1024;
/// The deepest chain of tasks, counted from the root's 1.
pub const TASK_DEPTH_MAX: usize = 8;
/// The longest a task may live, in seconds: 30 days.
pub const TASK_SECONDS_MAX: i64 = 30 * 24 * 3600;
/// The longest an access token may live, in seconds.
pub const ACCESS_TOKEN_SECONDS_MAX: i64 = 3600;
/// The largest record of the log, in bytes; C2SP entry bundles hold 65,535 bytes per entry.
pub const RECORD_BYTES_MAX: usize = 60_000;
