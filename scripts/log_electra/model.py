"""A trained model: its directory for transformers, the one file for the device, and scoring.

A directory holds config.json and model.safetensors as transformers writes them, vocab.txt, log_electra.json (name,
version, origin, calibration) and model.elc, which holds all of it for the agent. Weights are rounded to half precision
before they are written or calibrated, so that both readers compute with the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import ElectraConfig, ElectraForPreTraining
from transformers.utils.logging import disable_progress_bar

from .calibration import Calibration
from .text import NORMALISER_VERSION, PAD, Vocabulary

FORMAT, FORMAT_VERSION = "log-electra", "1"
DEVICE_FILE, ABOUT_FILE, VOCABULARY_FILE = "model.elc", "log_electra.json", "vocab.txt"
VERSION_DIGITS = 12
disable_progress_bar()
# Logits are cut here, as on the device.
LOGIT_MAX = 30.0
_SIZES = [
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_act",
    "layer_norm_eps",
]


@dataclass
class LogElectra:
    network: ElectraForPreTraining
    vocabulary: Vocabulary
    calibration: Calibration
    name: str
    origin: str
    version: str = ""

    @property
    def positions(self) -> int:
        return self.network.config.max_position_embeddings

    def scores(self, texts: Sequence[str], batch: int = 64) -> list[float]:
        encoded = [self.vocabulary.encode(text, self.positions) for text in texts]
        return scores(self.network, encoded, batch)

    def quantised(self) -> LogElectra:
        """The same with linear layers in int8, computed when they are used."""
        network = torch.ao.quantization.quantize_dynamic(self.network, {nn.Linear}, dtype=torch.qint8)
        return LogElectra(network, self.vocabulary, self.calibration, self.name, self.origin, self.version)

    def save(self, folder: Path) -> None:
        """Writes the directory and, in it, the file for the device, whose hash is the model's version."""
        folder.mkdir(parents=True, exist_ok=True)
        round_to_half(self.network)
        self.network.save_pretrained(folder)
        write_vocabulary(self.vocabulary, folder)
        file = device_file(self)
        self.version = hashlib.sha256(file).hexdigest()[:VERSION_DIGITS]
        (folder / DEVICE_FILE).write_bytes(file)
        about = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "normaliser": NORMALISER_VERSION,
            "name": self.name,
            "version": self.version,
            "origin": self.origin,
            "calibration": asdict(self.calibration),
        }
        (folder / ABOUT_FILE).write_text(json.dumps(about, indent=1) + "\n")


def load(folder: Path) -> LogElectra:
    """A directory that `save` wrote."""
    about = json.loads((folder / ABOUT_FILE).read_text())
    known = {"format": FORMAT, "format_version": FORMAT_VERSION, "normaliser": NORMALISER_VERSION}
    for key, value in known.items():
        if about.get(key) != value:
            raise ValueError(f"{folder / ABOUT_FILE}: {key} is {about.get(key)!r}, wanted {value!r}: train it again")
    network = ElectraForPreTraining.from_pretrained(folder, local_files_only=True).eval()
    vocabulary = read_vocabulary(folder)
    if len(vocabulary) != network.config.vocab_size:
        raise ValueError(f"{folder}: {len(vocabulary)} pieces in {VOCABULARY_FILE}, {network.config.vocab_size} in config.json")
    calibration = Calibration(**about["calibration"])
    return LogElectra(network, vocabulary, calibration, about["name"], about["origin"], about["version"])


def read_vocabulary(folder: Path) -> Vocabulary:
    return Vocabulary((folder / VOCABULARY_FILE).read_text(encoding="utf-8").removesuffix("\n").split("\n"))


def write_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    (folder / VOCABULARY_FILE).write_text("\n".join(vocabulary.pieces) + "\n", encoding="utf-8")


def pad(encoded: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers side by side, and where they are no padding."""
    width = max(map(len, encoded))
    numbers = torch.full((len(encoded), width), PAD)
    for row, pieces in enumerate(encoded):
        numbers[row, : len(pieces)] = torch.tensor(pieces)
    lengths = torch.tensor([len(pieces) for pieces in encoded])
    return numbers, torch.arange(width) < lengths[:, None]


def inner(mask: torch.Tensor) -> torch.Tensor:
    """`mask` without [CLS] and [SEP], the first and the last of each row."""
    out = mask.clone()
    out[:, 0] = False
    out[torch.arange(len(mask)), mask.sum(1) - 1] = False
    return out


@torch.inference_mode()
def scores(network: nn.Module, encoded: Sequence[Sequence[int]], batch: int = 64) -> list[float]:
    """−mean log(1 − D) of each line, over its pieces between [CLS] and [SEP]; 0 where there are none."""
    out = [0.0] * len(encoded)
    # Lines of about one length together, so that little is padding.
    order = [at for at in sorted(range(len(encoded)), key=lambda at: len(encoded[at])) if len(encoded[at]) > 2]
    for begin in range(0, len(order), batch):
        chosen = order[begin : begin + batch]
        numbers, mask = pad([encoded[at] for at in chosen])
        logits = network(input_ids=numbers, attention_mask=mask.long()).logits
        logits = torch.nan_to_num(logits, nan=LOGIT_MAX).clamp(-LOGIT_MAX, LOGIT_MAX)
        counted = inner(mask)
        surprise = nn.functional.softplus(logits.double()).masked_fill(~counted, 0.0)
        means = surprise.sum(1) / counted.sum(1)
        for at, mean in zip(chosen, means.tolist(), strict=True):
            out[at] = mean
    return out


@torch.no_grad()
def round_to_half(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.copy_(parameter.half().float())


def device_file(model: LogElectra) -> bytes:
    """All of the model as one safetensors file in half precision; the same model gives the same bytes."""
    config: ElectraConfig = model.network.config
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "normaliser": str(NORMALISER_VERSION),
        "name": model.name,
        "origin": model.origin,
        "config": json.dumps({key: getattr(config, key) for key in _SIZES}),
        "calibration": json.dumps(asdict(model.calibration)),
        "vocabulary": "\n".join(model.vocabulary.pieces),
    }
    header: dict[str, object] = {"__metadata__": metadata}
    data = bytearray()
    for name, parameter in sorted(model.network.named_parameters()):
        numbers = parameter.detach().half().contiguous().numpy().astype("<f2").tobytes()
        span = [len(data), len(data) + len(numbers)]
        header[name] = {"dtype": "F16", "shape": list(parameter.shape), "data_offsets": span}
        data += numbers
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)
