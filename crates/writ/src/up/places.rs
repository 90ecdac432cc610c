//! Who may be connected: places, counted by lane and by the peer's address.
//!
//! The general lane is for everybody. When it has no place for a peer, the reserved lane has a few, so that whoever
//! floods the server with connections does not shut out those who want to stop something. There a newcomer takes the place
//! of a connection from the same address that has asked for nothing yet.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use base::Sender;
use tokio::sync::watch;

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Everything.
    General,
    /// Only what stops things or tells how they are.
    Reserved,
}

impl Lane {
    const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Reserved => "reserved",
        }
    }
}

/// The most connections of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caps {
    /// In all.
    pub(super) all: usize,
    /// From one address; from one /64 where it is IPv6, because that is what one customer of a provider has.
    pub(super) per_address: usize,
}

/// All places. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<Ledger>>);

/// One place, taken. It comes back when this is dropped, however the connection ends.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    peer: IpAddr,
    network: Network,
    lane: Lane,
    seat: Seat,
}

/// What a connection has done with its place, and whether another has it now.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat(Arc<Occupied>);

#[derive(Debug, Default)]
struct Occupied {
    has_asked: AtomicBool,
    is_replaced: watch::Sender<bool>,
}

impl Seat {
    /// Notes that a request came: from now on nobody else gets the place.
    pub(super) fn note(&self) {
        self.0.has_asked.store(true, Ordering::Relaxed);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Places {
    pub(super) fn new(general: Caps, reserved: Caps) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            general: Taken::new(general),
            reserved: Taken::new(reserved),
            seats: HashMap::new(),
        })))
    }

    /// A place for a connection from `peer`, in the first lane that has one.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place> {
        let network = Network::of(peer);
        let seat = Seat::default();
        let lane = self.with(|ledger| ledger.take(network, &seat))?;
        metrics::gauge!("writ_connections", "lane" => lane.as_str()).increment(1.0);
        Some(Place { places: self.clone(), peer, network, lane, seat })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        // Nothing panics while the lock is held, and counts that are whole stay whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    pub(super) const fn lane(&self) -> Lane {
        self.lane
    }

    /// Where to note that a request came.
    pub(super) fn asked(&self) -> Seat {
        self.seat.clone()
    }

    /// Returns when a newcomer has the place.
    pub(super) async fn replaced(&self) {
        // The sender is here: this ends in no other way.
        drop(self.seat.0.is_replaced.subscribe().wait_for(|&is_replaced| is_replaced).await);
    }

    /// Where the connection comes from.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Whose the connection is while nobody is known.
    pub(super) fn sender(&self) -> Sender {
        sender_at(self.peer)
    }
}

/// Somebody of whom nothing is known but an address, as far as it counts as one.
pub(super) fn sender_at(address: IpAddr) -> Sender {
    Sender::Stranger(Network::of(address).to_string().into())
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|ledger| ledger.give_back(self.lane, self.network, &self.seat));
        metrics::gauge!("writ_connections", "lane" => self.lane.as_str()).decrement(1.0);
    }
}

/// What counts as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4(bits) => write!(f, "{}", std::net::Ipv4Addr::from_bits(*bits)),
            Self::V6(bits) => write!(f, "{}/64", std::net::Ipv6Addr::from_bits(u128::from(*bits) << 64)),
        }
    }
}

impl Network {
    fn of(peer: IpAddr) -> Self {
        // A socket that listens on both families shows IPv4 peers as mapped addresses, all of one /64.
        match peer.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments().map(u64::from);
                Self::V6(a << 48 | b << 32 | c << 16 | d)
            }
        }
    }
}

#[derive(Debug)]
struct Ledger {
    general: Taken,
    reserved: Taken,
    /// Who has the reserved places of each address, the first who came first.
    seats: HashMap<Network, VecDeque<Seat>>,
}

impl Ledger {
    fn take(&mut self, network: Network, seat: &Seat) -> Option<Lane> {
        if self.general.take(network) {
            return Some(Lane::General);
        }
        if !self.reserved.take(network) && !self.replace(network) {
            return None;
        }
        self.seats.entry(network).or_default().push_back(seat.clone());
        Some(Lane::Reserved)
    }

    /// Turns out the one who has asked for nothing for longest; whether there was one.
    fn replace(&mut self, network: Network) -> bool {
        let Some(seats) = self.seats.get_mut(&network) else { return false };
        let quiet = seats.iter().position(|seat| !seat.0.has_asked.load(Ordering::Relaxed));
        let Some(left) = quiet.and_then(|at| seats.remove(at)) else { return false };
        left.0.is_replaced.send_replace(true);
        true
    }

    fn give_back(&mut self, lane: Lane, network: Network, seat: &Seat) {
        if lane == Lane::Reserved {
            let Some(seats) = self.seats.get_mut(&network) else { return };
            // Another has it already.
            let Some(at) = seats.iter().position(|each| each.is(seat)) else { return };
            seats.remove(at);
            if seats.is_empty() {
                self.seats.remove(&network);
            }
        }
        self.of(lane).give_back(network);
    }

    const fn of(&mut self, lane: Lane) -> &mut Taken {
        match lane {
            Lane::General => &mut self.general,
            Lane::Reserved => &mut self.reserved,
        }
    }
}

/// The taken places of one lane. An address without a place has no entry, so this is as bounded as the places are.
#[derive(Debug)]
struct Taken {
    caps: Caps,
    all: usize,
    by_network: HashMap<Network, usize>,
}

impl Taken {
    fn new(caps: Caps) -> Self {
        Self { caps, all: 0, by_network: HashMap::new() }
    }

    fn take(&mut self, network: Network) -> bool {
        let of_network = self.by_network.get(&network).copied().unwrap_or_default();
        if self.all >= self.caps.all || of_network >= self.caps.per_address {
            return false;
        }
        self.all += 1;
        self.by_network.insert(network, of_network + 1);
        true
    }

    fn give_back(&mut self, network: Network) {
        self.all = self.all.saturating_sub(1);
        match self.by_network.get_mut(&network) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(self.by_network.remove(&network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, net::IpAddr, sync::atomic::Ordering};

    use proptest::prelude::*;

    use super::{Caps, Lane, Network, Place, Places};

    const fn caps(all: usize, per_address: usize) -> Caps {
        Caps { all, per_address }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn taken(places: &Places, lane: Lane) -> (usize, usize) {
        places.with(|ledger| (ledger.of(lane).all, ledger.of(lane).by_network.len()))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Come(u8),
        Go(usize),
        Ask(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u8..6).prop_map(Step::Come),
            2 => any::<usize>().prop_map(Step::Go),
            1 => any::<usize>().prop_map(Step::Ask),
        ]
    }

    fn count(held: &[(u8, Place)], lane: Lane, address: Option<u8>) -> usize {
        let same = |of: u8| address.is_none_or(|address| address == of);
        held.iter().filter(|(of, place)| place.lane() == lane && same(*of)).count()
    }

    proptest! {
        #[test]
        fn never_more_than_the_caps_and_never_less_than_they_admit(
            (general, reserved) in ((0_usize..8, 0_usize..5), (0_usize..4, 0_usize..3)),
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let (general, reserved) = (caps(general.0, general.1), caps(reserved.0, reserved.1));
            let places = Places::new(general, reserved);
            let mut held: Vec<(u8, Place)> = Vec::new();
            for step in steps {
                match step {
                    Step::Come(address) => {
                        let has_place = |lane, caps: Caps| {
                            count(&held, lane, None) < caps.all
                                && count(&held, lane, Some(address)) < caps.per_address
                        };
                        let expected = [(Lane::General, general), (Lane::Reserved, reserved)]
                            .into_iter()
                            .find(|&(lane, caps)| has_place(lane, caps))
                            .map(|(lane, _)| lane);
                        let is_quiet = |(of, place): &(u8, Place)| {
                            *of == address && place.lane() == Lane::Reserved
                                && !place.seat.0.has_asked.load(Ordering::Relaxed)
                        };
                        let expected =
                            expected.or_else(|| held.iter().any(is_quiet).then_some(Lane::Reserved));
                        let place = places.take(IpAddr::from([127, 0, 0, address]));
                        prop_assert_eq!(place.as_ref().map(Place::lane), expected);
                        held.extend(place.map(|place| (address, place)));
                        held.retain(|(_, place)| !*place.seat.0.is_replaced.borrow());
                    }
                    Step::Ask(which) if !held.is_empty() => held[which % held.len()].1.asked().note(),
                    Step::Go(which) if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                    Step::Go(_) | Step::Ask(_) => {}
                }
                let mut by_address: HashMap<u8, usize> = HashMap::new();
                for (address, place) in &held {
                    *by_address.entry(*address).or_default() += usize::from(place.lane() == Lane::General);
                }
                prop_assert!(by_address.values().all(|&count| count <= general.per_address));
                prop_assert_eq!(taken(&places, Lane::General).0, count(&held, Lane::General, None));
            }
            held.clear();
            for lane in [Lane::General, Lane::Reserved] {
                prop_assert_eq!(taken(&places, lane), (0, 0), "something is left of those who went");
            }
            prop_assert!(places.with(|ledger| ledger.seats.is_empty()));
        }
    }

    #[tokio::test]
    async fn a_place_comes_back_from_a_task_that_panics_or_is_cancelled() {
        let places = Places::new(caps(1, 1), caps(0, 0));
        for panics in [true, false] {
            let place = places.take(ip("127.0.0.1")).unwrap();
            assert!(places.take(ip("127.0.0.2")).is_none());
            let task = tokio::spawn(async move {
                let _place = place;
                assert!(!panics, "on purpose");
                std::future::pending::<()>().await;
            });
            if !panics {
                tokio::task::yield_now().await;
                task.abort();
            }
            assert!(task.await.is_err());
            assert_eq!(taken(&places, Lane::General), (0, 0));
        }
    }

    #[tokio::test]
    async fn a_newcomer_takes_the_reserved_place_that_was_quiet_for_longest() {
        let places = Places::new(caps(1, 1), caps(3, 3));
        let _general = places.take(ip("127.0.0.1")).unwrap();
        let held: Vec<Place> = (0..3).map(|_| places.take(ip("127.0.0.1")).unwrap()).collect();
        held[0].asked().note();
        let newcomer = places.take(ip("127.0.0.1")).unwrap();
        held[1].replaced().await;
        assert!(!*held[0].seat.0.is_replaced.borrow() && !*held[2].seat.0.is_replaced.borrow());
        drop(held);
        assert_eq!(
            taken(&places, Lane::Reserved),
            (1, 1),
            "the place of whoever was replaced came back twice"
        );
        drop(newcomer);
        assert_eq!(taken(&places, Lane::Reserved), (0, 0));
    }

    #[test]
    fn one_customer_of_a_provider_is_one_address() {
        let same = |one: &str, other: &str| Network::of(ip(one)) == Network::of(ip(other));
        assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
        assert!(!same("0.0.0.1", "::1"));
    }
}
