"""Calibration and metrics, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from log_electra.calibration import calibrate, cross_fitted, few_of_each, quantile, thin_out
from log_electra.metrics import Ranking, at_threshold, resample


def test_a_threshold_is_exceeded_by_its_share() -> None:
    scores = [at / 1000 for at in range(1000)]
    found = calibrate(reversed(scores), lines=1000, strings=10, rate=0.01)
    assert sum(score > found.threshold for score in scores) == 10
    assert dict(map(tuple, found.thresholds))[0.05] == pytest.approx(0.949, abs=1e-4)
    assert found.confidence(2.0) == 1.0 and found.confidence(-1.0) == 0.0
    assert found.confidence(0.4995) == pytest.approx(0.5)
    assert found.at_rate(0.2).threshold == pytest.approx(0.799, abs=1e-4)


def test_lines_that_were_held_out_are_not_abnormal_by_rounding() -> None:
    found = calibrate([0.1, 0.2, 0.3], lines=3, strings=3, rate=0.01)
    assert 0.3 + 1e-6 < found.threshold and 0.3 - 1e-6 < found.threshold
    assert found.confidence(0.2 - 1e-6) == found.confidence(0.2 + 1e-6) == pytest.approx(2 / 3)


def test_no_line_is_scored_by_what_saw_it() -> None:
    parts = []

    def fit(others: list[int], held_out: list[int]):
        assert not set(others) & set(held_out) and len(others) + len(held_out) == 10
        parts.append(len(held_out))
        return lambda lines: [line in others for line in lines]

    assert cross_fitted(range(10), 3, 1, fit) == [0.0] * 10
    assert sorted(parts) == [3, 3, 4]


def test_few_scores_and_many() -> None:
    assert quantile([1.0], 0.99) == 1.0
    assert quantile([1.0, 2.0], 0.5) == 1.0
    assert thin_out([1, 2, 3], 5) == [1, 2, 3]
    assert thin_out(list(range(1, 11)), 5) == [2, 4, 6, 8, 10]
    with pytest.raises(ValueError, match="held out"):
        calibrate([], 0, 0, 0.01)


def test_a_burst_counts_a_few_times() -> None:
    assert few_of_each(["a", "b", "a", "a"], 2) == ["a", "b", "a"]


def test_ranking_by_hand() -> None:
    labels = np.array([True, False, True, False])
    ranking = Ranking(np.array([4.0, 3.0, 2.0, 1.0]), labels)
    assert ranking.auroc() == pytest.approx(0.75)
    assert ranking.average_precision() == pytest.approx((1 + 2 / 3) / 2)
    assert ranking.best_f1() == pytest.approx(0.8)
    # All equal: no better than chance.
    assert Ranking(np.zeros(4), labels).auroc() == pytest.approx(0.5)
    at = at_threshold(np.array([4.0, 3.0, 2.0, 1.0]), labels, 2.5)
    assert (at.precision, at.recall, at.false_positive_rate) == (0.5, 0.5, 0.5)


def test_weights_are_repetitions() -> None:
    scores, labels = np.array([3.0, 2.0, 1.0]), np.array([True, False, True])
    weights = np.array([1.0, 3.0, 2.0])
    repeated = Ranking(np.repeat(scores, [1, 3, 2]), np.repeat(labels, [1, 3, 2]))
    assert Ranking(scores, labels).auroc(weights) == pytest.approx(repeated.auroc())
    assert Ranking(scores, labels).average_precision(weights) == pytest.approx(repeated.average_precision())


def test_the_bootstrap_draws_whole_groups() -> None:
    for weights in resample(np.array([0, 0, 1, 2, 2]), 20, seed=1):
        assert weights[0] == weights[1] and weights[3] == weights[4]
