//! Where a request of HTTP/1 ends, and whom it is for: what a proxy in front may read in another way (threat class 24).
//!
//! hyper refuses most of what is ambiguous itself. Of a length beside a transfer coding it leaves nothing to see, so a
//! request with a coding is the last one of its connection, whatever else it said (RFC 9112, section 6.1): what follows
//! it there, by whichever reading, is never taken for a request.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, Version, header};
use serde_json::json;

/// What a request's head means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Others may follow it.
    Plain,
    /// It is served, and nothing after it.
    Last,
    /// It is not served, for this reason, and nothing after it.
    Wrong(&'static str),
}

impl Framing {
    pub(super) fn of(version: Version, headers: &HeaderMap) -> Self {
        if version > Version::HTTP_11 {
            return Self::Plain;
        }
        let hosts = headers.get_all(header::HOST).iter().count();
        // Probes of HTTP/1.0 name nobody.
        if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
            return Self::Wrong("a request has exactly one `Host`");
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) => Self::Plain,
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Self::Last,
            _ => Self::Wrong("the one `Transfer-Encoding` that is read is `chunked`"),
        }
    }
}

/// The answer to a request that is framed wrongly.
pub(super) fn refusal(why: &str) -> Response {
    metrics::counter!("writ_requests_misframed_total").increment(1);
    (StatusCode::BAD_REQUEST, Json(json!({ "code": "framing", "message": why }))).into_response()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, Version};

    use super::Framing;

    #[test]
    fn one_host_and_one_coding() {
        let of = |version, lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            Framing::of(version, &headers)
        };
        let (one, coding) = (("host", "a"), |value| ("transfer-encoding", value));
        assert_eq!(of(Version::HTTP_11, &[one]), Framing::Plain);
        assert_eq!(of(Version::HTTP_11, &[one, coding("Chunked")]), Framing::Last);
        assert_eq!(of(Version::HTTP_10, &[]), Framing::Plain);
        assert_eq!(of(Version::HTTP_2, &[]), Framing::Plain, "it has the name elsewhere");
        for wrong in [
            &[][..],
            &[one, ("host", "b")],
            &[one, coding("gzip, chunked")],
            &[one, coding("chunked"), coding("chunked")],
            &[one, coding("chunked"), coding("identity")],
        ] {
            assert!(matches!(of(Version::HTTP_11, wrong), Framing::Wrong(_)), "{wrong:?}");
        }
        assert!(matches!(of(Version::HTTP_10, &[one, one]), Framing::Wrong(_)));
    }
}
