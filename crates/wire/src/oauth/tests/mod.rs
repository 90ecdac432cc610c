mod answers;
mod client;
mod form;
mod request;
mod task;

use super::{ErrorCode, Form, OAuthError};

fn form(body: &str) -> Form {
    Form::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// The code and the description of a refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, OAuthError>) -> (ErrorCode, String) {
    let error = result.expect_err("must be refused");
    (error.code, error.description)
}
