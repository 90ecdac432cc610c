//! How a command ends: exit codes, and what is said when it does not go well.

use http::StatusCode;

use crate::api_client::ApiError;

/// The exit codes. They are documented, tested, and never mean anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Denied by policy or for want of permission.
    Denied = 3,
    /// A login or token is needed.
    Login = 4,
    /// A person must agree first.
    Pending = 5,
    /// A verification failed: of the log, or of what is compared.
    Unverified = 6,
    /// Somebody or something else stands in the way.
    Conflict = 7,
    /// The server is not there, or busy.
    Unavailable = 8,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked: what happened and why, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Trouble {
    /// With which code the process ends.
    pub(crate) exit: Exit,
    /// What happened and why.
    pub(crate) what: String,
    /// What to do next, where that is known.
    pub(crate) help: Option<String>,
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Trouble>;

impl Trouble {
    /// Trouble without advice.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), help: None }
    }

    /// An argument or a file that cannot be used.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// With advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("`{}`: {error}", path.display()))
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        let what = error.to_string();
        match error {
            ApiError::Address(..) | ApiError::Trust(..) | ApiError::Token => Self::usage(what),
            ApiError::Unreachable { why, .. } if why.contains("certificate") => Self::new(Exit::Unavailable, what)
                .help("name the certificates to trust with --ca-file; one that signs itself must not say that it is a CA"),
            ApiError::Unreachable { .. } | ApiError::Silent(_) => {
                Self::new(Exit::Unavailable, what).help("is the server up? `writ doctor` looks closer")
            }
            ApiError::SignedOut(_) => Self::new(Exit::Login, what).help("`writ login`"),
            ApiError::Refused { status, help, .. } => Self { exit: exit_of(status), what, help },
            ApiError::Malformed(_) => Self::new(Exit::Failed, what).help("check the address: `writ status`"),
        }
    }
}

/// An error with its causes, each said once: many an error repeats its cause in its own words.
pub(crate) fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The exit code of an HTTP status.
fn exit_of(status: StatusCode) -> Exit {
    match status {
        StatusCode::UNAUTHORIZED => Exit::Login,
        StatusCode::FORBIDDEN => Exit::Denied,
        StatusCode::CONFLICT => Exit::Conflict,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::with_causes;

    #[test]
    fn each_cause_is_said_once() {
        let inner = std::io::Error::other("connection refused");
        let fault = base::Fault::new("opening the database", inner);
        let error = Err::<(), _>(fault).context("starting").unwrap_err();
        assert_eq!(with_causes(&error), "starting: opening the database: connection refused");
    }
}
