//! Headers that a proxy would set, from whoever is none (threat class 26).

use crate::{
    node::{Node, On, Setup},
    web::Ask,
};

/// How many of a hundred tries to come in by a made-up link are looked at, each with another address in its headers.
async fn looked_at(node: &Node, header: impl Fn(usize) -> (&'static str, String)) -> usize {
    let mut looked_at = 0;
    for at in 0..100 {
        let (name, value) = header(at);
        let ask = Ask::new("POST", format!("{}/join", node.url())).form(&[("code", &"a".repeat(64))]);
        let answer = ask.header("origin", &node.url()).header(name, &value).send().await;
        match answer.status.as_u16() {
            400 | 401 | 404 | 410 => looked_at += 1,
            429 | 503 => {}
            _ => panic!("{}", answer.text()),
        }
    }
    looked_at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_where_they_come_from() {
    for name in [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x_forwarded_for",
    ] {
        let node = Node::start(On::Sqlite).await;
        let looked = looked_at(&node, |at| (name, format!("198.51.100.{at}"))).await;
        assert!(looked <= 70, "{looked} with `{name}`");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_says_it_and_its_clients_cannot() {
    let config = Some("trusted_proxies = [\"127.0.0.0/8\"]\n".to_owned());
    let node = Node::start_with(On::Sqlite, Setup { config, ..Setup::default() }).await;
    let each = looked_at(&node, |at| ("x-forwarded-for", format!("198.51.100.{at}"))).await;
    assert_eq!(each, 100, "each has tries of its own");
    let one = looked_at(&node, |at| ("x-forwarded-for", format!("198.51.100.{at}, 203.0.113.7"))).await;
    assert!(one <= 70, "{one} of one client that writes something before");
    let proxy = looked_at(&node, |at| ("x-forwarded-for", format!("nobody-{at}"))).await;
    assert!(proxy <= 70, "{proxy} of the proxy itself");
}
