//! What the gateway is told when it is made.

use std::{sync::Arc, time::Duration};

use base::{Bodies, Clock, SharedDice, limit};
use url::Url;

use crate::Local;

/// Where the gateway stands and what it may use.
#[derive(Clone)]
pub struct Config {
    /// The URL under which clients reach Writ: scheme, host, port, perhaps a path. Audiences and `htu` begin with it.
    pub public_url: Url,
    /// Further values of `Host` that are accepted beside that of `public_url` and the loopback names, as
    /// `host` or `host:port`, lower case.
    pub hosts: Vec<String>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Chance, for session ids.
    pub dice: SharedDice,
    /// The room for messages of clients; shared with everything else in the process that reads bodies.
    pub bodies: Bodies,
    /// The room for what servers answer, until their clients have it.
    pub answers: Bodies,
    /// Starts the servers of this machine; `()` where there are none.
    pub local: Arc<dyn Local>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest message of a client, in bytes.
    pub request_bytes_max: usize,
    /// How long a client may take to send its message.
    pub request_wait: Duration,
    /// How many sessions there may be.
    pub sessions_max: usize,
    /// How many sessions one holder may have; the one that was not used for longest makes room for the next.
    pub sessions_per_holder_max: usize,
    /// How many sessions one agent may have over all its tasks; the one that was not used for longest makes room.
    pub sessions_per_agent_max: usize,
    /// After how many seconds without use a session may be forgotten when room is needed.
    pub session_idle_seconds: i64,
    /// How many requests of one session may wait for their answers.
    pub in_flight_max: usize,
    /// How many requests without a session one holder may have under way, streams that listen included.
    pub in_flight_alone_max: usize,
    /// How many listening streams one session may have.
    pub listeners_max: usize,
    /// How often an idle stream shows a sign of life; also how long an answer is waited for before a stream begins.
    pub keep_alive: Duration,
    /// How many messages of upkeep (replies to servers, cancellations) may be under way beside the calls.
    pub errands_max: usize,
    /// How many sessions that were dropped here may wait to be ended on their servers' side.
    pub closings_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes_max: limit::JSON_BYTES_MAX,
            request_wait: Duration::from_secs(30),
            sessions_max: 10_000,
            sessions_per_holder_max: 256,
            sessions_per_agent_max: 1000,
            session_idle_seconds: 3600,
            in_flight_max: 64,
            in_flight_alone_max: 256,
            listeners_max: 4,
            keep_alive: Duration::from_secs(15),
            errands_max: 64,
            closings_max: 1024,
        }
    }
}
