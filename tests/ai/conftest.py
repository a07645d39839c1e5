"""Tests of the Python part: `scripts/test ai` runs them with the packages of scripts/requirements.txt.

One model is trained for all tests, as a user would: logs of normal days, read by the agent, into the training script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Trained:
    """A trained model, and the labelled lines that it never saw."""

    folder: Path
    logs: Path
    labelled: list[dict[str, object]]


@pytest.fixture(scope="session")
def agent() -> str:
    found = os.environ.get("ELC_AGENT", str(ROOT / "target/debug/exception-log-collector"))
    assert Path(found).is_file(), f"no agent at {found}: cargo build, or set ELC_AGENT"
    return found


@pytest.fixture(scope="session")
def trained(agent: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("ai")
    logs = folder / "logs"
    subprocess.run([sys.executable, Path(__file__).with_name("make_logs.py"), logs], check=True)
    seen = subprocess.run([agent, "scan", "--all", "--json", logs / "normal.log"], capture_output=True, check=True)
    command = [sys.executable, SCRIPTS / "train_log_electra.py", "-", "-o", folder / "model", "--name", "shop"]
    subprocess.run(command, input=seen.stdout, check=True)
    labelled = [json.loads(line) for line in (logs / "labels.jsonl").read_text().splitlines()]
    return Trained(folder / "model", logs, labelled)


@pytest.fixture(scope="session")
def device_scores(agent: str, trained: Trained) -> Iterator[object]:
    """Asks the agent's own engine: a function from texts to its answers."""

    def ask(texts: list[str]) -> list[dict[str, object]]:
        command = [agent, "model", "score", "--json", trained.folder / "model.elc"]
        lines = "".join(text + "\n" for text in texts)
        done = subprocess.run(command, input=lines.encode(), capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.decode().split("\n") if line]

    yield ask
