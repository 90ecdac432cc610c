//! How much of what clients send is held at once: what the operator says.

use anyhow::bail;
use base::{Share, Shares};
use serde::Deserialize;

const MIB: usize = 1024 * 1024;

/// The table `bodies` of the configuration file, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the unit is part of the name, and they are the file's names")]
pub(crate) struct HeldMax {
    /// Of all strangers.
    strangers_mib_max: usize,
    /// Of strangers at one address. Behind a reverse proxy all clients have its address.
    per_address_mib_max: usize,
    /// Of all agents and workloads.
    machines_mib_max: usize,
    /// Of one agent or workload.
    per_machine_mib_max: usize,
    /// Of all people.
    people_mib_max: usize,
    /// Of one person.
    per_person_mib_max: usize,
}

impl Default for HeldMax {
    fn default() -> Self {
        let Shares { strangers, machines, people } = Shares::default();
        Self {
            strangers_mib_max: strangers.all / MIB,
            per_address_mib_max: strangers.one / MIB,
            machines_mib_max: machines.all / MIB,
            per_machine_mib_max: machines.one / MIB,
            people_mib_max: people.all / MIB,
            per_person_mib_max: people.one / MIB,
        }
    }
}

impl HeldMax {
    fn parts(&self) -> [(&'static str, usize, &'static str, usize); 3] {
        [
            ("strangers_mib_max", self.strangers_mib_max, "per_address_mib_max", self.per_address_mib_max),
            ("machines_mib_max", self.machines_mib_max, "per_machine_mib_max", self.per_machine_mib_max),
            ("people_mib_max", self.people_mib_max, "per_person_mib_max", self.per_person_mib_max),
        ]
    }

    /// Refuses what would leave somebody no room for anything.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (all_name, all, one_name, one) in self.parts() {
            if !(2..=65_536).contains(&all) {
                bail!("`bodies.{all_name}`: {all} is outside 2 to 65536");
            }
            if !(1..=all / 2).contains(&one) {
                bail!("`bodies.{one_name}`: {one} is outside 1 to {}, half of `{all_name}`", all / 2);
            }
        }
        Ok(())
    }

    /// The shares, in bytes.
    pub(super) fn shares(&self) -> Shares {
        let [strangers, machines, people] =
            self.parts().map(|(_, all, _, one)| Share { all: all * MIB, one: one * MIB });
        Shares { strangers, machines, people }
    }
}

#[cfg(test)]
mod tests {
    use base::Shares;

    use super::HeldMax;

    #[test]
    fn what_is_not_said_stays_as_it_is_and_nobody_is_left_without_room() {
        let default = HeldMax::default();
        assert!(default.check().is_ok());
        assert_eq!(default.shares(), Shares::default());
        let proxy: HeldMax = toml::from_str("strangers_mib_max = 64\nper_address_mib_max = 32").unwrap();
        assert!(proxy.check().is_ok());
        assert_eq!(proxy.shares().strangers.one, 32 * 1024 * 1024);
        assert_eq!(proxy.shares().people, Shares::default().people);
        for text in ["strangers_mib_max = 0", "per_person_mib_max = 0", "per_machine_mib_max = 17"] {
            assert!(toml::from_str::<HeldMax>(text).unwrap().check().is_err(), "{text}");
        }
        assert!(toml::from_str::<HeldMax>("people = 1").is_err());
    }
}
