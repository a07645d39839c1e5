"""Normaliser, vocabulary and WordPiece; what they must give is in Rust's tests too (src/analyzer/electra)."""

from __future__ import annotations

import pytest
from log_electra.text import PLACE_HOLDERS, SPECIAL, TEXT_BYTES, Vocabulary, normalise, train_vocabulary

# As in src/analyzer/electra/normalise.rs.
NORMALISED = {
    "Took 35 ms, retried 2 times": "took <num> ms retried <num> times",
    "took 35ms of 1.5s": "took <num> ms <num> s",
    "peer 10.0.0.7:8080 gone": "peer <ip> gone",
    "peer 1.2.3.4.5 and 1.2.3.4567": "peer <num>",
    "peer fe80::1ff:fe23:4567:890a gone": "peer <ip> gone",
    "id 6F1C2D3E-0a1b-4c5d-8e9f-001122334455.": "id <uuid>",
    "dev 00:1b:44:11:3a:b7 up": "dev <mac> up",
    "open /var/lib/app/data.db: no such file": "open <path> no such file",
    r"open C:\app\data.db failed": "open <path> failed",
    "GET http://a.example/x?id=7, again": "get <url> id <num> again",
    "mail to ops@example.org failed": "mail <email> failed",
    "pointer 0x7ffe12 of deadbeef01": "pointer <hex>",
    "worker-12 at v1.2.3": "worker <num> v <num>",
    "at 2024-05-06T07:08:09Z or 07:08:09": "<time>",
    "token a1b2c3z4e5 is read/write": "token <id> read write",
    "can't stop; x=-17 (99%)": "can t stop x <num>",
    "错误 42 发生": "错 误 <num> 发 生",
    "Überlauf café2": "Überlauf café <num>",
    "/ ~ .. --- :": "",
}


@pytest.mark.parametrize("text", NORMALISED)
def test_what_varies_becomes_a_place_holder(text: str) -> None:
    assert normalise(text) == NORMALISED[text]


def test_only_the_head_is_looked_at() -> None:
    assert normalise("é " * TEXT_BYTES).count("é") == TEXT_BYTES // 3


def test_the_longest_piece_comes_first() -> None:
    vocabulary = Vocabulary([*SPECIAL, "<num>", "core", "gen", "##er", "##ating", "##e"])
    assert vocabulary.encode("generating core.2112", 9) == [2, 7, 8, 9, 6, 5, 3]
    assert vocabulary.encode("generic core", 9) == [2, 1, 6, 3]
    assert vocabulary.encode("generating core.2112", 5) == [2, 7, 8, 9, 3]
    assert vocabulary.encode("e" * 101, 9) == [2, 1, 3]


def test_the_same_lines_give_the_same_vocabulary() -> None:
    lines = ["job 17 done", "job 18 failed", "disk failing", "done"] * 5
    vocabulary = train_vocabulary(lines, 60)
    assert vocabulary.pieces == train_vocabulary(reversed(lines), 60).pieces
    assert set(PLACE_HOLDERS) <= set(vocabulary.pieces) and len(vocabulary) <= 60
    assert vocabulary.encode("job done", 9)[1:-1] == [vocabulary.pieces.index("job"), vocabulary.pieces.index("done")]


def test_a_vocabulary_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(ValueError, match="begins with"):
        Vocabulary(["a", "b"])
    with pytest.raises(ValueError, match="twice"):
        Vocabulary([*SPECIAL, "a", "a"])
