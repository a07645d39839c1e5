"""The numbers that the unit tests of the Rust engine hold as golden, computed by transformers."""

from __future__ import annotations

import math

import pytest
import torch
from log_electra.text import SPECIAL, Vocabulary
from transformers import ElectraConfig, ElectraForPreTraining

KNOWN = ["job", "done", "fail", "##ed", "<num>"]

# As GOLDEN in src/analyzer/electra/tests.rs.
GOLDEN = {
    "job 17 done": 0.2269645543,
    "job failed: panic": 0.2723377064,
    "done done done job fail failed 1 x job job job job job job job job job": 0.2291331289,
}


def model_of_waves() -> ElectraForPreTraining:
    """TinyModel::of_waves of tests/it/tiny_model.rs: 0.4·sin(0.7·i + n), i in the tensor, n the tensor's number."""
    config = ElectraConfig(
        vocab_size=len(SPECIAL) + len(KNOWN),
        embedding_size=6,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    model = ElectraForPreTraining(config).eval()
    with torch.no_grad():
        for number, (name, parameter) in enumerate(model.named_parameters()):
            offset = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            waves = [0.4 * math.sin(0.7 * at + number) for at in range(parameter.numel())]
            parameter.copy_(offset + torch.tensor(waves, dtype=torch.float32).reshape(parameter.shape))
    return model


@pytest.mark.parametrize("text", GOLDEN)
def test_waves(text: str) -> None:
    pieces = Vocabulary(SPECIAL + KNOWN).encode(text, 16)
    with torch.no_grad():
        logits = model_of_waves()(torch.tensor([pieces])).logits[0, 1:-1]
    score = torch.nn.functional.softplus(logits.double()).mean().item()
    assert score == pytest.approx(GOLDEN[text], abs=1e-5)
