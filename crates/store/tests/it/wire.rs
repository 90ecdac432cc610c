//! A wire to the database that can go silent, as networks do: nothing comes through any more and nobody says so.

use base::Secret;
use store::{Database, Store, StoreConfig};
use testkit::Bench;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What all connections of the wire share.
#[derive(Clone)]
pub(crate) struct Wire {
    /// Connections with a lower number carry nothing.
    silent_below: watch::Sender<usize>,
    /// The words after which answers are held back.
    trap: watch::Sender<Option<&'static str>>,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
    next: watch::Sender<usize>,
}

impl Wire {
    /// A node of its own on the bench's PostgreSQL, by a wire.
    pub(crate) async fn node(bench: &Bench) -> (Store, Self) {
        let Database::Postgres(url) = &bench.config.database else { panic!("no wire goes there") };
        let (server, name) = url.expose().split_once('@').unwrap().1.split_once('/').unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let by_wire = format!("postgres://writ@{}/{name}", socket.local_addr().unwrap());
        let wire = Self {
            silent_below: watch::Sender::new(0),
            trap: watch::Sender::new(None),
            held: watch::Sender::new(false),
            next: watch::Sender::new(0),
        };
        tokio::spawn(wire.clone().carry(socket, server.to_owned()));
        let data_dir = bench.folder().join("by wire");
        std::fs::create_dir_all(&data_dir).unwrap();
        std::fs::copy(bench.config.data_dir.join("kek"), data_dir.join("kek")).unwrap();
        let database = Database::Postgres(Secret::new(by_wire));
        let config = StoreConfig { database, data_dir, ..bench.config.clone() };
        (bench.open(config).await.unwrap(), wire)
    }

    /// From here on the connections that there are carry nothing; new ones do.
    pub(crate) fn go_silent(&self) {
        let next = *self.next.borrow();
        self.silent_below.send_replace(next);
    }

    /// Holds all answers back as soon as these words are sent.
    pub(crate) fn hold_after(&self, words: &'static str) {
        self.trap.send_replace(Some(words));
    }

    /// Waits until answers are held back.
    pub(crate) async fn is_held(&self) {
        self.held.subscribe().wait_for(|held| *held).await.unwrap();
    }

    /// Lets them through.
    pub(crate) fn let_go(&self) {
        self.trap.send_replace(None);
        self.held.send_replace(false);
    }

    async fn carry(self, socket: TcpListener, server: String) {
        while let Ok((client, _)) = socket.accept().await {
            let mut number = 0;
            self.next.send_modify(|next| {
                number = *next;
                *next += 1;
            });
            let server = TcpStream::connect(&server).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let (up, down) = (self.clone(), self.clone());
            tokio::spawn(async move {
                // Whoever leaves is gone on the other side, too, also where nothing comes through.
                tokio::select! {
                    () = up.pass(number, from_client, to_server, true) => {}
                    () = down.pass(number, from_server, to_client, false) => {}
                }
            });
        }
    }

    async fn pass(self, number: usize, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_up: bool) {
        let mut bytes = vec![0; 64 * 1024];
        let mut held = self.held.subscribe();
        loop {
            let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
            if is_up {
                let has =
                    |words: &str| bytes[..count].windows(words.len()).any(|part| part == words.as_bytes());
                if self.trap.borrow().is_some_and(has) {
                    self.held.send_replace(true);
                }
            } else {
                held.wait_for(|held| !held).await.unwrap();
            }
            if number >= *self.silent_below.borrow() && to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    }
}
