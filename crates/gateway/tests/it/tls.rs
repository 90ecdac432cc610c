//! Servers with an authority of their own.

use std::sync::Arc;

use axum::{Router, routing::post as on_post};
use gateway::{Patience, Upstream};
use http::{StatusCode, header};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::{
    plane::TestPlane,
    servers::{GREETING, Server},
    world::{answer, initialize, limits, post, world_over},
};

/// An authority: its certificate as PEM, and what signs in its name.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that answers `initialize` over TLS, with a certificate for `localhost` by this authority.
async fn serve(authority: &CertifiedIssuer<'static, KeyPair>) -> std::net::SocketAddr {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let greet = |body: String| async move {
        let id = wire::json::Json::parse(body.as_bytes()).unwrap();
        let id = id.get("id").unwrap().to_text();
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{GREETING}}}"#);
        ([(header::CONTENT_TYPE, "application/json")], text)
    };
    let router = Router::new().route("/rpc", on_post(greet));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(router);
                let server = auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_is_trusted_by_its_own_authority_alone() {
    let (ours, other) = (authority("ours"), authority("other"));
    let address = serve(&ours).await;
    let dice = crate::plane::CountingDice::new();
    let upstream = |name: &str, authority: Option<String>| {
        let upstream = Upstream {
            id: base::ServerId::new(crate::plane::NOW, &dice),
            name: name.into(),
            url: format!("https://localhost:{}/rpc", address.port()).parse().unwrap(),
            patience: Patience::default(),
            answer_bytes_max: 100_000,
            passes: gateway::Passes::default(),
            authority: authority.map(Into::into),
        };
        (name.to_owned(), Arc::new(upstream))
    };
    let upstreams = [
        upstream("main", Some(ours.pem())),
        upstream("other", Some(other.pem())),
        upstream("public", None),
        upstream("none", Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into())),
    ];
    let world = world_over(TestPlane::new(upstreams.into()), Server::start(true).await, limits());
    for (name, code) in [
        ("main", ""),
        ("other", "upstream_unreachable"),
        ("public", "upstream_unreachable"),
        ("none", "upstream_authority"),
    ] {
        let mut request = post("alice", None, initialize());
        *request.uri_mut() = format!("/mcp/{name}").parse().unwrap();
        let answer = answer(world.send(request).await).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::OK, code), "{name}: {}", answer.text);
        assert_eq!(answer.text.contains("fixture"), code.is_empty(), "{name}");
    }
}
