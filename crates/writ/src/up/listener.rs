//! The socket, plain or encrypted.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::{
    connection::{Host, Services},
    places::{Caps, Place, Places},
    proxies::Proxies,
};

/// The most bytes of a request's head. Two tokens of the longest kind fit.
const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// The most requests at once over one connection of HTTP/2: what RFC 9113, section 6.5.2, calls the least that does not
/// limit parallelism. Each may hold a head.
const STREAMS_MAX: u32 = 100;
/// What a peer may send of one body before anybody reads it (HTTP/2), in bytes.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// The same of all bodies of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// How many connections there may be, and how long one may do nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) general: Caps,
    pub(super) reserved: Caps,
    pub(super) idle: Duration,
}

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
        services: Services,
        room: Room,
        proxies: Proxies,
        mut stopped: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let places = Places::new(room.general, room.reserved);
        let (general, reserved) = (http(room.idle, STREAMS_MAX), http(room.idle, 1));
        let host = Host { general, reserved, services, proxies: proxies.into(), idle: room.idle };
        // Gone when the last connection is.
        let (stop, stopping) = watch::channel(false);
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stopped.wait_for(|&stopped| stopped) => break,
            };
            // Out of descriptors, or the client left already: neither ends the server.
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            // Closed at once: it would only wait, and what waits costs a descriptor.
            let Some(place) = places.take(peer.ip()) else {
                metrics::counter!("writ_connections_refused_total").increment(1);
                continue;
            };
            let (host, tls, stopping) = (host.clone(), self.tls.clone(), stopping.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = carry(host, stream, tls, &place, stopping) => {}
                    () = place.replaced() => {
                        metrics::counter!("writ_connections_refused_total").increment(1);
                    }
                }
            });
        }
        drop((self.socket, stopping));
        stop.send_replace(true);
        stop.closed().await;
        Ok(())
    }
}

/// HTTP/1 and HTTP/2 as they are spoken here.
fn http(idle: Duration, streams_max: u32) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    let head_bytes_max = usize::try_from(HEAD_BYTES_MAX).unwrap_or(usize::MAX);
    server.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(head_bytes_max);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_streams(streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    server
}

/// Serves one connection; its place is taken from the TLS handshake to the end.
async fn carry(
    host: Host,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    place: &Place,
    stopped: watch::Receiver<bool>,
) {
    drop(stream.set_nodelay(true));
    match tls {
        None => host.serve(stream, place, stopped).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(host.idle(place.lane()), tls.accept(stream)).await {
                host.serve(stream, place, stopped).await;
            }
        }
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
