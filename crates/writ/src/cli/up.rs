//! `writ up`: the arguments; the server itself is [`crate::up`].

use std::net::SocketAddr;
use std::path::PathBuf;

use base::Secret;
use clap::Args;
use url::Url;

use super::exit::{Exit, Outcome, Trouble, with_causes};
use super::output::talk;
use crate::up::{File, Options};

/// Where the server listens unless told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8420";

/// Runs the server.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ up --data .writ",
    after_help = "Flags win over WRIT_DATABASE, and both over the configuration file. The file is TOML with the keys listen, public_url, tls_cert, tls_key, database, apply, asynchronous_reads, registration, dpop_nonces and trusted_proxies, and the tables connections, bodies, egress, mail and local: see docs/reference/configuration.md."
)]
pub(crate) struct Up {
    /// The folder for everything that this node keeps; made when it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The address by which clients reach the server, where that is another
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// The certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A PostgreSQL URL; without it, SQLite in the data folder. One with a password belongs into WRIT_DATABASE or into
    /// the configuration file: arguments can be read by every local user
    #[arg(long, value_name = "URL", value_parser = secret)]
    database: Option<Secret>,
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Documents to apply at the start; may be given several times
    #[arg(long, value_name = "PATH")]
    apply: Vec<PathBuf>,
    /// Write `{"url", "pid"}` to this file when the server answers
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// What is said of a password among the arguments. The URL itself is never repeated.
const PASSWORD_SHOWN: &str = "writ: the password in `--database` can be read by every local user in the list of processes; \
     set WRIT_DATABASE instead, or `database` in the file of `--config`";

/// Whether a database's URL carries a password: before the host, or as a parameter. What is no URL is taken to carry
/// one where it might.
fn has_password(url: &Secret) -> bool {
    Url::parse(url.expose()).map_or_else(
        |_| url.expose().contains('@'),
        |url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"),
    )
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of clap's parsers")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

impl Up {
    /// Runs the server. `database` is what the environment says of it.
    pub(crate) async fn run(self, log: Option<&str>, database: Option<Secret>) -> Outcome {
        if self.database.as_ref().is_some_and(has_password) {
            talk(PASSWORD_SHOWN);
        }
        let failed = |error: anyhow::Error| Trouble::new(Exit::Failed, with_causes(&error));
        let options = self.options(database).map_err(|error| Trouble::usage(with_causes(&error)))?;
        crate::up::start_logging(log).map_err(failed)?;
        crate::up::run(options).await.map_err(failed)?;
        Ok(Exit::Done)
    }

    /// Flags over environment over file over defaults.
    fn options(self, database: Option<Secret>) -> anyhow::Result<Options> {
        let file = self.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let tls = match (self.tls_cert.or(file.tls_cert), self.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => anyhow::bail!("`tls_cert` and `tls_key` come together"),
        };
        let listen = match self.listen.or(file.listen) {
            Some(listen) => listen,
            None => LISTEN_DEFAULT.parse()?,
        };
        Ok(Options {
            data: self.data,
            listen,
            public_url: self.public_url.or(file.public_url),
            tls,
            database: self.database.or(database).or(file.database),
            apply: file.apply.into_iter().chain(self.apply).collect(),
            ready_file: self.ready_file,
            connections: file.connections,
            bodies: file.bodies,
            asynchronous_reads: file.asynchronous_reads,
            local: file.local,
            registration: file.registration,
            dpop_nonces: file.dpop_nonces,
            trusted_proxies: file.trusted_proxies,
            egress: file.egress,
            mail: file.mail,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use base::Secret;

    use super::{Up, has_password};

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        up: Up,
    }

    fn options(arguments: &[&str]) -> anyhow::Result<crate::up::Options> {
        let words = ["up", "--data", "d"].iter().chain(arguments);
        Wrapper::try_parse_from(words)?.up.options(Some(Secret::new("postgres://environment/db".into())))
    }

    #[test]
    fn flags_win_over_the_file_and_both_over_the_default() {
        assert_eq!(options(&[]).unwrap().listen.to_string(), "127.0.0.1:8420");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("writ.toml");
        std::fs::write(
            &path,
            "listen = \"127.0.0.1:1\"\npublic_url = \"https://w.example\"\napply = [\"a\"]\n",
        )
        .unwrap();
        let path = path.to_str().unwrap();
        let read = options(&["--config", path]).unwrap();
        assert_eq!((read.listen.port(), read.apply.len()), (1, 1));
        let read = options(&["--config", path, "--listen", "127.0.0.1:2", "--apply", "b"]).unwrap();
        assert_eq!((read.listen.port(), read.apply.len()), (2, 2));
        assert_eq!(read.public_url.unwrap().as_str(), "https://w.example/");
    }

    #[test]
    fn the_database_is_the_flags_then_the_environments_then_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("writ.toml");
        std::fs::write(&path, "database = \"postgres://file/db\"").unwrap();
        let config = ["--config", path.to_str().unwrap()];
        let database = |arguments: &[&str]| options(arguments).unwrap().database.unwrap().expose().to_owned();
        assert_eq!(database(&config), "postgres://environment/db");
        assert_eq!(
            database(&[&config[..], &["--database", "postgres://flag/db"]].concat()),
            "postgres://flag/db"
        );
        let words = ["up", "--data", "d"].iter().chain(&config);
        let read = Wrapper::try_parse_from(words).unwrap().up.options(None).unwrap();
        assert_eq!(read.database.unwrap().expose(), "postgres://file/db");
    }

    #[test]
    fn a_password_is_seen_wherever_it_stands() {
        let has = |url: &str| has_password(&Secret::new(url.to_owned()));
        for with in
            ["postgres://u:p@h/db", "postgres://u@h/db?sslmode=off&password=p", "postgres://u:p@h:port/db"]
        {
            assert!(has(with), "{with}");
        }
        for without in
            ["postgres://u@h/db", "postgres://h/db?user=u", "postgres:///db?host=/run/postgresql", "nonsense"]
        {
            assert!(!has(without), "{without}");
        }
    }

    #[test]
    fn half_a_certificate_is_refused() {
        assert!(options(&["--tls-cert", "c"]).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("writ.toml");
        std::fs::write(&path, "tls_cert = \"c\"").unwrap();
        assert!(options(&["--config", path.to_str().unwrap()]).is_err());
    }
}
