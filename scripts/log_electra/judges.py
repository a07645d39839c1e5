"""Who judges a line in the service: a model that our training wrote, or any ELECTRA that transformers can load."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn
from transformers import AutoConfig, AutoTokenizer, ElectraForPreTraining, ElectraForSequenceClassification

from .model import ABOUT_FILE, LogElectra, load, scores
from .text import TEXT_BYTES, normalise

HOW_TO = """LOG_ELECTRA_MODEL must be one of
  a directory that scripts/train_log_electra.py wrote:   LOG_ELECTRA_MODEL=/var/lib/log-electra/model
  another directory of transformers, or a name on the Hugging Face hub: an ELECTRA discriminator (with
  LOG_ELECTRA_THRESHOLD, because it has no calibration), or an ELECTRA classifier whose label 1 is "abnormal"
Train one on your own logs:
  exception-log-collector scan --all --json LOGS | scripts/train_log_electra.py - -o model"""


class NoModel(Exception):
    """There is no model that could be used; the text says why and what to do."""


@dataclass(frozen=True)
class Verdict:
    label: int
    confidence: float
    score: float
    threshold: float
    model: str

    def as_json(self) -> dict[str, object]:
        return {
            "label": self.label,
            "confidence": round(self.confidence, 6),
            "score": round(self.score, 6),
            "threshold": round(self.threshold, 6),
            "model": self.model,
        }


class Judge(Protocol):
    name: str
    version: str

    def key(self, text: str) -> str:
        """What of a text decides: texts with one key have one verdict."""
        ...

    def verdicts(self, texts: Sequence[str]) -> list[Verdict]: ...

    def about(self) -> dict[str, object]: ...


class Trained:
    """A model of ours, with its calibration."""

    def __init__(self, model: LogElectra) -> None:
        self.model = model
        self.name, self.version = model.name, model.version

    def key(self, text: str) -> str:
        return normalise(text)

    def verdicts(self, texts: Sequence[str]) -> list[Verdict]:
        c = self.model.calibration
        who = f"{self.name} {self.version}"
        return [
            # A line without words scores 0: nothing was said, so nothing is strange.
            Verdict(int(score > c.threshold), c.confidence(score) if score else 0.0, score, c.threshold, who)
            for score in self.model.scores(texts)
        ]

    def about(self) -> dict[str, object]:
        c = self.model.calibration
        return {"model": self.name, "version": self.version, "threshold": c.threshold, "rate": c.rate}


class Foreign:
    """An ELECTRA with a tokenizer of its own: a discriminator with a threshold from outside, or a classifier."""

    def __init__(self, network: nn.Module, tokenizer: object, name: str, threshold: float) -> None:
        self.network, self.tokenizer, self.name, self.version = network, tokenizer, name, "transformers"
        self.threshold = threshold
        self.positions = min(network.config.max_position_embeddings, 512)
        self.classifies = isinstance(network, ElectraForSequenceClassification)

    def key(self, text: str) -> str:
        return text.encode("utf-8", "replace")[:TEXT_BYTES].decode("utf-8", "ignore")

    def verdicts(self, texts: Sequence[str]) -> list[Verdict]:
        cut = [self.key(text) for text in texts]
        encoded = self.tokenizer(cut, truncation=True, max_length=self.positions)["input_ids"]
        return self._classify(encoded) if self.classifies else self._discriminate(encoded)

    def _discriminate(self, encoded: list[list[int]]) -> list[Verdict]:
        # Not calibrated: the probability that belongs to the mean surprise stands for confidence.
        found = scores(self.network, encoded)
        return [self._verdict(score > self.threshold, 1 - math.exp(-score), score) for score in found]

    @torch.inference_mode()
    def _classify(self, encoded: list[list[int]]) -> list[Verdict]:
        padded = self.tokenizer.pad({"input_ids": encoded}, return_tensors="pt")
        shares = self.network(**padded).logits.softmax(-1)[:, 1].tolist()
        return [self._verdict(share > self.threshold, share if share > self.threshold else 1 - share, share) for share in shares]

    def _verdict(self, abnormal: bool, confidence: float, score: float) -> Verdict:
        return Verdict(int(abnormal), confidence, score, self.threshold, self.name)

    def about(self) -> dict[str, object]:
        return {"model": self.name, "version": self.version, "threshold": self.threshold}


def choose(where: str, threshold: float | None, rate: float | None, int8: bool) -> Judge:
    """The model that LOG_ELECTRA_MODEL names."""
    if not where:
        raise NoModel(f"LOG_ELECTRA_MODEL is not set\n{HOW_TO}")
    folder = Path(where)
    if (folder / ABOUT_FILE).is_file():
        return _trained(folder, threshold, rate, int8)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise NoModel(f"{where} holds no model: neither {ABOUT_FILE} nor config.json\n{HOW_TO}")
    if where.startswith(("/", ".")) and not folder.is_dir():
        raise NoModel(f"{where} does not exist\n{HOW_TO}")
    return _foreign(where, threshold, int8)


def _trained(folder: Path, threshold: float | None, rate: float | None, int8: bool) -> Judge:
    try:
        model = load(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise NoModel(f"{folder} cannot be used: {error}\n{HOW_TO}") from error
    if rate is not None:
        model.calibration = model.calibration.at_rate(rate)
    if threshold is not None:
        model.calibration = type(model.calibration)(**{**vars(model.calibration), "threshold": threshold})
    return Trained(quiet_int8(model) if int8 else model)


def quiet_int8(model: LogElectra) -> LogElectra:
    with warnings.catch_warnings():
        # torch has announced another package for this; the pinned version still has it.
        warnings.simplefilter("ignore")
        return model.quantised()


def _foreign(where: str, threshold: float | None, int8: bool) -> Judge:
    try:
        config = AutoConfig.from_pretrained(where)
        kinds = config.architectures or []
        if config.model_type != "electra":
            raise NoModel(f"{where} is a model of type {config.model_type}, not electra\n{HOW_TO}")
        classifies = any("SequenceClassification" in kind for kind in kinds)
        kind = ElectraForSequenceClassification if classifies else ElectraForPreTraining
        network = kind.from_pretrained(where).eval()
        tokenizer = AutoTokenizer.from_pretrained(where)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise NoModel(f"{where} could not be loaded, from here or from the hub: {first}\n{HOW_TO}") from error
    if threshold is None and not classifies:
        raise NoModel(f"{where} has no calibration: set LOG_ELECTRA_THRESHOLD (a score of `−mean log(1 − D)`)\n{HOW_TO}")
    if int8:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
    return Foreign(network, tokenizer, where, 0.5 if threshold is None else threshold)
