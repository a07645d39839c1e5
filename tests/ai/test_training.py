"""What training writes, and that the device computes the same from it as transformers do."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import SCRIPTS, Trained
from log_electra.model import load
from log_electra.text import Vocabulary, normalise, train_vocabulary
from log_electra.training import Progress, Settings, Training

Ask = Callable[[list[str]], list[dict[str, object]]]
TOLERANCE = 1e-4


def hostile_lines(count: int) -> list[str]:
    """Lines that try to make two normalisers differ."""
    dice = random.Random(7)
    letters = list("abzABZ019.-:/@+%\\#$_~ \t()[]{}<>,;!?='\"`|&*^éßçİſKøя中文字あ…\u00a0\u2028\u2e7f\u2e80\ufffd🙂")
    bits = ["0x1f", "10.0.0.1", "::1", "/a/b", "C:\\x", "2026-11-23", "12:30:01", "a@b.c", "http://x/y", "deadbeef00"]
    bits += ["6f1c2d3e-0a1b-4c5d-8e9f-001122334455", "00:1b:44:11:3a:b7", "order", "paid", "x" * 120, "é" * 60]
    pieces = letters + bits
    return ["".join(dice.choice(pieces) for _ in range(dice.randint(0, 60))) for _ in range(count)]


def test_device_and_transformers_agree(trained: Trained, device_scores: Ask) -> None:
    texts = [str(row["log"]) for row in trained.labelled] + hostile_lines(3000) + ["", "order " * 400]
    # A line that begins with a brace could be taken for an object.
    texts = [text for text in texts if "\n" not in text and not text.startswith("{")]
    model = load(trained.folder)
    ours = model.scores(texts)
    theirs = device_scores(texts)
    assert len(ours) == len(theirs)
    for text, python, device in zip(texts, ours, theirs, strict=True):
        assert abs(python - device["score"]) < TOLERANCE, (text, normalise(text), python, device)
        assert device["label"] == int(python > model.calibration.threshold), text
    worst = max(abs(python - device["score"]) for python, device in zip(ours, theirs, strict=True))
    print(f"\n{len(texts)} lines, greatest difference {worst:.1e}")


def test_abnormal_lines_of_each_kind_are_found(trained: Trained) -> None:
    model = load(trained.folder)
    found = [score > model.calibration.threshold for score in model.scores([str(row["log"]) for row in trained.labelled])]
    total, hits = Counter(), Counter()
    for row, hit in zip(trained.labelled, found, strict=True):
        total[row["kind"]] += 1
        hits[row["kind"]] += hit
    print("\n" + ", ".join(f"{kind}: {hits[kind]} of {n}" for kind, n in total.items()))
    # Calibrated for one in a hundred.
    assert hits.pop("normal") <= 0.03 * total.pop("normal")
    assert all(hits[kind] >= 0.7 * n for kind, n in total.items())
    assert sum(hits.values()) >= 0.85 * sum(total.values())


def test_the_directory_says_where_the_model_came_from(agent: str, trained: Trained) -> None:
    about = json.loads((trained.folder / "log_electra.json").read_text())
    assert about["calibration"]["lines"] > 50 and about["calibration"]["rate"] == 0.01
    told = subprocess.run([agent, "model", "info", "--json", trained.folder / "model.elc"], capture_output=True, check=True)
    info = json.loads(told.stdout)
    assert (info["name"], info["version"]) == ("shop", about["version"])
    assert info["threshold"] == about["calibration"]["threshold"]
    assert (trained.folder / "model.elc").stat().st_size < 1 << 20
    assert not (trained.folder / "checkpoint.pt").exists()


SMALL = Settings(width=16, embedding=16, generator_width=16, steps=40, batch=8, check_every=10, positions=32)
LINES = [f"{verb} {noun} of unit {at}" for at in range(9) for verb in ("open", "close") for noun in ("valve", "door")]


def small_training() -> Training:
    return Training(SMALL, train_vocabulary(LINES, 100), LINES, LINES[:9])


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second = (small_training().run(lambda _: None).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_that_was_left_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole = small_training().run(lambda _: None).state_dict()
    left = small_training()

    def leave(progress: Progress) -> None:
        if progress.step == 20:
            left.save(tmp_path / "checkpoint.pt")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        left.run(leave)
    resumed = small_training()
    assert resumed.resume(tmp_path / "checkpoint.pt") and resumed.step == 20
    state = resumed.run(lambda _: None).state_dict()
    assert all(torch.equal(whole[name], state[name]) for name in whole)


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path: Path) -> None:
    small_training().save(tmp_path / "checkpoint.pt")
    other = Training(SMALL, train_vocabulary(LINES, 100), LINES[1:], LINES[:9])
    assert not other.resume(tmp_path / "checkpoint.pt")


def test_too_few_lines_are_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "few").write_text("one line\n")
    command = [sys.executable, SCRIPTS / "train_log_electra.py", tmp_path / "few", "-o", tmp_path / "model"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "too few lines" in done.stderr, done.stderr


def test_with_folds_each_line_is_held_out_once(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("\n".join(LINES) + "\n")
    small = ["--width", "16", "--embedding", "16", "--generator-width", "16", "--steps", "40", "--batch", "8"]
    command = [sys.executable, SCRIPTS / "train_log_electra.py", tmp_path / "lines", "-o", tmp_path / "model", "--folds", "3"]
    subprocess.run([*command, *small], check=True)
    model = load(tmp_path / "model")
    assert (model.calibration.lines, len(model.calibration.scores)) == (len(LINES), len(LINES))
    own = sorted(model.scores(LINES))
    assert own != pytest.approx(model.calibration.scores, abs=1e-6), "these are scores of lines that it was trained on"


def test_new_thresholds_leave_the_weights_alone(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    subprocess.run(["cp", "-r", trained.folder, folder], check=True)
    normal = [str(row["log"]) for row in trained.labelled if row["kind"] == "normal"]
    (tmp_path / "lines").write_text("\n".join(normal) + "\n")
    train = [sys.executable, SCRIPTS / "train_log_electra.py", "-o", folder, "--calibrate-only"]
    subprocess.run([*train, "--target-rate", "0.05", tmp_path / "lines"], check=True)
    before, after = load(trained.folder), load(folder)
    assert after.calibration.rate == 0.05 and after.calibration.threshold < before.calibration.threshold
    assert before.scores(normal[:20]) == after.scores(normal[:20]) and before.version != after.version
    assert isinstance(after.vocabulary, Vocabulary)
