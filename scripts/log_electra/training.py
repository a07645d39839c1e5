"""Replaced token detection: a generator fills masked pieces in, a discriminator says which were replaced.

As in LogELECTRA (arXiv:2402.10397) and ELECTRA (arXiv:2003.10555): only normal lines, loss L_g + 50·L_d, 15 % masked.
Of the paper's making are the losses, not the sizes: the defaults train in minutes on two cores. One addition: some of the
replacements are drawn from the vocabulary instead of the generator, which on a small log soon makes no mistakes that a
discriminator could learn from.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

from .calibration import few_of_each
from .model import inner, pad, round_to_half, scores
from .text import MASK, SPECIAL, Vocabulary, train_vocabulary

CHECKPOINT_SECONDS = 30
# Held-out lines whose loss is told beside that of training.
CHECKED_LINES = 512
# A loss that falls by less than this share has not fallen.
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Settings:
    """What is trained, and how long. Of a training that is resumed all of it is the same."""

    width: int = 64
    layers: int = 2
    heads: int = 2
    embedding: int = 64
    generator_width: int = 32
    generator_layers: int = 1
    positions: int = 128
    steps: int = 800
    batch: int = 32
    rate: float = 1e-3
    mask: float = 0.15
    discriminator_weight: float = 50.0
    noise: float = 0.5
    dropout: float = 0.1
    most_of_each: int = 5
    check_every: int = 50
    patience: int = 6
    seed: int = 1

    def config(self, vocabulary: int, width: int, layers: int) -> ElectraConfig:
        return ElectraConfig(
            vocab_size=vocabulary,
            embedding_size=self.embedding,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * width,
            max_position_embeddings=self.positions,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            pad_token_id=0,
        )


@dataclass(frozen=True)
class Progress:
    """`loss` and `checked` are the discriminator's, on training lines and on held-out ones."""

    step: int
    steps: int
    loss: float
    checked: float
    lines_per_second: float


class Pair:
    """Generator and discriminator; they share the embeddings of pieces and positions, as ELECTRA's do."""

    def __init__(self, settings: Settings, vocabulary: int) -> None:
        self.settings = settings
        self.discriminator = ElectraForPreTraining(settings.config(vocabulary, settings.width, settings.layers))
        generator = settings.config(vocabulary, settings.generator_width, settings.generator_layers)
        self.generator = ElectraForMaskedLM(generator)
        self.generator.electra.embeddings = self.discriminator.electra.embeddings
        self.generator.tie_weights()
        self.both = nn.ModuleList([self.discriminator, self.generator])
        self.noise_law = torch.ones(vocabulary)
        self.noise_law[: len(SPECIAL)] = 0
        # A word that nobody could spell is what the strangest lines have.
        self.noise_law[1] = 1

    def losses(self, encoded: Sequence[Sequence[int]], dice: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        numbers, mask = pad(encoded)
        counted = inner(mask)
        masked = counted & (torch.rand(numbers.shape, generator=dice) < self.settings.mask)
        # Short lines too have a piece masked.
        none = ~masked.any(1)
        one = torch.multinomial(counted[none].float(), 1, generator=dice) if none.any() else None
        if one is not None:
            masked[none.nonzero()[:, 0], one[:, 0]] = True
        logits = self.generator(numbers.masked_fill(masked, MASK), attention_mask=mask.long()).logits[masked]
        generator_loss = nn.functional.cross_entropy(logits, numbers[masked])
        filled = numbers.clone()
        filled[masked] = self._replacements(logits.detach(), dice)
        replaced = (filled != numbers).float()
        found = self.discriminator(filled, attention_mask=mask.long()).logits
        loss = nn.functional.binary_cross_entropy_with_logits(found[counted], replaced[counted])
        return generator_loss, loss

    def _replacements(self, logits: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
        likely = torch.multinomial(logits.softmax(-1), 1, generator=dice)[:, 0]
        noise = torch.multinomial(self.noise_law, len(likely), replacement=True, generator=dice)
        return torch.where(torch.rand(len(likely), generator=dice) < self.settings.noise, noise, likely)


class Training:
    """One training, which can be left and resumed at its checkpoint."""

    def __init__(self, settings: Settings, vocabulary: Vocabulary, train: Sequence[str], check: Sequence[str]) -> None:
        torch.manual_seed(settings.seed)
        torch.use_deterministic_algorithms(True)
        self.settings = settings
        self.lines, self.weights = _distinct(vocabulary, train, settings)
        self.checked = _sample(vocabulary, check, settings)
        if not self.lines or not self.checked:
            raise ValueError("too few lines with words in them: nothing to train on")
        self.pair = Pair(settings, len(vocabulary))
        self.optimiser = torch.optim.AdamW(self.pair.both.parameters(), lr=settings.rate, weight_decay=0.01)
        self.dice = torch.Generator().manual_seed(settings.seed)
        self.choice = random.Random(settings.seed)
        self.step = 0
        self.best = float("inf")
        self.idle_checks = 0
        self.identity = _identity(settings, vocabulary, self.lines)

    def run(self, tell: Callable[[Progress], None], checkpoint: Path | None = None) -> ElectraForPreTraining:
        """Trains to the end, or until the loss on training lines falls no more; returns the discriminator.

        Not until the loss on held-out lines rises: on a small log that is at once, because it is made by the few held-out
        lines that nobody ever saw, and a model that is stopped there finds less (AP 0.6 instead of 0.8 on BGL).
        """
        began, first_step, saved, losses = time.monotonic(), self.step, time.monotonic(), list[float]()
        while self.step < self.settings.steps and self.idle_checks < self.settings.patience:
            losses.append(self._one_step())
            if self.step % self.settings.check_every == 0 or self.step == self.settings.steps:
                loss = sum(losses) / len(losses)
                losses.clear()
                self.idle_checks = 0 if loss < self.best * (1 - LEAST_GAIN) else self.idle_checks + 1
                self.best = min(self.best, loss)
                speed = (self.step - first_step) * self.settings.batch / (time.monotonic() - began)
                tell(Progress(self.step, self.settings.steps, loss, self._check(), speed))
                if checkpoint and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save(checkpoint)
                    saved = time.monotonic()
        return self.pair.discriminator.eval()

    def _one_step(self) -> float:
        self.pair.both.train()
        self.step += 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * self._warmth()
        encoded = self.choice.choices(self.lines, self.weights, k=self.settings.batch)
        generator_loss, loss = self.pair.losses(encoded, self.dice)
        self.optimiser.zero_grad()
        (generator_loss + self.settings.discriminator_weight * loss).backward()
        nn.utils.clip_grad_norm_(self.pair.both.parameters(), 1.0)
        self.optimiser.step()
        return loss.item()

    def _warmth(self) -> float:
        """Up over the first twentieth, then down to nothing."""
        done = self.step / self.settings.steps
        return min(1.0, done / 0.05) * (1 - done)

    @torch.no_grad()
    def _check(self) -> float:
        """The discriminator's loss on lines held out, with the same dice each time."""
        self.pair.both.eval()
        dice = torch.Generator().manual_seed(self.settings.seed)
        batches = range(0, len(self.checked), self.settings.batch)
        losses = [self.pair.losses(self.checked[at : at + self.settings.batch], dice)[1].item() for at in batches]
        return sum(losses) / len(losses)

    def save(self, path: Path) -> None:
        state = {
            "identity": self.identity,
            "both": self.pair.both.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "dice": self.dice.get_state(),
            "torch": torch.get_rng_state(),
            "choice": json.dumps(self.choice.getstate()),
            "step": self.step,
            "best": self.best,
            "idle_checks": self.idle_checks,
        }
        beside = path.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(path)

    def resume(self, path: Path) -> bool:
        """Goes on from a checkpoint; `False` if it is of other lines, settings or vocabulary."""
        state = torch.load(path, weights_only=True)
        if state["identity"] != self.identity:
            return False
        self.pair.both.load_state_dict(state["both"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.dice.set_state(state["dice"])
        torch.set_rng_state(state["torch"])
        version, numbers, gauss = json.loads(state["choice"])
        self.choice.setstate((version, tuple(numbers), gauss))
        self.step, self.best = state["step"], state["best"]
        self.idle_checks = state["idle_checks"]
        return True


def scorer(
    settings: Settings, vocabulary_size: int, lines: Sequence[str], check: Sequence[str], tell: Callable[[Progress], None]
) -> Callable[[Sequence[str]], list[float]]:
    """A model of these lines only, vocabulary and all, as a function from messages to scores."""
    vocabulary = train_vocabulary(few_of_each(lines, settings.most_of_each), vocabulary_size)
    network = Training(settings, vocabulary, lines, check).run(tell)
    round_to_half(network)
    return lambda messages: scores(network, [vocabulary.encode(message, settings.positions) for message in messages])


def _distinct(vocabulary: Vocabulary, texts: Sequence[str], settings: Settings) -> tuple[list[list[int]], list[int]]:
    """Distinct lines, in the order that they came in, and how often each counts."""
    counts = Counter(tuple(vocabulary.encode(text, settings.positions)) for text in texts)
    kept = [(list(line), min(count, settings.most_of_each)) for line, count in counts.items() if len(line) > 2]
    return [line for line, _ in kept], [count for _, count in kept]


def _sample(vocabulary: Vocabulary, texts: Sequence[str], settings: Settings) -> list[list[int]]:
    """Lines as often as they come: each once would mean those that nobody ever saw, of which no training gets better."""
    encoded = [vocabulary.encode(text, settings.positions) for text in texts]
    encoded = [line for line in encoded if len(line) > 2]
    return random.Random(settings.seed).sample(encoded, min(len(encoded), CHECKED_LINES))


def _identity(settings: Settings, vocabulary: Vocabulary, lines: Sequence[Sequence[int]]) -> str:
    parts = json.dumps([asdict(settings), vocabulary.pieces, lines])
    return hashlib.sha256(parts.encode()).hexdigest()
