//! Whoever guesses: how many guesses are looked at, however they are spelled and wherever they come from.

use super::{
    browser::{Browser, PASSWORD},
    single_use::{totp, with_totp},
};
use crate::{
    app::{Answer, App, ISSUER, each_database},
    client::headers,
};

/// Sends a form of a page from an address of its own.
async fn from(app: &App, address: usize, path: &str, form: &[(&str, &str)]) -> Answer {
    let headers = headers(&[("origin", ISSUER), ("x-forwarded-for", "127.0.0.1")]);
    app.form_from(&format!("198.51.100.{address}"), path, headers, form).await
}

/// The ticket of somebody whose password was right.
async fn half(app: &App, address: usize) -> String {
    let answer = from(app, address, "/login", &[("name", "ada"), ("password", PASSWORD)]).await;
    let mark = "name=\"ticket\" value=\"";
    answer
        .text
        .split(mark)
        .nth(1)
        .unwrap_or_else(|| panic!("{}", answer.text))
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn ten_thousand_wrong_codes_from_everywhere_are_ten_guesses() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        let (seed, _) = with_totp(&app, &mut ada).await;
        app.advance(3600).await;
        // Passwords and codes are counted apart: with the one spent, the other still leads to the question.
        let tickets = [half(&app, 1).await, half(&app, 2).await, half(&app, 3).await];
        let mut looked_at = 0;
        for guess in 0..10_000 {
            let wrong = format!("{guess:06}");
            let form = [("ticket", &tickets[guess % 3][..]), ("code", &wrong[..])];
            match from(&app, 1000 + guess, "/login/code", &form).await.status.as_u16() {
                // Lucky: another one for the count.
                303 | 401 => looked_at += 1,
                429 => {}
                other => panic!("{other}"),
            }
        }
        assert!(looked_at <= 10, "{looked_at} guesses were looked at");
        let right = totp(&seed, app.control.now());
        let form = [("ticket", &tickets[0][..]), ("code", &right[..])];
        assert_eq!(from(&app, 4, "/login/code", &form).await.status, 429, "the right one, too");
        let ticket = half(&app, 5).await;
        app.advance(60).await;
        let right = totp(&seed, app.control.now());
        let form = [("ticket", &ticket[..]), ("code", &right[..])];
        assert_eq!(from(&app, 6, "/login/code", &form).await.status, 303, "after a pause");
    })
    .await;
}

#[tokio::test]
async fn a_code_is_spent_however_it_is_written() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        let (seed, recovery) = with_totp(&app, &mut ada).await;
        app.advance(3600).await;
        let code = totp(&seed, app.control.now());
        let spaced = format!(" {} {}", &code[..3], &code[3..]);
        let ticket = half(&app, 1).await;
        let form = [("ticket", &ticket[..]), ("code", &spaced[..])];
        assert_eq!(from(&app, 2, "/login/code", &form).await.status, 303, "as apps show it");
        let wide: String = code.chars().map(|digit| char::from_u32(digit as u32 + 0xFEE0).unwrap()).collect();
        let first = recovery[0].replace('-', "");
        let (address, spelled) = (
            3,
            [
                code.clone(),
                spaced,
                wide,
                format!("0{code}"),
                format!("{code}\0"),
                format!("{code}.0"),
                format!("+{code}"),
            ],
        );
        for (at, again) in spelled.iter().enumerate() {
            let ticket = half(&app, address + at).await;
            let form = [("ticket", &ticket[..]), ("code", &again[..])];
            assert!(from(&app, 20 + at, "/login/code", &form).await.status.is_client_error(), "{again:?}");
            app.advance(2).await;
        }
        app.advance(600).await;
        let ticket = half(&app, 40).await;
        let form = [("ticket", &ticket[..]), ("code", &first[..])];
        assert_eq!(from(&app, 41, "/login/code", &form).await.status, 303);
        for (at, again) in
            [first.to_uppercase(), recovery[0].clone(), format!(" {} ", recovery[0])].iter().enumerate()
        {
            let ticket = half(&app, 50 + at).await;
            let form = [("ticket", &ticket[..]), ("code", &again[..])];
            assert_eq!(from(&app, 60 + at, "/login/code", &form).await.status, 401, "{again:?}");
        }
    })
    .await;
}

/// Hundreds of ways to write one name: what leads to the same person counts as that person, and nothing else leads anywhere.
#[tokio::test]
async fn a_name_has_one_count_however_it_is_written() {
    each_database(|app| async move {
        app.populate().await;
        drop(app.arrived("ada").await);
        let marks = [
            "", " ", "  ", "\t", "\n", "\u{a0}", "\u{2003}", "\u{200b}", "\u{feff}", "\u{301}", "%20", "\0",
            "/", ".",
        ];
        let letters = ["ada", "ADA", "Ada", "\u{430}da", "\u{ff41}da", "ad\u{e1}", "a\u{64}\u{61}"];
        let mut spelled = Vec::new();
        for letters in letters {
            for before in marks {
                spelled.extend(marks.map(|after| format!("{before}{letters}{after}")));
            }
        }
        assert!(spelled.len() > 500);
        let mut looked_at = 0;
        for (at, name) in spelled.iter().enumerate() {
            let form = [("name", &name[..]), ("password", PASSWORD)];
            let answer = from(&app, 1000 + at, "/login", &form).await;
            match answer.status.as_u16() {
                303 => looked_at += 1,
                401 | 429 | 400 => {}
                other => panic!("{other} for {name:?}"),
            }
        }
        assert!((1..=10).contains(&looked_at), "{looked_at} of them were looked at as hers");
        assert_eq!(Browser::default().sign_in(&app, "ada").await.status, 429);
    })
    .await;
}
