"""How well scores tell abnormal from normal: AUROC, AP, precision, recall, F1; with weights, for the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AtThreshold:
    precision: float
    recall: float
    f1: float
    false_positive_rate: float


class Ranking:
    """Scores in descending order, sorted once; weights may change. Equal scores are one place."""

    def __init__(self, scores: Floats, labels: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ordered = scores[self.order]
        self.labels = labels[self.order]
        # The last of each run of equal scores.
        self.ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def _found(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Weight of abnormal and of normal lines at or above each distinct score."""
        w = np.ones(len(self.order)) if weights is None else weights[self.order]
        return np.cumsum(w * self.labels)[self.ends], np.cumsum(w * ~self.labels)[self.ends]

    def auroc(self, weights: Floats | None = None) -> float:
        true, false = self._found(weights)
        if true[-1] == 0 or false[-1] == 0:
            return float("nan")
        recall, fall_out = np.append(0, true) / true[-1], np.append(0, false) / false[-1]
        return float(np.trapezoid(recall, fall_out))

    def average_precision(self, weights: Floats | None = None) -> float:
        true, false = self._found(weights)
        if true[-1] == 0:
            return float("nan")
        found = true + false
        precision = np.divide(true, found, out=np.zeros_like(true), where=found > 0)
        return float(np.sum(np.diff(np.append(0, true)) * precision) / true[-1])

    def best_f1(self) -> float:
        """With the threshold that makes it best: what papers report, and no service can know."""
        true, false = self._found(None)
        return float(np.max(2 * true / (true + false + true[-1])))

    def curve(self) -> tuple[Floats, Floats]:
        """ROC: false positive rate and recall."""
        true, false = self._found(None)
        return np.append(0, false / max(false[-1], 1)), np.append(0, true / max(true[-1], 1))


def at_threshold(scores: Floats, labels: NDArray[np.bool_], threshold: float) -> AtThreshold:
    alarmed = scores > threshold
    true = float(np.sum(alarmed & labels))
    precision = true / max(1.0, float(np.sum(alarmed)))
    recall = true / max(1.0, float(np.sum(labels)))
    f1 = 2 * precision * recall / (precision + recall) if true else 0.0
    return AtThreshold(precision, recall, f1, float(np.sum(alarmed & ~labels)) / max(1.0, float(np.sum(~labels))))


def resample(groups: NDArray[np.int64], times: int, seed: int) -> list[Floats]:
    """Weights of lines for the bootstrap: whole groups (distinct templates) are drawn with replacement."""
    dice = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    return [np.bincount(dice.integers(0, count, count), minlength=count)[groups].astype(float) for _ in range(times)]


def interval(values: list[float]) -> tuple[float, float]:
    """The middle 95 %."""
    known = np.array([value for value in values if not np.isnan(value)])
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
