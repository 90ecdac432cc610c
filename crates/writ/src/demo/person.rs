//! The step of a person: she signs in, lets a program act for her, sees it, and takes it back.

use anyhow::{Context as _, bail, ensure};
use base::Secret;
use serde_json::json;
use url::Url;
use wire::oauth::CodeChallenge;

use super::browser::{Browser, boxes, input};
use super::client::{Client, ClientError, Credential};
use super::screen::{Mark, Screen};
use super::stage::Stage;
use super::steps::{call, refused};
use crate::cli::environment::nonce;

/// The program that wants to act for Maya.
const CLIENT: &str = "helpdesk";
/// Where it wants its answer. Nobody listens there: a person's browser would go, and the code is read on the way.
const CALLBACK: &str = "http://127.0.0.1/callback";

/// Maya signs in at a page, lets a program read for an hour, sees what it did, and takes it back.
pub(super) async fn delegated(stage: &Stage, screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("Maya lets a program read tickets for her, and takes it back");
    let spec = json!({ "display_name": "Helpdesk", "redirect_uris": [CALLBACK] });
    stage.admin.put(&stage.admin.at(&["clients", CLIENT]), &spec).await?;
    let password = nonce();
    arrive(stage, &password).await?;
    Screen::say("maya came by a link that works once, and set a password");

    let mut browser = Browser::new(&stage.server.url);
    let (request, verifier) = request(stage, "")?;
    let page = browser.open(request.as_str()).await?.page("Helpdesk")?;
    let visit = input(&page, "visit")?;
    let form = [("name", "maya"), ("password", &*password), ("visit", &visit)];
    let page = browser.send("/login", &form).await?.page("May Helpdesk act for you?")?;
    let offered = boxes(&page);
    ensure!(
        offered.contains(&"effect_read") && offered.contains(&"effect_send"),
        "the page offers {offered:?}"
    );
    let visit = input(&page, "visit")?;
    let form = [
        ("visit", &*visit),
        ("effect_read", "yes"),
        ("seconds", "3600"),
        ("calls", "50"),
        ("decision", "allow"),
    ];
    let answer = browser.send("/consent", &form).await?.away()?;
    let code = answer.query_pairs().find(|(name, _)| name == "code").context("no code")?.1.into_owned();
    screen.mark(Mark::Holds, "she signs in and agrees: Helpdesk may read in the shop, for an hour, 50 calls");

    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", &*code),
        ("code_verifier", verifier.expose()),
        ("redirect_uri", CALLBACK),
    ];
    let endpoint = stage.server.url.join("/oauth2/token")?;
    let issued = stage.admin.form(endpoint.as_str(), &form, &[]).await?;
    let token = Secret::new(issued["access_token"].as_str().context("no token")?.to_owned());
    let client = Client::connect(&stage.gate(), Credential::Bearer(token)).await?;
    let read = call(&client, "read_ticket", json!({ "id": "4712" })).await?;
    ensure!(!read.is_error, "the program may not read: {}", read.text);
    screen.mark(Mark::Allow, "shop/read_ticket(4712), by helpdesk-maya for maya");
    declined(stage, screen, &mut browser, &client).await?;

    let page = browser.open("/account").await?.page("helpdesk-maya")?;
    ensure!(page.contains("shop/read_ticket"), "her page does not show the call");
    screen.mark(Mark::Holds, "under \"my access\" she sees the program, and what it did");
    let revoke = page.split("action=\"").filter_map(|rest| rest.split('"').next());
    let revoke = revoke.into_iter().find(|path| path.ends_with("/revoke")).context("nothing to take back")?;
    browser.send(revoke, &[]).await?.page("Helpdesk").err().context("the program is still on her page")?;
    let arrived = stage.shop.journal().calls_total();
    match client.call_tool("read_ticket", &json!({ "id": "4711" })).await {
        Err(ClientError::Refused { status, .. }) if status == http::StatusCode::UNAUTHORIZED => {
            screen.mark(Mark::Deny, &format!("taken back; the program's next call: {status}"));
        }
        Err(error) => bail!("the call afterwards was refused in an unexpected way: {error}"),
        Ok(_) => bail!("a call was answered after it was taken back"),
    }
    ensure!(stage.shop.journal().calls_total() == arrived, "that call reached the shop");
    let again = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT),
        ("refresh_token", issued["refresh_token"].as_str().context("no refresh token")?),
    ];
    ensure!(stage.admin.form(endpoint.as_str(), &again, &[]).await.is_err(), "it was renewed");
    screen.mark(Mark::Deny, "a renewed token: refused as well");
    Ok(())
}

/// What she left out is asked for when it is needed; she says no, and is not asked again.
async fn declined(
    stage: &Stage,
    screen: &mut Screen,
    browser: &mut Browser,
    client: &Client,
) -> anyhow::Result<()> {
    let mail = json!({ "to": "tomasz@nowak.example", "subject": "s", "body": "b" });
    match client.call_tool("send_mail", &mail).await {
        Err(ClientError::Refused { status: http::StatusCode::FORBIDDEN, challenge, .. })
            if challenge.contains("insufficient_scope") && challenge.contains("tools:send") => {}
        Err(error) => bail!("sending was refused in an unexpected way: {error}"),
        Ok(_) => bail!("a mail went out that she did not agree to"),
    }
    screen.mark(Mark::Deny, "shop/send_mail: insufficient_scope, her program may ask her for tools:send");
    let (request, _) = request(stage, "tools:send")?;
    let page = browser.open(request.as_str()).await?.page("It would also like to")?;
    ensure!(boxes(&page) == ["effect_send"], "the page offers {:?}", boxes(&page));
    let (visit, adds) = (input(&page, "visit")?, input(&page, "adds")?);
    let no = [("visit", &*visit), ("adds", &adds), ("decision", "deny")];
    let answer = browser.send("/consent", &no).await?.away()?;
    ensure!(answer.as_str().contains("error=access_denied"), "she said no, and the program hears {answer}");
    Screen::say("asked for that alone, maya says no");
    refused(screen, client, "send_mail", mail, "").await
}

/// Maya's first time: an administrator's link, and a password.
async fn arrive(stage: &Stage, password: &str) -> anyhow::Result<()> {
    let target = stage.admin.at(&["people", "maya", "invitations"]);
    let invited = stage.admin.post(&target, &json!({ "expires_seconds": 600 })).await?;
    let link = invited["url"].as_str().context("no link")?;
    let mut browser = Browser::new(&stage.server.url);
    let page = browser.open(link).await?.page("name=\"code\"")?;
    let code = input(&page, "code")?;
    browser.send("/join", &[("code", &code)]).await?.page("password")?;
    browser.send("/account/password", &[("password", password)]).await?;
    Ok(())
}

/// The program's request (RFC 6749, section 4.1.1, with RFC 7636 and RFC 8707), and its verifier.
fn request(stage: &Stage, scope: &str) -> anyhow::Result<(Url, Secret)> {
    let verifier = format!("{}{}", nonce(), nonce());
    let mut address = stage.server.url.join("/oauth2/authorize")?;
    address.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("state", &nonce()),
        ("code_challenge", CodeChallenge::of(&verifier).as_str()),
        ("code_challenge_method", "S256"),
        ("resource", &stage.gate()),
        ("scope", scope),
    ]);
    Ok((address, Secret::new(verifier)))
}
