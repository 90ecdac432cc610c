//! Secrets and payloads at rest.

use base::{Event, EventKind};
use serde_json::json;
use store::{Entry, Payload, Sealed, Submitted};
use testkit::each_database;

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
