//! How many connections there is room for: what the operator says, within what the system gives.

use std::time::Duration;

use anyhow::bail;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;

use super::{listener::Room, places::Caps};

/// Descriptors for everything but clients and upstream servers: the database, files, what the runtime needs.
const FILES_OF_OUR_OWN: u64 = 128;

/// The table `connections` of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Connections {
    /// Connections at once.
    general_max: usize,
    /// Connections at once from one address (IPv6: from one /64). Behind a reverse proxy all clients have its address.
    per_address_max: usize,
    /// Further connections for `/api/v1`, `/livez`, `/readyz` and `/metrics`, where no other has a place.
    reserved_max: usize,
    /// How many of these from one address.
    reserved_per_address_max: usize,
    /// How long a connection may be without a request, in seconds.
    idle_seconds: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            general_max: 10_000,
            per_address_max: 1_000,
            reserved_max: 64,
            reserved_per_address_max: 4,
            idle_seconds: 10,
        }
    }
}

impl Connections {
    /// Refuses what would leave nobody a place, or one place for ever.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (name, count) in [
            ("general_max", self.general_max),
            ("per_address_max", self.per_address_max),
            ("reserved_max", self.reserved_max),
            ("reserved_per_address_max", self.reserved_per_address_max),
        ] {
            if !(1..=1_000_000).contains(&count) {
                bail!("`connections.{name}`: {count} is outside 1 to 1000000");
            }
        }
        if !(1..=3600).contains(&self.idle_seconds) {
            bail!("`connections.idle_seconds`: {} is outside 1 to 3600", self.idle_seconds);
        }
        Ok(())
    }

    /// The room for connections. Raises the process's limit of open files for it as far as the system lets us.
    pub(super) fn room(&self) -> Room {
        self.room_within(raise_files(self.files()))
    }

    /// The descriptors that all connections need. A call has one to its client and one to its server.
    fn files(&self) -> u64 {
        let connections = self.general_max.saturating_mul(2).saturating_add(self.reserved_max);
        FILES_OF_OUR_OWN.saturating_add(u64::try_from(connections).unwrap_or(u64::MAX))
    }

    /// Whether somebody should know that there are only `left` connections. Where nobody said how many it should be, a few
    /// less than the round number are nothing to worry about.
    fn falls_short(&self, left: usize) -> bool {
        let wanted = self.general_max;
        let bearable = if wanted == Self::default().general_max { wanted / 10 * 9 } else { wanted };
        left < bearable
    }

    /// SECURITY: without descriptors nothing is accepted, in no lane. The general lane gets what is left.
    fn room_within(&self, files: u64) -> Room {
        let reserved = u64::try_from(self.reserved_max).unwrap_or(u64::MAX);
        let left = files.saturating_sub(FILES_OF_OUR_OWN).saturating_sub(reserved) / 2;
        let left = usize::try_from(left).unwrap_or(usize::MAX).max(1);
        if self.falls_short(left) {
            tracing::warn!(
                files,
                connections = left,
                wanted = self.general_max,
                "the system's limit of open files admits fewer connections than configured; raise it (ulimit -n, LimitNOFILE=)"
            );
        }
        Room {
            general: Caps { all: self.general_max.min(left), per_address: self.per_address_max },
            reserved: Caps { all: self.reserved_max, per_address: self.reserved_per_address_max },
            idle: Duration::from_secs(self.idle_seconds),
        }
    }
}

/// Raises the soft limit of open files to `wanted`, or as far as the hard limit lets us; what it is then.
fn raise_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(u64::MAX);
    let raised = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    if raised <= soft {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => raised,
        Err(_) => soft,
    }
}

#[cfg(test)]
mod tests {
    use super::{Connections, raise_files};

    #[test]
    fn the_general_lane_gets_what_descriptors_are_left() {
        let wanted = Connections::default();
        assert_eq!(wanted.room_within(wanted.files()).general.all, 10_000);
        assert_eq!(wanted.room_within(u64::MAX).general.all, 10_000);
        for files in [0, 100, 1024, 4096] {
            let room = wanted.room_within(files);
            assert_eq!(room.reserved.all, 64);
            assert!(room.general.all >= 1);
            assert!(files < 1024 || room.general.all as u64 * 2 + 64 < files, "{files}: {room:?}");
        }
    }

    #[test]
    fn a_small_loss_of_what_nobody_asked_for_is_not_worth_a_word() {
        let default = Connections::default();
        assert!(!default.falls_short(9_904) && default.falls_short(8_999));
        let asked = Connections { general_max: 9_999, ..default };
        assert!(asked.falls_short(9_998) && !asked.falls_short(9_999));
    }

    #[test]
    fn what_leaves_nobody_a_place_is_refused() {
        assert!(Connections::default().check().is_ok());
        for text in ["general_max = 0", "per_address_max = 0", "reserved_max = 0", "idle_seconds = 0"] {
            let read: Connections = toml::from_str(text).unwrap();
            assert!(read.check().is_err(), "{text}");
        }
        assert!(toml::from_str::<Connections>("general = 1").is_err());
        let one: Connections = toml::from_str("per_address_max = 50000").unwrap();
        assert_eq!(one.general_max, 10_000, "what is not said stays as it is");
    }

    #[test]
    fn the_limit_of_open_files_is_never_lowered() {
        let before = raise_files(0);
        assert_eq!(raise_files(before), before);
    }
}
