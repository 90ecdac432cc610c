//! The socket, plain or encrypted.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// How long a client may take for its request's head, and for a TLS handshake.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// Connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A bound socket.
pub(super) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds the address; with a certificate, TLS 1.2 and 1.3.
    pub(super) async fn bind(address: SocketAddr, tls: Option<&(PathBuf, PathBuf)>) -> anyhow::Result<Self> {
        let tls = tls.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
        let socket = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen on {address}; is something else there? --listen 127.0.0.1:0 picks a free port"
            )
        })?;
        Ok(Self { socket, tls })
    }

    /// The address by which this machine reaches the socket.
    pub(super) fn url(&self) -> anyhow::Result<Url> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(Url::parse(&format!("{scheme}://{}", self.socket.local_addr()?))?)
    }

    /// Serves until `stopped` says so, then lets what is under way end.
    pub(super) async fn serve(
        self,
        router: Router,
        mut stopped: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(HEAD_BYTES_MAX);
        server.http2().timer(TokioTimer::new()).max_header_list_size(64 * 1024).max_concurrent_streams(256);
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { break };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stopped.wait_for(|&stopped| stopped) => break,
            };
            // Out of descriptors, or the client left already: neither ends the server.
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            drop(stream.set_nodelay(true));
            let (server, router, tls, watcher) =
                (server.clone(), router.clone(), self.tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                let _place = place;
                let Some(stream) = handshake(stream, tls).await else { return };
                let connection = server
                    .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router));
                if let Err(error) = watcher.watch(connection.into_owned()).await {
                    tracing::debug!(%error, "a connection ended badly");
                }
            });
        }
        drop(self.socket);
        graceful.shutdown().await;
        Ok(())
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn handshake(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match tokio::time::timeout(HEAD_WAIT, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(_)) | Err(_) => None,
    }
}

fn acceptor(certificate: &PathBuf, key: &PathBuf) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("`--tls-cert`: cannot read `{}`", certificate.display()))?;
    if chain.is_empty() {
        bail!("`--tls-cert`: `{}` holds no certificate", certificate.display());
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("`--tls-key`: cannot read `{}`", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .context("`--tls-key` does not belong to `--tls-cert`")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
