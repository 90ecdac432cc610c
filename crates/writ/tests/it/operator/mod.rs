//! An operator's way through the command line: what each step says, and what it leads to next.

use std::path::PathBuf;

use crate::{
    command::{Ran, writ},
    node::{Api, On, Setup},
    world::World,
};

mod log;
mod newcomers;
mod reasons;
mod slips;
mod stopped;
mod tokens;

/// A server, and a home of its own for its operator.
struct Desk {
    world: World,
    home: PathBuf,
}

impl Desk {
    async fn new() -> Self {
        Self::on(On::Sqlite).await
    }

    async fn on(on: On) -> Self {
        Self::with(on, Setup::default()).await
    }

    async fn with(on: On, setup: Setup) -> Self {
        let world = World::with(on, setup).await;
        let home = world.node.beside("home");
        std::fs::create_dir_all(&home).unwrap();
        Self { world, home }
    }

    /// What the administrator types.
    fn writ(&self, arguments: &[&str]) -> Ran {
        self.writ_as(&self.world.admin, arguments)
    }

    /// What somebody else types.
    fn writ_as(&self, who: &Api, arguments: &[&str]) -> Ran {
        writ(who, &self.home, arguments)
    }

    /// The path of a file of the operator's.
    fn file(&self, name: &str) -> String {
        self.home.join(name).to_str().unwrap().to_owned()
    }
}

/// What a command printed, as text.
#[track_caller]
fn text(ran: Ran) -> String {
    String::from_utf8(ran.done()).unwrap()
}
