//! What local servers write to their error output: read always, so that nobody waits; logged a little of.

use std::time::Duration;

use tokio::{io::AsyncReadExt, process::ChildStderr, time::Instant};

/// How much of one piece is logged, in bytes, and how many pieces of one process in each second.
const SHOWN_BYTES_MAX: usize = 512;
const SHOWN_PER_SECOND: usize = 20;

/// Logs what a server complains about, for whoever debugs it. It may hold anything, secrets included, so nobody else sees
/// it.
pub(super) async fn log(server: String, mut errors: ChildStderr) {
    let mut piece = [0; 4096];
    let (mut since, mut shown) = (Instant::now(), 0);
    while let Ok(read) = errors.read(&mut piece).await {
        if read == 0 {
            return;
        }
        if since.elapsed() >= Duration::from_secs(1) {
            (since, shown) = (Instant::now(), 0);
        }
        shown += 1;
        if shown <= SHOWN_PER_SECOND {
            let text = String::from_utf8_lossy(&piece[..read.min(SHOWN_BYTES_MAX)]);
            tracing::debug!(server, said = %text.trim_end().escape_debug(), "a local server complains");
        }
    }
}
