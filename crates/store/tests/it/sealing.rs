//! Secrets and payloads at rest.

use base::{Event, EventKind};
use serde_json::json;
use store::{Entry, Payload, Sealed, Submitted};
use testkit::{Bench, each_database};

use crate::support::{intent, submit};

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_opens_for_its_own_row_only() {
    each_database(async |mut bench| {
        let sealed = bench.store.seal("sec_1", b"hunter2").unwrap();
        assert!(!sealed.as_bytes().windows(7).any(|window| window == b"hunter2"));
        assert_ne!(bench.store.seal("sec_1", b"hunter2").unwrap(), sealed, "each time under another key");
        bench.reopen().await.unwrap();
        assert_eq!(bench.store.open_sealed("sec_1", &sealed).unwrap().as_slice(), b"hunter2");
        assert!(bench.store.open_sealed("sec_2", &sealed).is_err());
        for place in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[place] ^= 1;
            assert!(
                bench.store.open_sealed("sec_1", &Sealed::from_bytes(bytes.clone())).is_err(),
                "byte {place}"
            );
            bytes.truncate(place);
            assert!(bench.store.open_sealed("sec_1", &Sealed::from_bytes(bytes)).is_err(), "cut at {place}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_payload_takes_its_digest_key_with_it() {
    each_database(async |bench| {
        let ctx = bench.ctx();
        let payload = bench.store.seal_payload(&ctx, b"to: ada").unwrap();
        let other = bench.store.seal_payload(&ctx, b"to: ada").unwrap();
        assert_ne!(payload.digest(), other.digest(), "equal contents do not show by their digests");
        let (id, digest) = (payload.id().clone(), *payload.digest());
        let guard = bench.store.head().await.unwrap().position;
        let mut call = intent(&bench, guard);
        call.payload = Some(payload);
        let Submitted::Durable(receipt) = submit(&bench.store, call).await else { panic!("not durable") };
        let position = receipt.position();
        assert!(bench.store.open_payload(position, other.id()).await.unwrap().is_none());
        match bench.store.open_payload(position, &id).await.unwrap().unwrap() {
            Payload::Kept { content, digest: again } => {
                assert_eq!((content.as_slice(), again), (&b"to: ada"[..], digest));
            }
            Payload::Erased => panic!("erased"),
        }
        let mut tx = bench.store.begin(&ctx).await.unwrap();
        assert!(tx.erase_payload(position, &id).await.unwrap());
        tx.commit([Event::new(EventKind::PayloadErased, &id, json!({}))]).await.unwrap();
        assert!(matches!(bench.store.open_payload(position, &id).await.unwrap(), Some(Payload::Erased)));
        let mut tx = bench.store.begin(&ctx).await.unwrap();
        assert!(!tx.erase_payload(position, &id).await.unwrap(), "once");
        drop(tx);
        let proof = Entry::Proof(crate::support::proof(&bench, 1));
        assert!(matches!(bench.store.submit(proof).await.unwrap(), Submitted::Noted));
    })
    .await;
}

/// Whether bytes stand anywhere in the files of the database.
fn is_on_disk(bench: &Bench, bytes: &[u8]) -> bool {
    std::fs::read_dir(bench.folder()).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.is_file() && std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_in_no_file_any_more() {
    let mut bench = Bench::sqlite().await;
    let ctx = bench.ctx();
    let mut calls = Vec::new();
    for number in 0..20 {
        let payload = bench.store.seal_payload(&ctx, format!("to: ada {number}").as_bytes()).unwrap();
        let id = payload.id().clone();
        let guard = bench.store.head().await.unwrap().position;
        let mut call = intent(&bench, guard);
        call.payload = Some(payload);
        let Submitted::Durable(receipt) = submit(&bench.store, call).await else { panic!("not durable") };
        calls.push((receipt.position(), id));
    }
    let erase = async |bench: &Bench, number: usize| {
        const SQL: &str = "select salt, ciphertext from payload where position = $1";
        let (position, id) = calls[number].clone();
        let row = bench.store.read().await.unwrap().row(SQL, &[position.into()]).await.unwrap().unwrap();
        let kept = [row.bytes(0).unwrap(), row.bytes(1).unwrap()];
        assert!(kept.iter().all(|bytes| is_on_disk(bench, bytes)), "else this test could not fail");
        let mut tx = bench.store.begin(&ctx).await.unwrap();
        assert!(tx.erase_payload(position, &id).await.unwrap());
        tx.commit([Event::new(EventKind::PayloadErased, &id, json!({}))]).await.unwrap();
        kept
    };
    for bytes in erase(&bench, 7).await {
        assert!(!is_on_disk(&bench, &bytes));
    }
    // Whoever reads an older state keeps it there; the next sweep takes it away.
    let reading = bench.store.read().await.unwrap();
    let kept = erase(&bench, 8).await;
    assert!(kept.iter().any(|bytes| is_on_disk(&bench, bytes)));
    drop(reading);
    bench.store.sweep(ctx.now.plus_seconds(-600), ctx.now).await.unwrap();
    for bytes in kept {
        assert!(!is_on_disk(&bench, &bytes));
    }
    bench.reopen().await.unwrap();
    let open = bench.store.open_payload(calls[9].0, &calls[9].1).await.unwrap();
    assert!(matches!(open, Some(Payload::Kept { .. })), "the others are as they were");
}
