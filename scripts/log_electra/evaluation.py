"""Splits a labelled log, fits every signal on its normal lines, and measures them on the rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import signals
from .calibration import cross_fitted, quantile
from .lines import LEVELS, Labelled
from .metrics import Floats, Ranking, at_threshold, interval, resample
from .text import normalise

COMBINATION = "combination"
# The agent's default: warn and above.
ALERT_AT = LEVELS.index("warn") - 0.5
# What is combined. Rarity is left out: beside a model it made nothing better (chosen on splits that are not reported).
COMBINED = ["levels", "novelty", "model"]


@dataclass(frozen=True)
class Split:
    """`normal` lines to train and to calibrate on, `test` lines to measure on."""

    name: str
    normal: list[Labelled]
    test: list[Labelled]


# Trains a model on normal lines; the others are for its progress only.
FitModel = Callable[[list[Labelled], list[Labelled]], signals.Signal]


@dataclass(frozen=True)
class Scored:
    """Scores of a signal on the test lines, and its threshold, by lines that it was not fitted on."""

    scores: Floats
    threshold: float


def split(lines: Sequence[Labelled], seed: int | None, test_share: float) -> Split:
    """`seed`: a random split; none: the first lines are for training, as time goes. Only normal lines are trained on."""
    order = list(range(len(lines)))
    if seed is not None:
        random.Random(seed).shuffle(order)
    border = round(len(order) * (1 - test_share))
    normal = [lines[at] for at in order[:border] if not lines[at].abnormal]
    name = "chronological" if seed is None else f"random {seed}"
    # The order of test lines is kept: sequences are made of neighbours.
    return Split(name, normal, [lines[at] for at in sorted(order[border:])])


def score_all(split: Split, fit_model: FitModel, rate: float, folds: int, seed: int) -> dict[str, Scored]:
    """All signals, fitted on all normal lines; thresholds by cross-fitting, each line as often as it comes."""
    fits: dict[str, FitModel] = {
        "levels": lambda *_: signals.levels,
        "novelty": lambda lines, _: signals.novelty(lines),
        "rarity": lambda lines, _: signals.rarity(lines),
        "model": fit_model,
    }
    held_out = {name: np.array(cross_fitted(split.normal, folds, seed, fit)) for name, fit in fits.items()}
    test = {name: fit(split.normal, split.normal)(split.test) for name, fit in fits.items()}
    threshold = {name: quantile(sorted(scores), 1 - rate) for name, scores in held_out.items()}
    together = [signals.combination([(s[n], threshold[n]) for n in COMBINED]) for s in (held_out, test)]
    # Levels have no rate: people say from which level on they want to be told.
    scored = {name: Scored(test[name], ALERT_AT if name == "levels" else threshold[name]) for name in fits}
    scored[COMBINATION] = Scored(together[1], quantile(sorted(together[0]), 1 - rate))
    return scored


def labels_of(lines: Sequence[Labelled]) -> NDArray[np.bool_]:
    return np.array([line.abnormal for line in lines])


def templates_of(lines: Sequence[Labelled]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(normalise(line.message), len(numbers)) for line in lines])


def sequences(scores: Floats, length: int) -> Floats:
    """The highest score of each run of `length` lines."""
    return np.array([scores[at : at + length].max() for at in range(0, len(scores), length)])


def sequence_labels(labels: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """As the paper has it: abnormal if any line is."""
    return np.array([labels[at : at + length].any() for at in range(0, len(labels), length)])


@dataclass(frozen=True)
class Bootstrap:
    """95 % intervals over distinct templates: of each signal's AP, and of the combination's AP less the best single's."""

    precision: dict[str, tuple[float, float]]
    auroc: dict[str, tuple[float, float]]
    gain: tuple[float, float, float]
    best_single: str


def bootstrap(split: Split, scored: dict[str, Scored], times: int, seed: int) -> Bootstrap:
    labels = labels_of(split.test)
    rankings = {name: Ranking(s.scores, labels) for name, s in scored.items()}
    draws = resample(templates_of(split.test), times, seed)
    precision = {name: [r.average_precision(w) for w in draws] for name, r in rankings.items()}
    auroc = {name: interval([r.auroc(w) for w in draws]) for name, r in rankings.items()}
    singles = {name: r.average_precision() for name, r in rankings.items() if name != COMBINATION}
    best = max(singles, key=lambda name: singles[name])
    gains = [a - b for a, b in zip(precision[COMBINATION], precision[best], strict=True)]
    gain = rankings[COMBINATION].average_precision() - singles[best]
    return Bootstrap({n: interval(v) for n, v in precision.items()}, auroc, (gain, *interval(gains)), best)


def line_rows(split: Split, scored: dict[str, Scored]) -> list[list[str]]:
    labels = labels_of(split.test)
    return [_row(name, s.scores, labels, s.threshold) for name, s in scored.items()]


def sequence_rows(split: Split, scored: dict[str, Scored], length: int) -> list[list[str]]:
    labels = sequence_labels(labels_of(split.test), length)
    return [_row(name, sequences(s.scores, length), labels, s.threshold) for name, s in scored.items()]


HEAD = ["signal", "AUROC", "AP", "best F1", "F1", "precision", "recall", "false alarms"]


def _row(name: str, scores: Floats, labels: NDArray[np.bool_], threshold: float) -> list[str]:
    ranking, at = Ranking(scores, labels), at_threshold(scores, labels, threshold)
    numbers = [ranking.auroc(), ranking.average_precision(), ranking.best_f1(), at.f1, at.precision, at.recall]
    return [name, *(f"{number:.3f}" for number in numbers), f"{at.false_positive_rate:.2%}"]
