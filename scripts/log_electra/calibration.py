"""What a score means: measured on normal lines that were held out of training, never on training lines."""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

Line = TypeVar("Line")
RATES = [0.0001, 0.001, 0.005, 0.01, 0.02, 0.05]
# Held-out scores that a model keeps; a model file with more than 4,096 is refused by the device.
SCORES_KEPT = 1000
# Engines round differently: a line that was held out scores what it scored then, give or take so much.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Calibration:
    """`threshold` is exceeded by a share `rate` of normal lines; `thresholds` has other rates with theirs."""

    lines: int
    strings: int
    rate: float
    threshold: float
    thresholds: list[list[float]]
    scores: list[float] = field(repr=False)

    def confidence(self, score: float) -> float:
        """The share of held-out normal lines that do not score higher."""
        return bisect.bisect_right(self.scores, score + ROUNDING) / len(self.scores)

    def at_rate(self, rate: float) -> Calibration:
        return Calibration(**{**asdict(self), "rate": rate, "threshold": threshold_at(self.scores, rate)})


def calibrate(scores: Iterable[float], lines: int, strings: int, rate: float) -> Calibration:
    """`scores`: one for each held-out line that counts (see `few_of_each`)."""
    ordered = sorted(scores)
    if not ordered:
        raise ValueError("no normal lines were held out: nothing to calibrate on")
    thresholds = [[other, threshold_at(ordered, other)] for other in RATES]
    kept = thin_out(ordered, SCORES_KEPT)
    return Calibration(lines, strings, rate, threshold_at(ordered, rate), thresholds, kept)


def cross_fitted(
    lines: Sequence[Line], folds: int, seed: int, fit: Callable[[list[Line], list[Line]], Callable[[list[Line]], Sequence[float]]]
) -> list[float]:
    """A score of each line by something that was fitted on others only: so all lines are held out once, and few are enough.

    `fit(others, held_out)` returns what scores; it is called once for each of `folds` parts of about one size.
    """
    order = list(range(len(lines)))
    random.Random(seed).shuffle(order)
    scores = [0.0] * len(lines)
    for fold in range(folds):
        held_out = order[fold::folds]
        others = [lines[at] for part in range(folds) if part != fold for at in order[part::folds]]
        part = [lines[at] for at in held_out]
        for at, score in zip(held_out, fit(others, part)(part), strict=True):
            scores[at] = float(score)
    return scores


def threshold_at(ordered: Sequence[float], rate: float) -> float:
    """Exceeded by a share of `rate`; the line that it is the score of is below it in every engine."""
    return quantile(ordered, 1 - rate) + ROUNDING


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest score that at least `share` of all do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered) - 1e-9) - 1))]


def thin_out(ordered: Sequence[float], count: int) -> list[float]:
    """At most `count` scores, evenly by rank, the highest among them."""
    if len(ordered) <= count:
        return list(ordered)
    return [ordered[math.ceil((at + 1) * len(ordered) / count) - 1] for at in range(count)]


def few_of_each(strings: Iterable[str], most: int) -> list[str]:
    """Each distinct string at most so often: one burst must not decide what is normal."""
    counted: Counter[str] = Counter()
    kept: list[str] = []
    for string in strings:
        counted[string] += 1
        if counted[string] <= most:
            kept.append(string)
    return kept
