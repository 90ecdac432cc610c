use proptest::prelude::*;

use super::{Form, form, refused};
use crate::oauth::{ErrorCode, form::decode};

#[test]
fn values_are_decoded_and_empty_ones_count_as_absent() {
    let form = form("a=x+y%20%C3%A9%2B&b=&c&&d=1%3D2=3&%65=f");
    assert_eq!(form.get("a"), Some("x y é+"));
    assert_eq!((form.get("b"), form.get("c"), form.get("z")), (None, None, None));
    assert_eq!(form.get("d"), Some("1=2=3"));
    assert_eq!(form.get("e"), Some("f"));
    assert_eq!(
        refused(form.required("b")),
        (ErrorCode::InvalidRequest, "the parameter `b` is missing".into())
    );
}

#[test]
fn a_parameter_stands_once() {
    for body in ["a=1&a=2", "a=1&a=1", "a=1&%61=2", "a&a", "client_id=x&b=1&client_id=y"] {
        assert_eq!(refused(Form::parse(body.as_bytes())).0, ErrorCode::InvalidRequest, "{body}");
    }
    for body in ["resource=https://a&resource=https://b", "audience=a&audience=b"] {
        assert_eq!(refused(Form::parse(body.as_bytes())).0, ErrorCode::InvalidTarget, "{body}");
    }
}

#[test]
fn broken_bodies_are_refused() {
    let many: Vec<String> = (0..65).map(|n| format!("p{n}=1")).collect();
    let huge = format!("a={}", "x".repeat(1024 * 1024));
    let bodies: [&[u8]; 9] = [
        b"a=%",
        b"a=%4",
        b"a=%4g",
        b"a=%+1",
        b"a=%ff",
        b"a=\xff",
        b"a=%00",
        many.join("&").leak().as_bytes(),
        huge.leak().as_bytes(),
    ];
    for body in bodies {
        assert_eq!(
            refused(Form::parse(body)).0,
            ErrorCode::InvalidRequest,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    assert!(Form::parse(many[..64].join("&").as_bytes()).is_ok());
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", form("client_secret=hunter2&subject_token=eyJh"));
    assert!(
        printed.contains("client_secret") && !printed.contains("hunter2") && !printed.contains("eyJh"),
        "{printed}"
    );
    let (_, description) = refused(Form::parse(b"client_secret=hunter2&client_secret=hunter3"));
    assert!(!description.contains("hunter"), "{description}");
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(text in any::<String>()) {
        let encoded = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        prop_assert_eq!(decode(encoded.as_bytes()), Some(text).filter(|text| !text.contains('\0')));
    }

    #[test]
    fn agrees_with_the_lenient_parser_where_it_accepts(body in "[a-c]=[a-z+%0-9A-F]{0,8}(&[d-f]=[a-z+%0-9A-F]{0,8})?") {
        if let Ok(form) = Form::parse(body.as_bytes()) {
            for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
                prop_assert_eq!(form.get(&name).unwrap_or_default(), value);
            }
        }
    }
}
