//! A site that people sign in to, as the documentation of the crate `openidconnect` sets one up.
//!
//! relying-party ISSUER CLIENT SECRET REDIRECT: says where to send the person, reads from standard input where they came back,
//! and says who they are. Everything that the crate checks is checked: issuer, audience, nonce, signature, `at_hash`, `acr`.

use std::io::stdin;

use anyhow::{Context as _, Result, bail, ensure};
use openidconnect::{
    AccessTokenHash, AuthenticationContextClass, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl,
    Scope, TokenResponse as _,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims},
};

fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, id, secret, redirect] = given.as_slice() else {
        bail!("relying-party ISSUER CLIENT SECRET REDIRECT");
    };
    let metadata = CoreProviderMetadata::discover(&IssuerUrl::new(issuer.clone())?, &ask)?;
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(id.clone()),
        Some(ClientSecret::new(secret.clone())),
    )
    .set_redirect_uri(RedirectUrl::new(redirect.clone())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".into()))
        .add_scope(Scope::new("profile".into()))
        .add_scope(Scope::new("offline_access".into()))
        .add_auth_context_value(AuthenticationContextClass::new("urn:writ:acr:1fa".into()))
        .set_pkce_challenge(challenge)
        .url();
    println!("authorize {address}");

    let mut back = String::new();
    stdin().read_line(&mut back)?;
    let back = openidconnect::url::Url::parse(back.trim())?;
    let parameter = |name: &str| {
        let found = back.query_pairs().find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned()).with_context(|| format!("no `{name}` came back"))
    };
    ensure!(parameter("state")? == *state.secret(), "another state");
    ensure!(parameter("iss")? == *issuer, "another issuer");
    let code = AuthorizationCode::new(parameter("code")?);
    let tokens = client.exchange_code(code)?.set_pkce_verifier(verifier).request(&ask)?;

    let trusts = client.id_token_verifier();
    let id_token = tokens.id_token().context("no ID token")?;
    let claims = id_token.claims(&trusts, &nonce)?;
    let hash = AccessTokenHash::from_token(
        tokens.access_token(),
        id_token.signing_alg()?,
        id_token.signing_key(&trusts)?,
    )?;
    ensure!(claims.access_token_hash() == Some(&hash), "`at_hash` is another token's");
    let acr = claims.auth_context_ref().context("no `acr`")?;

    let subject = claims.subject().clone();
    let info: CoreUserInfoClaims =
        client.user_info(tokens.access_token().clone(), Some(subject.clone()))?.request(&ask)?;
    let refresh = tokens.refresh_token().context("no refresh token")?;
    let renewed = client.exchange_refresh_token(refresh)?.request(&ask)?;
    let again = renewed.id_token().context("no ID token after renewal")?;
    let later = again.claims(&trusts, |nonce: Option<&Nonce>| match nonce {
        None => Ok(()),
        Some(_) => Err("a renewed ID token has no nonce".to_owned()),
    })?;
    ensure!(*later.subject() == subject, "somebody else after renewal");
    ensure!(renewed.refresh_token().is_some_and(|next| next.secret() != refresh.secret()), "not rotated");
    let email = info.email().context("no address")?;
    println!("is {} {} {}", subject.as_str(), email.as_str(), acr.as_ref());
    Ok(())
}

/// Asks over HTTP, on this machine alone; an answer is an answer whatever its status.
fn ask(request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let (head, body) = agent.run(request)?.into_parts();
    Ok(HttpResponse::from_parts(head, body.into_with_config().read_to_vec()?))
}
