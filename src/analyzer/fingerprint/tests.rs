use super::*;
use crate::record::format::LineReader;
use crate::record::{Assembler, Settings};

/// What the first record of a log is known by.
fn identify(text: &str) -> Identified {
    let mut found = Vec::new();
    let mut assembler = Assembler::new(Settings::default(), 1, "");
    let mut keep = |record: Record<'_>, reader: &LineReader| {
        let details = reader.details(record.text, record.body, jiff::Timestamp::UNIX_EPOCH);
        found.push(of(&record, &details));
    };
    assembler.feed(text.as_bytes(), 0, false, 0, &mut keep);
    assembler.close_all(&mut keep);
    found.swap_remove(0)
}

const JAVA: &str = "2026-03-01 10:00:02,001 ERROR [http-1] c.s.Pay - checkout failed\n\
    com.shop.PayException: card declined\n\
    \tat com.shop.Pay.charge(Pay.java:31)\n\
    Caused by: java.lang.IllegalStateException: pool exhausted\n\
    \tat com.shop.Pool$$Lambda$14/0x0000000800066840.take(Pool.java:5)\n\
    \tat com.shop.Pool.lambda$all$0(Pool.java:7)\n\
    \tat java.base/java.lang.Thread.run(Thread.java:833)\n\
    \t... 3 more\n";

#[test]
fn the_title_is_what_a_person_would_say() {
    for (text, want) in [
        (JAVA, "java.lang.IllegalStateException: pool exhausted"),
        (
            "Exception in thread \"main\" com.shop.E: x\n\tat a.B.c(B.java:1)\n",
            "com.shop.E: x",
        ),
        (
            "[some test] IndexNotFoundException[no such index]\n    at org.x.A.b(A.java:1)\n",
            "IndexNotFoundException: no such index",
        ),
        (
            "Traceback (most recent call last):\n  File \"/srv/a.py\", line 1, in f\n    g()\napp.errors.Bad: no stock\n",
            "app.errors.Bad: no stock",
        ),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'a'\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in g\nRuntimeError: b\n",
            "KeyError: 'a'",
        ),
        (
            "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:3 +0x1\n",
            "panic: boom",
        ),
        (
            "TypeError: x is not a function\n    at f (/app/a.js:1:2)\n",
            "TypeError: x is not a function",
        ),
        (
            "Unhandled exception. System.InvalidOperationException: outer\n ---> System.IO.IOException: inner\n   at A.B.C()\n",
            "System.IO.IOException: inner",
        ),
        (
            "PHP Fatal error:  Uncaught RuntimeException: no stock in /srv/cart.php:12\nStack trace:\n#0 {main}\n",
            "RuntimeException: no stock",
        ),
        (
            "cart.rb:12:in 'Cart#add': no stock (ShopError)\n\tfrom cart.rb:30:in '<main>'\n",
            "ShopError: no stock",
        ),
        (
            "thread 'main' panicked at src/cart.rs:12:5:\nno stock\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
            "panicked: no stock",
        ),
        (
            "Unhandled exception:\nBad state: no element\n#0      main (package:shop/main.dart:4:7)\n",
            "Bad state: no element",
        ),
        (
            "** (KeyError) key :id not found\n    lib/cart.ex:3: Shop.Cart.id/1\n",
            "KeyError: key :id not found",
        ),
        (
            "terminate called after throwing an instance of 'std::runtime_error'\n  what():  no stock\n",
            "std::runtime_error: no stock",
        ),
        (
            "[    1.000001] BUG: KASAN: use-after-free in cart_add+0x1/0x2\n[    1.000002] Call Trace:\n[    1.000003]  cart_all+0x1/0x2\n",
            "BUG: KASAN: use-after-free in cart_add+0x1/0x2",
        ),
        (
            "2026-03-01 10:00:00 ERROR disk full on /dev/sda1\n",
            "disk full on /dev/sda1",
        ),
    ] {
        assert_eq!(identify(text).title, want, "{text}");
    }
}

#[test]
fn what_differs_between_builds_and_hosts_does_not_split_a_group() {
    let again = JAVA
        .replace("10:00:02,001", "23:59:59,999")
        .replace("http-1", "http-77")
        .replace(":31)", ":32)")
        .replace(":5)", ":6)")
        .replace("Lambda$14/0x0000000800066840", "Lambda$99/0x00000008000aaaaa");
    assert_ne!(again, JAVA);
    assert_eq!(identify(&again).fingerprint, identify(JAVA).fingerprint);

    let python = "Traceback (most recent call last):\n  File \"/srv/shop/cart.py\", line 12, in add\n    x()\nValueError: 7 is too much\n";
    let moved = python
        .replace("/srv/shop", "/home/ops/build-7")
        .replace("line 12", "line 13")
        .replace("7 is", "9 is");
    assert_eq!(identify(&moved).fingerprint, identify(python).fingerprint);

    let rust = "thread 'main' panicked at src/a.rs:1:1:\nindex 3 of 2\nstack backtrace:\n   0: rust_begin_unwind\n   1: shop::add::h0123456789abcdef\n             at ./src/a.rs:1:1\n";
    let built = rust
        .replace("h0123456789abcdef", "hfedcba9876543210")
        .replace("index 3", "index 4");
    assert_eq!(identify(&built).fingerprint, identify(rust).fingerprint);
}

#[test]
fn another_root_or_another_place_is_another_group() {
    let other_root = JAVA.replace("IllegalStateException", "IllegalArgumentException");
    let other_place = JAVA.replace("com.shop.Pool.", "com.shop.Stock.");
    let fingerprints = [
        identify(JAVA).fingerprint,
        identify(&other_root).fingerprint,
        identify(&other_place).fingerprint,
    ];
    assert_ne!(fingerprints[0], fingerprints[1]);
    assert_ne!(fingerprints[0], fingerprints[2]);
}

#[test]
fn a_record_is_known_by_its_mask() {
    let one = identify("2026-03-01 10:00:00 ERROR user 7 from 10.0.0.1 failed\n");
    let two = identify("2026-03-02 11:00:00 ERROR user 8 from 10.0.0.2 failed\n");
    assert_eq!(one.template, "user <num> from <ip> failed");
    assert_eq!(one.fingerprint, two.fingerprint);
}

/// These values are in people's silences and in the outboxes of fleets: a change of any of them is a decision, to be
/// made with `fingerprint_version`.
#[test]
fn golden_fingerprints() {
    let golden = [
        (
            "2026-03-01 10:00:00 ERROR user 7 from 10.0.0.1 failed\n",
            "7f930ae20771c8fb",
        ),
        (JAVA, "ad902861d3804a57"),
        (
            "Traceback (most recent call last):\n  File \"/srv/shop/cart.py\", line 12, in add\n    x()\nValueError: 7 is too much\n",
            "e7d30906423b2805",
        ),
        (
            "panic: boom 7\n\ngoroutine 1 [running]:\nshop.com/cart.(*Cart).Add(0x1)\n\t/src/cart.go:3 +0x1\n",
            "3d9960dd4030ed62",
        ),
    ];
    let got: Vec<_> = golden.iter().map(|(text, _)| identify(text).fingerprint).collect();
    let want: Vec<_> = golden
        .iter()
        .map(|(_, fingerprint)| (*fingerprint).to_owned())
        .collect();
    assert_eq!(got, want);
}

#[test]
fn letters_of_other_scripts_do_not_change_what_a_trace_is_known_by() {
    let other = JAVA
        .replace("card declined", "карта отклонена")
        .replace("pool exhausted", "连接池已耗尽：请稍后再试");
    assert_ne!(other, JAVA);
    assert_eq!(identify(&other).fingerprint, identify(JAVA).fingerprint);
    let csharp = |place: &str| {
        format!("Unhandled exception. System.IO.IOException: x\n   {place} Shop.Cart.Pay() in /src/Cart.cs:line 7\n")
    };
    assert_eq!(
        identify(&csharp("à")).fingerprint,
        identify(&csharp("at")).fingerprint,
        "the same in French"
    );
}
