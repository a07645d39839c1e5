"""The signals that evaluation compares: levels, novelty, rarity, the model, and their combination.

Each is fitted on normal lines and calibrated on others, then scores any line; higher is stranger.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from .lines import LEVELS, Labelled
from .metrics import Floats
from .text import words

Signal = Callable[[Sequence[Labelled]], Floats]
# As the agent's templates: so much of two messages of one length must be equal.
SIMILARITY = 0.7


def levels(lines: Sequence[Labelled]) -> Floats:
    """The level that the line was written with; none: that of info."""
    return np.array([LEVELS.index(line.level or "info") for line in lines], dtype=float)


def novelty(train: Sequence[Labelled]) -> Signal:
    """How unlike the nearest template a message is, 0 to 1: templates as Drain makes them (He et al. 2017), without its tree."""
    templates: dict[int, list[list[str]]] = defaultdict(list)
    for line in train:
        tokens = list(words(line.message))
        found, near = _nearest(templates[len(tokens)], tokens)
        if found is None or near < SIMILARITY:
            templates[len(tokens)].append(tokens)
        else:
            found[:] = [a if a == b else "*" for a, b in zip(found, tokens)]

    def score(lines: Sequence[Labelled]) -> Floats:
        spelt = [list(words(line.message)) for line in lines]
        return np.array([1 - _nearest(templates[len(tokens)], tokens)[1] for tokens in spelt])

    return score


def _nearest(templates: list[list[str]], tokens: list[str]) -> tuple[list[str] | None, float]:
    best, best_share = None, 0.0
    for template in templates:
        equal = sum(a == b or a == "*" for a, b in zip(template, tokens))
        share = equal / len(tokens) if tokens else 1.0
        if best is None or share > best_share:
            best, best_share = template, share
    return best, best_share


def rarity(train: Sequence[Labelled]) -> Signal:
    """Mean surprise of each word after the one before it: bigrams that back off to words, counted on distinct messages."""
    singles: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for message in {tuple(words(line.message)) for line in train}:
        singles.update(message)
        pairs.update(zip(("^", *message), message))
    before: Counter[str] = Counter()
    for (first, _), count in pairs.items():
        before[first] += count
    total, distinct = sum(singles.values()), len(singles) + 1

    def surprise(first: str, word: str) -> float:
        alone = (singles[word] + 1) / (total + distinct)
        return -math.log((pairs[first, word] + alone) / (before[first] + 1))

    def score(lines: Sequence[Labelled]) -> Floats:
        spelt = [list(words(line.message)) for line in lines]
        sums = [sum(map(surprise, ["^", *tokens], tokens)) / max(1, len(tokens)) for tokens in spelt]
        return np.array(sums)

    return score


def combination(parts: Sequence[tuple[Floats, float]]) -> Floats:
    """The mean of signals, each as a multiple of its threshold for one and the same rate of false alarms.

    So 1 is the border, and a signal that is far beyond its own carries those that see nothing.
    """
    return np.mean([scores / max(threshold, 1e-6) for scores, threshold in parts], axis=0)
