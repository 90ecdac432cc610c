//! Two nodes on one database: a person begins at one and goes on at the other.

use super::browser::{Browser, PASSWORD, all_of, redeem, refresh, request};
use crate::app::each_database;

#[tokio::test]
async fn a_person_begins_at_one_node_and_goes_on_at_another() {
    each_database(|one| async move {
        one.populate().await;
        one.public_client("helper").await;
        one.entitle("ada").await;
        drop(one.arrived("ada").await);
        let other = one.second_node().await;
        let mut ada = Browser::default();
        // Asked at one, signed in at the other, agreed at the first.
        let seen = ada.get(&one, &request("helper", &[])).await;
        let login = ada.follow(&one, seen).await;
        let visit = login.hidden("visit");
        let form = [("name", "ada"), ("password", PASSWORD), ("visit", &visit)];
        let seen = ada.post(&other, "/login", &form).await;
        one.catch_up(&other).await;
        let page = ada.follow(&one, seen).await;
        let form = all_of(&page);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let code = ada.post(&one, "/consent", &form).await.parameter("code").unwrap();
        other.catch_up(&one).await;
        let answer = redeem(&other, "helper", &code).await;
        let token = answer.token();
        one.catch_up(&other).await;
        assert!(one.caller(&token, "crm").is_ok() && other.caller(&token, "crm").is_ok());
        assert_eq!(redeem(&one, "helper", &code).await.error(), "invalid_grant", "spent at the other");
        // That was a second time: everything that came of it is over, at both.
        other.catch_up(&one).await;
        assert!(one.caller(&token, "crm").is_err() && other.caller(&token, "crm").is_err());
        let renewed = refresh(&other, "helper", answer.body["refresh_token"].as_str().unwrap()).await;
        assert_eq!(renewed.error(), "invalid_grant");
        // Signing out at one is signing out at both.
        assert_eq!(ada.get(&other, "/account").await.status, 200);
        let mut before = Browser::with_cookie(ada.cookie().unwrap());
        ada.post(&one, "/logout", &[]).await;
        other.catch_up(&one).await;
        let seen = before.get(&other, "/account").await;
        assert!(seen.location.unwrap().starts_with("/login"), "the cookie of before is worth nothing");
    })
    .await;
}
