//! Forms that were posted to a page.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use wire::oauth::Form;

use super::{Guest, Trouble};
use crate::{
    control::Control,
    http::{read, stranger},
};

/// The largest form of a page, in bytes.
const FORM_BYTES_MAX: usize = 96 * 1024;

/// A form with whoever posted it. Made only when it came from a page of ours.
pub(crate) struct Posted {
    pub(crate) guest: Guest,
    pub(crate) form: Form,
}

impl Posted {
    /// The value of a field, empty where it is absent.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.form.get(name).unwrap_or_default()
    }
}

impl FromRequest<Control> for Posted {
    type Rejection = Trouble;

    async fn from_request(request: Request, control: &Control) -> Result<Self, Trouble> {
        let (parts, body) = request.into_parts();
        let mut guest = Guest::of(&parts, control).await?;
        // What was posted cannot be asked for again by a link.
        guest.here = String::new();
        if !is_own_page(&parts.headers, &control.settings().issuer()) {
            return Err(Trouble::Origin(guest.language));
        }
        let broken = Trouble::Broken(guest.language);
        let Ok(mut held) = read(&parts, body, stranger(&parts), FORM_BYTES_MAX).await else {
            return Err(broken);
        };
        let form = Form::parse(&held.take()).map_err(|_| broken)?;
        Ok(Self { guest, form })
    }
}

/// Whether the browser says that the request comes from a page at `origin`. A request that says neither comes from no
/// browser of today, and has no business with a form.
fn is_own_page(headers: &HeaderMap, origin: &str) -> bool {
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    if headers.contains_key(header::ORIGIN) {
        return only(header::ORIGIN.as_str()) == Some(origin);
    }
    only("sec-fetch-site") == Some("same-origin")
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::is_own_page;

    #[test]
    fn forms_come_from_pages_of_ours() {
        let comes = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            is_own_page(&map, "https://w.example")
        };
        assert!(comes(&[("origin", "https://w.example")]));
        assert!(comes(&[("origin", "https://w.example"), ("sec-fetch-site", "same-origin")]));
        assert!(comes(&[("sec-fetch-site", "same-origin")]));
        for foreign in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://w.example.evil.example")],
            &[("origin", "https://w.example/")],
            &[("origin", "http://w.example")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://w.example"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none")],
            &[("referer", "https://w.example/login")],
        ] {
            assert!(!comes(foreign), "{foreign:?}");
        }
    }
}
