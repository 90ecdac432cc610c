//! Mail: through a server, or into a folder where there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use base::Secret;
use control::login::{Mail, Post};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::{
    authentication::Credentials,
    client::{self, Certificate, TlsParameters},
};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::Deserialize;

/// How mail goes out: the table `mail` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailOptions {
    /// Who it comes from, for example `Writ <writ@example.com>`.
    from: String,
    /// The server.
    #[serde(default)]
    smtp: Option<Smtp>,
    /// A folder, for development: one file a letter.
    #[serde(default)]
    folder: Option<PathBuf>,
}

/// A server for mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Smtp {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    /// How the line is encrypted.
    #[serde(default)]
    tls: Tls,
    /// Authorities of one's own, PEM, beside the public ones.
    #[serde(default)]
    authorities: Option<PathBuf>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
}

/// How the line to a server for mail is encrypted.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tls {
    /// From the first byte (RFC 8314).
    #[default]
    Implicit,
    /// By STARTTLS, without which nothing is sent.
    Starttls,
    /// Not at all: for a server on this machine.
    None,
}

impl MailOptions {
    /// The way that mail goes.
    pub(crate) fn post(&self) -> anyhow::Result<Post> {
        let from: Mailbox =
            self.from.parse().with_context(|| format!("`mail.from`: `{}` is no address", self.from))?;
        match (&self.smtp, &self.folder) {
            (Some(smtp), None) => through(smtp, from),
            (None, Some(folder)) => into(folder, from),
            (None, None) | (Some(_), Some(_)) => anyhow::bail!("`mail` has either `smtp` or `folder`"),
        }
    }
}

fn through(smtp: &Smtp, from: Mailbox) -> anyhow::Result<Post> {
    type Transport = AsyncSmtpTransport<Tokio1Executor>;
    let builder = match smtp.tls {
        Tls::Implicit => Transport::relay(&smtp.host),
        Tls::Starttls => Transport::starttls_relay(&smtp.host),
        Tls::None => Ok(Transport::builder_dangerous(&smtp.host)),
    };
    let mut builder = builder.with_context(|| format!("`mail.smtp.host`: `{}`", smtp.host))?;
    if let Some(authorities) = &smtp.authorities {
        let parameters = trusting(&smtp.host, authorities)?;
        builder = match smtp.tls {
            Tls::Implicit => builder.tls(client::Tls::Wrapper(parameters)),
            Tls::Starttls => builder.tls(client::Tls::Required(parameters)),
            Tls::None => {
                anyhow::bail!("`mail.smtp`: without `tls` no authority is asked; leave `authorities` out")
            }
        };
    }
    if let Some(port) = smtp.port {
        builder = builder.port(port);
    }
    if let (Some(username), Some(password)) = (&smtp.username, &smtp.password) {
        builder = builder.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
    }
    let transport = builder.timeout(Some(std::time::Duration::from_secs(20))).build();
    Ok(Arc::new(move |mail| {
        let (transport, message) = (transport.clone(), written(&from, &mail));
        Box::pin(async move { transport.send(message?).await.map(drop).map_err(|error| error.to_string()) })
    }))
}

/// The public authorities, and those in a file.
fn trusting(host: &str, authorities: &Path) -> anyhow::Result<TlsParameters> {
    let wrong = || format!("`mail.smtp.authorities`: `{}`", authorities.display());
    let pem = std::fs::read(authorities).with_context(wrong)?;
    let authorities = Certificate::from_pem(&pem).with_context(wrong)?;
    TlsParameters::builder(host.to_owned())
        .add_root_certificate(authorities)
        .build_rustls()
        .with_context(wrong)
}

fn into(folder: &Path, from: Mailbox) -> anyhow::Result<Post> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder for mail `{}`", folder.display()))?;
    let folder = folder.to_owned();
    // Letters of earlier starts stay.
    let there = std::fs::read_dir(&folder).map_or(0, Iterator::count);
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(there));
    Ok(Arc::new(move |mail| {
        let message = written(&from, &mail);
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (path, new) = (folder.join(format!("{number:06}.eml")), folder.join(format!("{number:06}.new")));
        Box::pin(async move {
            let text = message?.formatted();
            let kept = async {
                tokio::fs::write(&new, text).await?;
                tokio::fs::rename(&new, &path).await
            };
            kept.await.map_err(|error: std::io::Error| error.to_string())
        })
    }))
}

fn written(from: &Mailbox, mail: &Mail) -> Result<Message, String> {
    let to: Mailbox = mail.to.parse().map_err(|error| format!("the address: {error}"))?;
    let message = Message::builder().from(from.clone()).to(to).subject(&mail.subject);
    message.header(ContentType::TEXT_PLAIN).body(mail.text.clone()).map_err(|error| error.to_string())
}
