"""Writes logs of a made-up order service: normal ones, and some with anomalies of several kinds among normal lines.

    make_logs.py FOLDER     normal.log, mixed.log, and labels.jsonl: {"log", "label", "kind"} for each line of mixed.log

All lines are INFO: what is abnormal can only be told by its words.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

NORMAL_LINES, MIXED_LINES, ABNORMAL_EVERY = 4000, 1500, 50

Dice = random.Random


def _ip(dice: Dice) -> str:
    return f"10.{dice.randint(0, 9)}.{dice.randint(0, 255)}.{dice.randint(1, 254)}"


NORMAL: list[Callable[[Dice], str]] = [
    lambda d: f"GET /orders/{d.randint(1, 9999)} answered 200 in {d.randint(1, 90)} ms",
    lambda d: f"POST /orders answered 201 in {d.randint(5, 200)} ms",
    lambda d: f"connection from {_ip(d)}:{d.randint(1024, 65535)} accepted",
    lambda d: f"connection from {_ip(d)}:{d.randint(1024, 65535)} closed by peer",
    lambda d: f"user {d.choice(['alice', 'bob', 'carol', 'dave'])} signed in from {_ip(d)}",
    lambda d: f"order {d.randint(1, 9999)} paid by {d.choice(['card', 'invoice', 'voucher'])}, total {d.randint(1, 500)}.{d.randint(10, 99)}",
    lambda d: f"order {d.randint(1, 9999)} sent to warehouse {d.choice(['north', 'south', 'east'])}",
    lambda d: f"cache of {d.choice(['prices', 'users', 'stock'])} refreshed, {d.randint(10, 5000)} entries in {d.randint(2, 80)} ms",
    lambda d: f"wrote /var/lib/shop/export-{d.randint(1, 999)}.csv, {d.randint(1, 900)} rows",
    lambda d: f"queue {d.choice(['mail', 'billing', 'export'])} has {d.randint(0, 40)} messages",
    lambda d: f"mail to customer {d.randint(1, 9999)} handed to relay {_ip(d)}",
    lambda d: f"session {d.getrandbits(64):016x} expired after {d.randint(10, 60)} minutes",
    lambda d: f"health check of {d.choice(['database', 'relay', 'warehouse'])} took {d.randint(1, 30)} ms",
    lambda d: f"job {d.choice(['export', 'cleanup', 'report'])} started by timer",
    lambda d: f"job {d.choice(['export', 'cleanup', 'report'])} finished, {d.randint(0, 700)} rows, {d.randint(1, 99)} s",
]

# Kinds: words that nobody knows; known words in an order or place that never was; a text of another program; garbage.
ABNORMAL: dict[str, Callable[[Dice], str]] = {
    "unknown words": lambda d: d.choice(
        [
            f"journal replay aborted: checksum mismatch in segment {d.randint(1, 99)}",
            "possible SYN flooding, dropping half-open sockets",
            f"thermal throttling engaged, core at {d.randint(95, 105)} degrees",
            "certificate chain incomplete, falling back to plaintext",
        ]
    ),
    "known words, wrong place": lambda d: d.choice(
        [
            f"order {d.randint(1, 9999)} closed by relay, warehouse expired",
            f"user cache signed in from queue, {d.randint(1, 99)} rows aborted",
            f"connection to database closed after {d.randint(1, 9)} retries, orders expired",
            f"mail queue refused by peer {_ip(d)}, customer session closed",
        ]
    ),
    "another program": lambda d: d.choice(
        [
            f"segfault at {d.getrandbits(40):x} ip {d.getrandbits(40):x} error 4 in libshop.so",
            f"Out of memory: Killed process {d.randint(100, 9999)} (java)",
            "EXT4-fs error (device sda1): ext4_lookup: deleted inode referenced",
        ]
    ),
    "garbage": lambda d: "".join(d.choice("qxzjvkw#%&") for _ in range(d.randint(20, 60))),
}


def make(folder: Path, seed: int = 1) -> None:
    dice = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    normal = [dice.choice(NORMAL)(dice) for _ in range(NORMAL_LINES)]
    rows: list[dict[str, object]] = []
    kinds = list(ABNORMAL)
    for at in range(MIXED_LINES):
        if at % ABNORMAL_EVERY == ABNORMAL_EVERY // 2:
            kind = kinds[at // ABNORMAL_EVERY % len(kinds)]
            rows.append({"log": ABNORMAL[kind](dice), "label": 1, "kind": kind})
        else:
            rows.append({"log": dice.choice(NORMAL)(dice), "label": 0, "kind": "normal"})
    (folder / "normal.log").write_text(_stamped(normal))
    (folder / "mixed.log").write_text(_stamped([str(row["log"]) for row in rows]))
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _stamped(messages: list[str]) -> str:
    begin = datetime(2026, 11, 2, 6)
    times = (begin + timedelta(milliseconds=317 * at) for at in range(len(messages)))
    return "".join(f"{time:%Y-%m-%d %H:%M:%S} INFO {message}\n" for time, message in zip(times, messages))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
