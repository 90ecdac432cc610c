use proptest::prelude::*;

use super::{Json, JsonErrorKind as Kind, Limits, Number, canonical_of};

fn parse(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(bytes: &[u8]) -> (Kind, usize) {
    let error = Json::parse(bytes).expect_err(&String::from_utf8_lossy(bytes));
    (error.kind, error.offset)
}

fn canonical(text: &str) -> String {
    String::from_utf8(parse(text).canonical()).unwrap()
}

#[test]
fn refuses_what_parsers_read_differently() {
    let cases: &[(&[u8], Kind, usize)] = &[
        (b"", Kind::UnexpectedEnd, 0),
        (b"   ", Kind::UnexpectedEnd, 3),
        (b"\xef\xbb\xbf{}", Kind::ByteOrderMark, 0),
        (b"{} {}", Kind::TrailingBytes, 3),
        (b"{}\0", Kind::TrailingBytes, 2),
        (b"\"\xff\"", Kind::InvalidUtf8, 1),
        (b"\"\xc0\xaf\"", Kind::InvalidUtf8, 1),
        (b"\"\xed\xa0\x80\"", Kind::InvalidUtf8, 1),
        (br#"{"a":1,"a":2}"#, Kind::DuplicateMember, 7),
        (br#"{"a":1,"\u0061":2}"#, Kind::DuplicateMember, 7),
        (br#"{"x":{"a":1,"b":{"a":1},"a":2}}"#, Kind::DuplicateMember, 24),
        (br#"{"":1,"":2}"#, Kind::DuplicateMember, 6),
        (br#""\ud800""#, Kind::LoneSurrogate, 1),
        (br#""\udc00\ud800""#, Kind::LoneSurrogate, 1),
        (br#""\ud800\ud800""#, Kind::LoneSurrogate, 1),
        (br#""\ud800\n""#, Kind::LoneSurrogate, 1),
        (br#""\x41""#, Kind::InvalidEscape, 1),
        (br#""\u00g0""#, Kind::InvalidEscape, 1),
        (br#""\u+041""#, Kind::InvalidEscape, 1),
        (br#""\u00"#, Kind::UnexpectedEnd, 5),
        (br#""\"#, Kind::UnexpectedEnd, 2),
        (b"\"a\nb\"", Kind::ControlCharacter, 2),
        (b"\"a", Kind::UnexpectedEnd, 2),
        (b"01", Kind::InvalidNumber, 0),
        (b"-01", Kind::InvalidNumber, 1),
        (b"-", Kind::UnexpectedEnd, 1),
        (b"-a", Kind::InvalidNumber, 1),
        (b"1.", Kind::UnexpectedEnd, 2),
        (b"1.e1", Kind::InvalidNumber, 2),
        (b"1e", Kind::UnexpectedEnd, 2),
        (b"1e+", Kind::UnexpectedEnd, 3),
        (b"+1", Kind::UnexpectedByte, 0),
        (b".5", Kind::UnexpectedByte, 0),
        (b"0x10", Kind::TrailingBytes, 1),
        (b"NaN", Kind::UnexpectedByte, 0),
        (b"nul", Kind::UnexpectedEnd, 3),
        (b"nulL", Kind::UnexpectedByte, 3),
        (b"[1,]", Kind::UnexpectedByte, 3),
        (b"[,1]", Kind::UnexpectedByte, 1),
        (b"[1 2]", Kind::UnexpectedByte, 3),
        (b"[1", Kind::UnexpectedEnd, 2),
        (b"{\"a\":1,}", Kind::UnexpectedByte, 7),
        (b"{a:1}", Kind::UnexpectedByte, 1),
        (b"{\"a\" 1}", Kind::UnexpectedByte, 5),
        (b"{'a':1}", Kind::UnexpectedByte, 1),
        (b"// c\n1", Kind::UnexpectedByte, 0),
        (b"[1]\x0c", Kind::TrailingBytes, 3),
        (b"\xc2\xa01", Kind::UnexpectedByte, 0),
    ];
    for &(bytes, kind, offset) in cases {
        assert_eq!(refusal(bytes), (kind, offset), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn duplicates_among_many_members_are_found_where_they_stand() {
    let members: Vec<String> = (0..5000).map(|n| format!("\"k{n}\":{n}")).collect();
    let good = format!("{{{}}}", members.join(","));
    assert_eq!(parse(&good).as_object().unwrap().len(), 5000);
    let bad = format!("{},\"k\\u0037\":0,\"k3\":0}}", &good[..good.len() - 1]);
    assert_eq!(refusal(bad.as_bytes()), (Kind::DuplicateMember, good.len()));
}

#[test]
fn limits_hold_and_their_edges_pass() {
    let limits = Limits { bytes: 20, depth: 2, values: 4, digits: 3, exponent: 9 };
    let with = |text: &str| Json::parse_with(text.as_bytes(), limits).map_err(|error| error.kind);
    assert!(with("[[1,2]]").is_ok());
    assert!(with("123e9").is_ok() && with("1.23e-9").is_ok() && with("1e0009").is_ok());
    assert_eq!(with("[[[]]]"), Err(Kind::TooDeep));
    assert_eq!(with("{\"a\":[{}]}"), Err(Kind::TooDeep));
    assert_eq!(with("[1,2,3,4]"), Err(Kind::TooManyValues));
    assert_eq!(with("1234"), Err(Kind::NumberTooLarge));
    assert_eq!(with("1.234"), Err(Kind::NumberTooLarge));
    assert_eq!(with("1e10"), Err(Kind::NumberTooLarge));
    assert_eq!(with("1e-99999999999999"), Err(Kind::NumberTooLarge));
    assert!(with(&format!("{:20}", 1)).is_ok());
    assert_eq!(with(&format!("{:21}", 1)), Err(Kind::TooLarge));
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Json::parse(deep(64).as_bytes()).is_ok());
    assert_eq!(refusal(deep(65).as_bytes()), (Kind::TooDeep, 64));
    assert_eq!(refusal("[".repeat(1_000_000).as_bytes()), (Kind::TooDeep, 64));
}

#[test]
fn strings_unescape_and_escape() {
    assert_eq!(
        parse(r#""\ud83d\ude00\u00e9\/\b\f\n\r\t\"\\\u0000""#).as_str(),
        Some("😀é/\u{8}\u{c}\n\r\t\"\\\0")
    );
    assert_eq!(parse(r#""\u007f\u0000\u001F\/é""#).to_text(), "\"\u{7f}\\u0000\\u001f/é\"");
}

#[test]
fn each_character_is_escaped_wherever_it_stands() {
    for (character, before) in
        (0..=0xff).flat_map(|code| (0..20).map(move |before| (char::from(code), before)))
    {
        let text = format!("{}{character}{}", "x".repeat(before), "y".repeat(12));
        assert_eq!(Json::from(text.as_str()).to_text(), serde_json::to_string(&text).unwrap(), "{text:?}");
    }
}

#[test]
fn numbers_keep_their_text_and_compare_by_value() {
    for text in
        ["-0", "0.1", "1.0", "1E400", "1e-400", "9223372036854775807", "9223372036854775808", "-0.0e-0"]
    {
        assert_eq!(parse(text).to_text(), text);
    }
    let number = |text: &str| Number::parse(text).unwrap();
    let ascending = [
        "-1e400",
        "-10",
        "-9.99",
        "-1e-400",
        "0",
        "1e-400",
        "0.1",
        "0.11",
        "0.2",
        "1",
        "9007199254740993",
        "1e17",
        "1e400",
    ];
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            assert_eq!(number(a).cmp(&number(b)), i.cmp(&j), "{a} {b}");
        }
    }
    for (a, b) in
        [("-0", "0"), ("1.0", "1"), ("100e-2", "1"), ("0.0e99", "0"), ("1e2", "100"), ("1.50", "15e-1")]
    {
        assert_eq!(number(a), number(b), "{a} {b}");
    }
    assert_ne!(number("9007199254740992"), number("9007199254740993"));
    assert_eq!(number("1e3").as_i64(), Some(1000));
    assert_eq!(number("9223372036854775808").as_i64(), None);
    assert_eq!(number("9223372036854775808").as_u64(), Some(1 << 63));
    assert_eq!(number("18446744073709551616").as_u64(), None);
    assert_eq!(number("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert_eq!(number("-1").as_u64(), None);
    assert_eq!(number("1.5").as_i64(), None);
    assert_eq!(number("1e1000").as_i64(), None);
    assert!(Number::parse("1 ").is_err() && Number::parse("").is_err() && Number::parse("1-").is_err());
}

#[test]
fn canonical_is_rfc_8785_with_exact_numbers() {
    // RFC 8785, section 3.2.2 to 3.2.4, with the sorting example of 3.2.3.
    assert_eq!(
        canonical(
            r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#
        ),
        r#"{"literals":[null,true,false],"numbers":[333333333.33333329,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
    );
    assert_eq!(
        canonical(r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#),
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
    );
    for (text, expected) in [
        ("-0", "0"),
        ("-0.0", "0"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("123456789012345678901", "123456789012345678901"),
        ("1234567890123456789012", "1.234567890123456789012e+21"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("-12.50e1", "-125"),
        ("9007199254740993", "9007199254740993"),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

#[test]
fn pointers_follow_rfc_6901() {
    let json = parse(r#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"~1":9,"é":[[7]]}"#);
    let at = |pointer: &str| json.pointer(pointer).map(Json::to_text);
    assert_eq!(at(""), Some(json.to_text()));
    for (pointer, expected) in
        [("/foo/0", "\"bar\""), ("/", "0"), ("/a~1b", "1"), ("/m~0n", "8"), ("/~01", "9"), ("/é/0/0", "7")]
    {
        assert_eq!(at(pointer).as_deref(), Some(expected), "{pointer}");
    }
    for pointer in
        ["foo", "/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/", "/m~n", "/m~2n", "/m~", "/foo/0/x"]
    {
        assert_eq!(at(pointer), None, "{pointer}");
    }
}

#[test]
fn objects_keep_names_distinct() {
    let mut object = parse(r#"{"b":1,"a":2}"#).into_object().unwrap();
    assert_eq!(object.insert("b", 3), Some(Json::from(1)));
    assert_eq!(object.insert("c", "x"), None);
    assert_eq!(object.remove("a"), Some(Json::from(2)));
    assert_eq!(Json::from(object).to_text(), r#"{"b":3,"c":"x"}"#);
    assert_eq!(
        Json::object([("k", 1.into()), ("l", true.into()), ("k", 2.into())]).to_text(),
        r#"{"k":2,"l":true}"#
    );
}

#[test]
fn serialises_exactly_or_not_at_all() {
    let value = serde_json::to_value(parse(r#"{"a":[1,-1,18446744073709551615,0.1,1.5e300,null,true,"x"]}"#))
        .unwrap();
    assert_eq!(value.to_string(), r#"{"a":[1,-1,18446744073709551615,0.1,1.5e+300,null,true,"x"]}"#);
    for inexact in ["18446744073709551616", "0.10000000000000000001", "1e400"] {
        // The first is 2^64, which a binary64 holds; its shortest print, 18446744073709552000, is another value.
        assert!(serde_json::to_string(&parse(inexact)).is_err(), "{inexact}");
    }
}

fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?".prop_map(|s| s),
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any_number().prop_map(|text| Json::Number(Number::parse(&text).unwrap())),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 64, 24, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            prop::collection::vec((any::<String>(), inner), 0..24)
                .prop_map(|members| { Json::Object(members.into_iter().collect()) }),
        ]
    })
}

/// Texts that are nearly JSON: tokens thrown together, so that both outcomes are common.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud800\"",
        "1",
        "-0",
        "1.5e3",
        "01",
        "true",
        "nul",
        " ",
        "\n",
        "\"",
        "\\",
        "é",
        "\u{1}",
    ]);
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn what_is_written_parses_to_the_same(json in any_json()) {
        let text = json.to_text();
        let again = Json::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&again, &json);
        prop_assert_eq!(again.to_text(), text);
    }

    #[test]
    fn canonical_is_a_fixed_point_and_keeps_the_value(json in any_json()) {
        let text = json.canonical();
        let again = Json::parse(&text).unwrap();
        prop_assert_eq!(&again, &json);
        prop_assert_eq!(again.canonical(), text);
    }

    #[test]
    fn numbers_are_equal_exactly_when_their_canonical_texts_are(a in any_number(), b in any_number()) {
        let (a, b) = (Number::parse(&a).unwrap(), Number::parse(&b).unwrap());
        prop_assert_eq!(a == b, a.canonical() == b.canonical());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    }

    #[test]
    fn spelling_a_number_otherwise_keeps_its_value(digits in 0_u64..1_000_000_000_000, shift in 0_usize..12, zeros in 0_usize..9) {
        let plain = Number::from(digits);
        let tail = "0".repeat(zeros);
        let point = if zeros == 0 { String::new() } else { format!(".{tail}") };
        let scaled = format!("{digits}{}{point}e-{shift}", "0".repeat(shift));
        let scaled = if digits == 0 { format!("0{point}e-{shift}") } else { scaled };
        let scaled = Number::parse(&scaled).unwrap();
        prop_assert_eq!(&scaled, &plain);
        prop_assert_eq!(scaled.as_u64(), Some(digits));
    }

    #[test]
    fn floats_print_as_rfc_8785_wants(float in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
        // ECMAScript prints the shortest digits that read back as the same float; so does Rust.
        let printed = String::from_utf8(canonical_of(&serde_json::json!(float))).unwrap();
        prop_assert!(printed.parse::<f64>().unwrap().total_cmp(&(float + 0.0)).is_eq());
        prop_assert!(!printed.contains('E') && !printed.ends_with(".0"));
    }

    #[test]
    fn accepts_nothing_that_serde_json_refuses(text in nearly_json()) {
        let ours = Json::parse(text.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, Json::from(theirs)),
            // It has no numbers beyond binary64; ours are exact.
            (Ok(_), Err(error)) => prop_assert!(error.to_string().starts_with("number out of range"), "{}", error),
            (Err(error), Ok(_)) => prop_assert_eq!(error.kind, Kind::DuplicateMember),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let ours = Json::parse(&bytes);
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        prop_assert!(ours.is_err() || theirs.is_ok());
    }
}
