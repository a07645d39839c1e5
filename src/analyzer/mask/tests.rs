use super::*;

fn masked(text: &str) -> String {
    mask(text.as_bytes())
}

#[test]
fn what_varies_is_masked_and_what_a_person_wrote_is_kept() {
    for (text, want) in [
        ("took 35 ms, retried 2 times", "took <num> ms, retried <num> times"),
        ("took 35ms of 1.5s", "took <dur> of <dur>"),
        ("delta=47s730ms delta=32s72ms", "delta=<dur> delta=<dur>"),
        ("peer 10.0.0.7:8080 gone", "peer <ip>:<num> gone"),
        ("peer fe80::1ff:fe23:4567:890a gone", "peer <ip> gone"),
        ("id 6f1c2d3e-0a1b-4c5d-8e9f-001122334455.", "id <uuid>."),
        ("dev 00:1b:44:11:3a:b7 up", "dev <mac> up"),
        ("open /var/lib/app/data.db: no such file", "open <path>: no such file"),
        ("open /etc/app.conf:17: bad key", "open <path>:<num>: bad key"),
        (r"open C:\app\data.db failed", "open <path> failed"),
        ("GET http://a.example/x?id=7, again", "GET <url>, again"),
        ("mail to ops@example.org failed", "mail to <email> failed"),
        ("user \"bob smith\" said 'no'", "user <str> said <str>"),
        ("can't stop, won't stop", "can't stop, won't stop"),
        ("pointer 0x7ffe12 of deadbeef01", "pointer <hex> of <hex>"),
        ("worker-12 at v1.2.3", "worker-<num> at v<num>"),
        ("at 2024-05-06T07:08:09Z or 07:08:09", "at <time> or <time>"),
        ("token a1b2c3z4e5 is read/write", "token <id> is read/write"),
        ("shard[3]=-17 (99%)", "shard[<num>]=<num> (<num>%)"),
        ("错误 42 发生", "错误 <num> 发生"),
        ("", ""),
    ] {
        assert_eq!(masked(text), want, "{text}");
    }
}

#[test]
fn hash_and_mask_agree_on_what_is_the_same() {
    assert_eq!(hash(b"took 35 ms"), hash(b"took 7 ms"));
    assert_eq!(hash(b"open /a/b"), hash(b"open /c/d/e"));
    assert_ne!(hash(b"took 35 ms"), hash(b"took 35 minutes"));
    assert_ne!(hash(b"a"), hash(b"a\0"));
}

#[test]
fn only_the_head_is_looked_at_and_characters_stay_whole() {
    let long = "é1".repeat(2000);
    assert!(masked(&long).len() <= MASK_BYTES * 3);
    assert_eq!(hash(long.as_bytes()), hash(format!("{long}tail").as_bytes()));
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_masked_and_equal_masks_hash_equally(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let once = mask(&bytes);
        proptest::prop_assert_eq!(mask(&bytes), once);
        proptest::prop_assert_eq!(hash(&bytes), hash(&bytes));
    }
}
