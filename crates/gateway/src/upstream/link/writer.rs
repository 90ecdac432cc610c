//! How messages reach the other side of a link: as lines of a process's input, or each in a POST.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{Mutex, OwnedMutexGuard, Semaphore},
};

use super::talk::Link;
use crate::{
    Upstream,
    upstream::{Standing, Trouble, Way, client::Client},
};

/// How much of the answer to a POST is read so that its connection can be used again, in bytes, and for how long.
const REMNANT_BYTES_MAX: usize = 4096;
const REMNANT_WAIT: Duration = Duration::from_secs(1);

/// How many POSTs of one conversation may be under way at once.
const POSTS_MAX: usize = 16;

type Input = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) enum Writer {
    /// The input of a process; none once it is closed.
    Process(Arc<Mutex<Option<Input>>>),
    /// The endpoint that the server named.
    Post { client: Box<Client>, endpoint: Box<Upstream>, turns: Arc<Semaphore> },
}

impl Writer {
    pub(super) fn of_process(input: Input) -> Self {
        Self::Process(Arc::new(Mutex::new(Some(input))))
    }

    pub(super) fn of_endpoint(client: Client, endpoint: Upstream) -> Self {
        Self::Post {
            client: Box::new(client),
            endpoint: Box::new(endpoint),
            turns: Arc::new(Semaphore::new(POSTS_MAX)),
        }
    }

    /// Closes the input of a process, once nobody writes any more.
    pub(super) async fn close(&self) {
        if let Self::Process(input) = self {
            *input.lock().await = None;
        }
    }
}

impl Link {
    /// Sends one message. Once it has its turn it goes on although nobody waits for it: half a line would be the end of the
    /// conversation. So at most one message for each turn is held here beside those whose callers wait.
    pub(super) async fn write(
        self: &Arc<Self>,
        message: Bytes,
        standing: &Standing,
        wait: Duration,
    ) -> Result<(), Trouble> {
        // SECURITY: a line is a message. What we serialise holds no line's end.
        if message.contains(&b'\n') {
            return Err(Trouble::NotPermitted);
        }
        self.note_use();
        let writing = match &self.writer {
            Writer::Process(input) => {
                let turn = Arc::clone(input).lock_owned();
                let turn = tokio::time::timeout(wait, turn).await.map_err(|_elapsed| Trouble::Silent)?;
                let link = Arc::clone(self);
                tokio::spawn(async move { link.write_line(turn, &message, wait).await })
            }
            Writer::Post { client, endpoint, turns } => {
                let turn = Arc::clone(turns).acquire_owned();
                let turn = tokio::time::timeout(wait, turn).await.map_err(|_elapsed| Trouble::Silent)?;
                let (client, endpoint, standing) = (client.clone(), endpoint.clone(), standing.clone());
                tokio::spawn(async move {
                    let _turn = turn;
                    post(&client, &endpoint, message, &standing).await
                })
            }
        };
        writing.await.unwrap_or(Err(Trouble::Broken))
    }

    async fn write_line(
        &self,
        mut input: OwnedMutexGuard<Option<Input>>,
        message: &[u8],
        wait: Duration,
    ) -> Result<(), Trouble> {
        let Some(pipe) = input.as_mut() else { return Err(Trouble::Broken) };
        let writing = async {
            pipe.write_all(message).await?;
            pipe.write_all(b"\n").await?;
            pipe.flush().await
        };
        let written = tokio::select! {
            written = tokio::time::timeout(wait, writing) => written,
            () = self.closed() => return Err(Trouble::Broken),
        };
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Trouble::Broken),
            Err(_elapsed) => {
                // Half a line is on its way: nothing that follows could be read.
                self.close();
                Err(Trouble::Silent)
            }
        }
    }
}

async fn post(
    client: &Client,
    endpoint: &Upstream,
    message: Bytes,
    standing: &Standing,
) -> Result<(), Trouble> {
    let way = Way { upstream: endpoint, tongue: None };
    let answer = client.send_http(Method::POST, (message, &HeaderMap::new()), standing, &way).await?;
    let status = answer.status();
    let mut body = answer.into_body();
    let remnant = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > REMNANT_BYTES_MAX {
                break;
            }
        }
    };
    drop(tokio::time::timeout(REMNANT_WAIT, remnant).await);
    match status {
        StatusCode::NOT_FOUND => Err(Trouble::SessionGone),
        status if status.is_success() => Ok(()),
        status => Err(Trouble::Status(status.as_u16())),
    }
}
