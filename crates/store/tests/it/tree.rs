//! The tree behind the log: tiles, checkpoints, proofs, exports, and who touches the database by hand.

use base::Position;
use store::Store;
use testkit::{Bench, SeededDice, each_database};
use wire::tlog::{
    Checkpoint, Frontier, OfflineProof, Tile, leaf_hash, read_bundle, verify_consistency, verify_export,
};

use crate::support::keeps;

/// Appends records up to position `to`, many to one commit.
async fn grow(bench: &Bench, to: i64) {
    let mut at = bench.store.head().await.unwrap().position.0;
    while at < to {
        let count = (to - at).min(300);
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        at = tx.commit((0..count).map(keeps)).await.unwrap().0;
    }
}

fn checkpoint(store: &Store) -> Checkpoint {
    Checkpoint::verify(&store.checkpoint().unwrap(), store.log_key()).unwrap()
}

async fn model(store: &Store) -> Frontier {
    let mut frontier = Frontier::new();
    let mut after = Position::ZERO;
    loop {
        let records = store.follow(after, 4096).await.unwrap();
        let Some(last) = records.last() else { return frontier };
        after = last.position;
        for record in &records {
            frontier.push(leaf_hash(record.body.as_bytes()));
        }
    }
}

async fn export(store: &Store, from: i64, to: i64) -> String {
    let mut export =
        store.export(Position(from), Position(to)).await.unwrap().expect("a range that is covered");
    let mut out = String::new();
    while let Some(piece) = export.next().await.unwrap() {
        out.push_str(&piece);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_follows_the_log_in_steps_of_any_size() {
    each_database(async |bench| {
        assert!(bench.store.checkpoint().is_none());
        let mut before: Option<Checkpoint> = None;
        for to in [1, 2, 255, 256, 257, 700, 9000] {
            grow(&bench, to).await;
            let size = bench.store.integrate(&bench.ctx()).await.unwrap();
            let now = checkpoint(&bench.store);
            assert_eq!((size, now.size), (u64::try_from(to).unwrap(), size));
            assert_eq!(now.root, model(&bench.store).await.root(), "{to} records");
            if let Some(before) = before {
                let (proof, note) = bench.store.consistency_proof(before.size).await.unwrap().unwrap();
                assert_eq!(Checkpoint::verify(&note, bench.store.log_key()).as_ref(), Ok(&now));
                verify_consistency(before.size, now.size, &proof, &before.root, &now.root).unwrap();
            }
            before = Some(now);
        }
        assert_eq!(bench.store.integrate(&bench.ctx()).await.unwrap(), 9000, "nothing to do");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_integrate_at_once_make_one_tree() {
    each_database(async |bench| {
        let second = match &bench.config.database {
            store::Database::Postgres(_) => bench.second_node().await.unwrap(),
            store::Database::Sqlite(_) => bench.store.clone(),
        };
        for round in 1..6 {
            grow(&bench, round * 200).await;
            let (one, two) = (bench.ctx(), bench.ctx());
            let (one, two) = tokio::join!(bench.store.integrate(&one), second.integrate(&two));
            assert_eq!(one.unwrap(), two.unwrap());
            assert_eq!(checkpoint(&second).root, model(&bench.store).await.root());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_and_entries_are_served_as_far_as_the_checkpoint_goes() {
    each_database(async |mut bench| {
        grow(&bench, 300).await;
        bench.store.integrate(&bench.ctx()).await.unwrap();
        grow(&bench, 310).await;
        let store = &bench.store;
        let tile = |level, index| Tile { level, index };
        let full = store.tile(tile(0, 0), 256).await.unwrap().unwrap();
        assert_eq!(full.len(), 256 * 32);
        assert_eq!(store.tile(tile(0, 1), 44).await.unwrap().unwrap().len(), 44 * 32);
        assert_eq!(store.tile(tile(0, 1), 7).await.unwrap().unwrap().len(), 7 * 32);
        assert_eq!(store.tile(tile(1, 0), 1).await.unwrap().unwrap().len(), 32);
        for (level, index, width) in
            [(0, 1, 45), (0, 1, 256), (0, 2, 1), (1, 0, 2), (2, 0, 1), (63, u64::MAX, 1), (0, 0, 0)]
        {
            assert!(
                store.tile(tile(level, index), width).await.unwrap().is_none(),
                "{level}/{index}.p/{width}"
            );
        }
        let bundle = store.entries(1, 44).await.unwrap().unwrap();
        let entries = read_bundle(&bundle).unwrap();
        let hashes = store.tile(tile(0, 1), 44).await.unwrap().unwrap();
        assert!(
            entries.iter().zip(hashes.as_chunks::<32>().0).all(|(entry, hash)| leaf_hash(entry) == *hash)
        );
        assert!(store.entries(1, 45).await.unwrap().is_none());

        let key = bench.store.log_key().clone();
        bench.config.origin = "renamed.example/log".into();
        bench.reopen().await.unwrap();
        assert_eq!(bench.store.log_key(), &key, "the log keeps its key and name");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_proved_to_someone_who_only_has_the_key() {
    each_database(async |bench| {
        grow(&bench, 600).await;
        bench.store.integrate(&bench.ctx()).await.unwrap();
        let records = bench.store.follow(Position::ZERO, 4096).await.unwrap();
        for position in [1, 256, 257, 512, 600] {
            let proof = bench.store.inclusion_proof(Position(position)).await.unwrap().unwrap();
            let proof = OfflineProof::parse(&proof.to_string()).unwrap();
            let at = usize::try_from(position).unwrap() - 1;
            proof.verify(records[at].body.as_bytes(), bench.store.log_key()).unwrap();
            assert!(
                proof.verify(records[at / 2 + 1].body.as_bytes(), bench.store.log_key()).is_err() || at < 2
            );
        }
        for position in [0, -1, 601, i64::MIN, i64::MAX] {
            assert!(bench.store.inclusion_proof(Position(position)).await.unwrap().is_none());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_verify_and_name_what_was_touched() {
    each_database(async |bench| {
        grow(&bench, 800).await;
        bench.store.integrate(&bench.ctx()).await.unwrap();
        grow(&bench, 900).await;
        for (from, to) in [(1, 800), (300, 310), (800, i64::MAX)] {
            let text = export(&bench.store, from, to).await;
            let report = verify_export(text.as_bytes(), Some(bench.store.log_key())).unwrap();
            assert_eq!(
                (report.from, report.to, report.size),
                (from.unsigned_abs(), to.min(800).unsigned_abs(), 800)
            );
        }
        assert!(bench.store.export(Position(801), Position(900)).await.unwrap().is_none());

        // Whoever has the database changes one record, and its leaf hash with it.
        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        let row = tx.row("select body from record where position = 300", &[]).await.unwrap().unwrap();
        let forged = row.text(0).unwrap().replace("system:test", "system:tess");
        let leaf = leaf_hash(forged.as_bytes());
        tx.exec("update record set body = $1, leaf = $2 where position = 300", &[forged.into(), leaf.into()])
            .await
            .unwrap();
        tx.commit_unrecorded(store::Unrecorded::Derived).await.unwrap();
        let text = export(&bench.store, 1, 800).await;
        let error = verify_export(text.as_bytes(), None).unwrap_err();
        assert_eq!(error.position, Some(300), "{error}");
    })
    .await;
}

/// Random changes of bytes of a real export: all found, none later than a line after its own.
#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_of_an_export_is_found_and_located() {
    let bench = Bench::sqlite().await;
    grow(&bench, 400).await;
    bench.store.integrate(&bench.ctx()).await.unwrap();
    let text = export(&bench.store, 1, 400).await.into_bytes();
    let dice = SeededDice::new(7);
    for round in 0..400 {
        let mut changed = text.clone();
        let at = usize::try_from(dice.below(text.len() as u64)).unwrap();
        match round % 3 {
            0 => changed[at] ^= 1 << dice.below(8),
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, text[at].wrapping_add(1)),
        }
        let line = text[..at].split(|&byte| byte == b'\n').count() as u64;
        let error = verify_export(&changed[..], Some(bench.store.log_key())).expect_err("a changed export");
        assert!(error.line <= line + 1 || line == 1, "byte {at} of line {line}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_knows_the_newest_checkpoint_by_heart() {
    each_database(async |bench| {
        assert_eq!(bench.store.checkpoint_size(), None);
        let second = bench.second_node().await.unwrap();
        bench.store.integrate(&bench.ctx()).await.unwrap();
        assert_eq!((bench.store.checkpoint_size(), second.checkpoint_size()), (Some(1), None));
        second.integrate(&bench.ctx()).await.unwrap();
        assert_eq!(second.checkpoint(), bench.store.checkpoint(), "made by another node");

        bench.store.begin(&bench.ctx()).await.unwrap().commit([keeps(1)]).await.unwrap();
        assert!(bench.store.covers(Position(1)).await);
        let ctx = bench.ctx();
        let (covered, size) = tokio::join!(bench.store.covers(Position(2)), bench.store.integrate(&ctx));
        assert!(covered && size.unwrap() == 2);
        assert_eq!(second.checkpoint_size(), Some(1));
        second.close().await.unwrap();
        let third = bench.second_node().await.unwrap();
        assert_eq!(third.checkpoint_size(), Some(2), "at its start");
    })
    .await;
}
