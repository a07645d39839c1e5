#!/usr/bin/env python3
"""Trains LogELECTRA on normal lines of your own logs.

    exception-log-collector scan --all --json /var/log/app/*.log | scripts/train_log_electra.py - -o model
    scripts/train_log_electra.py messages.txt -o model          (lines without time stamp and level)

Writes MODEL: a directory of transformers for scripts/log_electra_service.py, and in it model.elc for the device. The
lines should be normal: what is in them is what will not be found strange. Needs scripts/requirements.txt.
"""

from __future__ import annotations

import os

# Before torch: on shared cores one thread was 3.5 times as fast as two.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from log_electra.calibration import Calibration, calibrate, cross_fitted, few_of_each
from log_electra.lines import read_messages
from log_electra.model import LogElectra, load, read_vocabulary, scores, write_vocabulary
from log_electra.text import Vocabulary, normalise, train_vocabulary

HELD_OUT = 0.2
# The paper's network; it takes hours without a GPU.
PAPER = {"width": 512, "layers": 6, "heads": 8, "embedding": 512, "generator_width": 256, "generator_layers": 3}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    messages = list(read_messages(options.lines))
    try:
        if options.calibrate_only:
            return recalibrate(options, messages)
        train(options, messages)
    except ValueError as error:
        print(f"train_log_electra.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    form = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=form)
    parser.add_argument("lines", nargs="+", help="files of messages or of what scan --all --json prints; - is stdin")
    parser.add_argument("-o", "--output", type=Path, required=True, help="directory of the model")
    parser.add_argument("--name", default="log-electra", help="the model's name in alerts")
    parser.add_argument("--target-rate", type=float, default=0.01, help="share of normal lines found abnormal")
    parser.add_argument(
        "--folds", type=int, default=1, help="above 1: train so many models more, for thresholds by few lines (cross-fitting)"
    )
    parser.add_argument("--vocabulary-size", type=int, default=2000)
    parser.add_argument("--vocabulary", type=Path, help="directory whose vocab.txt is used instead of a new one")
    parser.add_argument("--paper", action="store_true", help="the paper's size: 512 wide, 6 layers")
    parser.add_argument("--calibrate-only", action="store_true", help="new thresholds for a trained model, by new lines")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    from log_electra.training import Settings

    for setting in fields(Settings):
        name = "--" + setting.name.replace("_", "-")
        parser.add_argument(name, type=type(setting.default), default=setting.default)
    options = parser.parse_args(arguments)
    if not 0 < options.target_rate < 1:
        parser.error("--target-rate is a share between 0 and 1")
    if not 1 <= options.folds <= 20:
        parser.error("--folds is a number from 1 to 20")
    if options.paper:
        vars(options).update(PAPER)
    return options


def train(options: argparse.Namespace, messages: list[str]) -> None:
    from log_electra.training import Settings, Training

    settings = Settings(**{setting.name: getattr(options, setting.name) for setting in fields(Settings)})
    kept, held_out = split(messages, settings.seed)
    if options.folds > 1:
        # Nothing has to be kept back: each line is held out once, from another model.
        kept = messages
    say(options, f"{len(messages)} lines, {len(set(map(normalise, messages)))} distinct once normalised")
    vocabulary = choose_vocabulary(options, kept)
    training = Training(settings, vocabulary, kept, held_out)
    checkpoint = options.output / "checkpoint.pt"
    if checkpoint.exists():
        resumed = training.resume(checkpoint)
        say(options, f"resumed at step {training.step}" if resumed else "checkpoint is of another training: begins anew")
    network = training.run(lambda progress: tell(options, progress), checkpoint)
    origin = f"{len(messages)} lines of {', '.join(Path(path).name for path in options.lines)}; seed {settings.seed}"
    model = LogElectra(network, vocabulary, no_calibration(options.target_rate), options.name, origin)
    from log_electra.model import round_to_half

    round_to_half(network)
    crossed = options.folds > 1
    model.calibration = cross_fit(options, settings, messages) if crossed else measure(model, held_out, options)
    model.save(options.output)
    checkpoint.unlink(missing_ok=True)
    report(options, model)


def cross_fit(options: argparse.Namespace, settings: object, messages: list[str]) -> Calibration:
    """Each line as often as it comes, by a model that never saw it."""
    from log_electra.training import scorer

    def fit(others: list[str], held_out: list[str]) -> Callable[[list[str]], list[float]]:
        say(options, f"for the threshold: {len(held_out)} lines, by a model of the others")
        return scorer(settings, options.vocabulary_size, others, held_out, lambda progress: tell(options, progress))

    found = cross_fitted(messages, options.folds, settings.seed, fit)
    return calibrate(found, len(messages), len(set(map(normalise, messages))), options.target_rate)


def recalibrate(options: argparse.Namespace, messages: list[str]) -> int:
    """All lines count: none of them was trained on."""
    model = load(options.output)
    model.calibration = measure(model, messages, options)
    model.save(options.output)
    report(options, model)
    return 0


def split(messages: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Lines to train on, and lines held out for calibration."""
    chosen = random.Random(seed).sample(range(len(messages)), int(len(messages) * HELD_OUT))
    held_out = set(chosen)
    kept = [message for at, message in enumerate(messages) if at not in held_out]
    return kept, [messages[at] for at in sorted(held_out)]


def choose_vocabulary(options: argparse.Namespace, kept: list[str]) -> Vocabulary:
    if options.vocabulary:
        return read_vocabulary(options.vocabulary)
    vocabulary = train_vocabulary(few_of_each(kept, options.most_of_each), options.vocabulary_size)
    options.output.mkdir(parents=True, exist_ok=True)
    write_vocabulary(vocabulary, options.output)
    say(options, f"{len(vocabulary)} pieces in the vocabulary")
    return vocabulary


def no_calibration(rate: float) -> Calibration:
    return Calibration(0, 0, rate, 0.0, [], [0.0])


def measure(model: LogElectra, messages: list[str], options: argparse.Namespace) -> Calibration:
    strings = few_of_each(map(normalise, messages), options.most_of_each)
    # What is normalised stays so: place holders are words of the vocabulary, not of the normaliser.
    counted = few_of_each_message(messages, options.most_of_each)
    encoded = [model.vocabulary.encode(message, model.positions) for message in counted]
    return calibrate(scores(model.network, encoded), len(strings), len(set(strings)), options.target_rate)


def few_of_each_message(messages: list[str], most: int) -> list[str]:
    """Messages, at most so many of those that normalise to one string."""
    seen: dict[str, int] = {}
    kept = []
    for message in messages:
        string = normalise(message)
        seen[string] = seen.get(string, 0) + 1
        if seen[string] <= most:
            kept.append(message)
    return kept


def tell(options: argparse.Namespace, progress: object) -> None:
    p = progress
    left = (p.steps - p.step) * options.batch / max(p.lines_per_second, 1e-9)
    text = f"step {p.step}/{p.steps}  loss {p.loss:.4f}  held out {p.checked:.4f}"
    say(options, f"{text}  {p.lines_per_second:.0f} lines/s  {left:.0f} s left")


def report(options: argparse.Namespace, model: LogElectra) -> None:
    c = model.calibration
    say(options, f"{options.output}: {model.name} {model.version}, threshold {c.threshold:.4f} at {c.rate:.2%},")
    say(options, f"calibrated on {c.lines} held-out lines, {c.strings} distinct")
    if c.lines * c.rate < 1:
        say(options, f"too few held-out lines for a rate of {c.rate:.2%}: the threshold is the highest score seen;")
        say(options, "more lines, or --folds 4, make it mean something")


def say(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
