//! What a server finds when it starts: it refuses to serve, in words that name what is wrong, until that is mended.

use std::{fs, path::Path};

use crate::{
    mcp::{Mcp, Pass, is_done},
    node::On,
    world::World,
};

/// A file of the data folder that was damaged while the server was down, how, and what the refusal must name.
const DAMAGES: [(&str, Damage, &str); 6] = [
    ("kek", Damage::Removed, "kek"),
    ("kek", Damage::Replaced, "kek"),
    ("high-water", Damage::Halved, "high-water"),
    ("node", Damage::Halved, "node"),
    ("writ.db", Damage::Scrambled, "database"),
    ("kek", Damage::ReadByAll, "kek"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Removed,
    Replaced,
    Halved,
    Scrambled,
    ReadByAll,
}

impl Damage {
    fn inflict(self, path: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        let mut content = fs::read(path).unwrap();
        match self {
            Self::Removed => return fs::remove_file(path).unwrap(),
            Self::Replaced => content.iter_mut().for_each(|byte| *byte ^= 1),
            Self::Halved => content.truncate(content.len() / 2),
            // Every page but the first, so that it still looks like a database.
            Self::Scrambled => content.iter_mut().skip(4096).for_each(|byte| *byte = byte.wrapping_add(97)),
            Self::ReadByAll => return fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
        }
        fs::write(path, content).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_data_folder_is_refused_in_words_and_mended_by_putting_it_back() {
    let mut world = World::new(On::Sqlite).await;
    let token = world.token(&world.wide_task().await).await;
    for (file, damage, named) in DAMAGES {
        let path = world.node.data().join(file);
        world.node.stop();
        let (whole, mode) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions());
        damage.inflict(&path);
        let before = world.node.said().len();
        let started = world.node.try_launch().await;
        let said = world.node.said()[before..].to_owned();
        let status = started.expect_err(&format!("{file} {damage:?}: it serves: {said}"));
        assert_eq!(status.code(), Some(1), "{file} {damage:?}: {said}");
        assert!(said.contains(named), "{file} {damage:?}: the refusal does not name it: {said}");
        assert!(!said.contains("panicked"), "{file} {damage:?}: {said}");

        fs::write(&path, whole).unwrap();
        fs::set_permissions(&path, mode).unwrap();
        world.node.launch().await;
        let mcp = Mcp::open(&world.node.url(), Pass::Bearer(token.clone())).await;
        assert!(is_done(&mcp.called("read_note", &serde_json::json!({})).await), "{file} {damage:?}");
    }
}
