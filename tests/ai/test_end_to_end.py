"""The agent and a model that was really trained, once behind the real service and once on the device: both give the same
verdicts on the same log, and the alerts arrive at a receiver of HTTP."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Trained
from test_service import DEADLINE, served

Json = dict[str, object]
TOLERANCE = 1e-4
CONFIGURATION = """\
state_dir: {folder}/state
sources: [{{name: shop, paths: ['{folder}/logs/*.log'], read_from: beginning}}]
analyzers:
  novelty: {{enabled: false}}
  ai: {{scope: {scope}, {engine}}}
alerters: [{{name: ops, send: each, webhook: {{url: '{receiver}'}}}}]
"""


class Receiver(ThreadingHTTPServer):
    """Takes alerts as a webhook of somebody's would; each once, by its id."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.alerts: dict[str, Json] = {}
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        alert = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.alerts[alert["id"]] = alert
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Seen:
    """What one run of the agent made of the log."""

    # By the hash of what was judged: abnormal, score, confidence, threshold.
    verdicts: dict[str, tuple[bool, float, float, float]]
    alerts: list[Json]
    status: Json

    def messages(self) -> list[str]:
        return sorted(str(alert["message"]) for alert in self.alerts)


def wait_until(what: str, holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert process.poll() is None, f"the agent has ended before {what}"
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


def watch(agent: str, log: str, folder: Path, scope: str, engine: str) -> Seen:
    """Follows a log that is there at the start, until all of it is judged and told."""
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "shop.log").write_text(log)
    receiver = Receiver()
    configuration = folder / "config.yaml"
    configuration.write_text(CONFIGURATION.format(folder=folder, scope=scope, engine=engine, receiver=receiver.url))
    lines = log.count("\n")
    with (folder / "stderr").open("wb") as stderr:
        # ELC_AGENT is ours, and would be a key of the configuration.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ELC_")}
        process = subprocess.Popen([agent, "-c", configuration, "run"], stderr=stderr, env=environment)

        def status() -> Json:
            command = [agent, "-c", configuration, "status", "--json"]
            done = subprocess.run(command, capture_output=True, check=False, env=environment)
            return json.loads(done.stdout or "{}")

        def is_done() -> bool:
            now = status()
            return (
                bool(now.get("sources"))
                # The last line may be the head of a stack trace until it has been silent for a while.
                and now["sources"][0]["records"] == lines
                and now["ai"]["pending"] == 0
                and now["ai"]["verdicts"] > 0
                and now["alerters"][0]["queued"] == 0
            )

        try:
            wait_until("everything is judged and told", is_done, process)
            last = status()
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            receiver.shutdown()
    return Seen(verdicts(folder / "state" / "state.db"), list(receiver.alerts.values()), last)


def verdicts(path: Path) -> dict[str, tuple[bool, float, float, float]]:
    with sqlite3.connect(path) as state:
        rows = state.execute("SELECT template_hash, abnormal, score, confidence, threshold FROM verdicts WHERE model <> ''")
        return {row[0]: (bool(row[1]), *row[2:]) for row in rows}


@pytest.fixture(scope="module")
def url(trained: Trained) -> Iterator[str]:
    with served(trained.folder) as url:
        yield url


@pytest.fixture(scope="module", params=["template", "line"])
def both(agent: str, trained: Trained, url: str, request: pytest.FixtureRequest, tmp_path_factory) -> tuple[str, Seen, Seen]:
    folder = tmp_path_factory.mktemp(request.param)
    log = (trained.logs / "mixed.log").read_text()
    engines = [f"engine: service, service_urls: ['{url}']", f"engine: electra, model: '{trained.folder}/model.elc'"]
    by_service, by_device = (watch(agent, log, folder / str(at), request.param, text) for at, text in enumerate(engines))
    return request.param, by_service, by_device


def test_service_and_device_give_the_same_verdicts(both: tuple[str, Seen, Seen]) -> None:
    scope, by_service, by_device = both
    assert by_service.verdicts.keys() == by_device.verdicts.keys()
    for subject, theirs in by_service.verdicts.items():
        ours = by_device.verdicts[subject]
        assert ours[0] == theirs[0], (subject, ours, theirs)
        assert ours[1:] == pytest.approx(theirs[1:], abs=TOLERANCE), (subject, ours, theirs)
    abnormal = sum(verdict[0] for verdict in by_device.verdicts.values())
    print(f"\nscope {scope}: {len(by_device.verdicts)} verdicts, {abnormal} abnormal, the same from both")
    assert abnormal > 0


def test_alerts_of_both_arrive_and_say_who_judged(both: tuple[str, Seen, Seen], trained: Trained) -> None:
    about = json.loads((trained.folder / "log_electra.json").read_text())
    for name, seen in zip(("service", "electra"), both[1:], strict=True):
        assert seen.alerts
        assert any(alert.get("late") for alert in seen.alerts), "none was known before it came"
        for alert in seen.alerts:
            (detector,) = alert["detectors"]
            assert (detector["analyzer"], detector["name"], detector["severity"]) == ("ai", name, "warn")
            assert detector["model"] == f"shop {about['version']}"
            assert detector["score"] > detector["threshold"] > 0
            assert detector["confidence"] >= 0.99
        assert seen.status["ai"]["model"] == f"shop {about['version']}"
        assert (seen.status["ai"]["dropped"], seen.status["ai"]["away"]) == (0, False)


def test_every_kind_of_anomaly_is_alerted_and_hardly_a_normal_line(both: tuple[str, Seen, Seen], trained: Trained) -> None:
    scope, by_service, by_device = both
    kinds = {str(row["log"]): str(row["kind"]) for row in trained.labelled}
    for seen in (by_service, by_device):
        told = Counter()
        for alert in seen.alerts:
            told[kinds[str(alert["message"])]] += int(alert["count"])
        print(f"\nscope {scope}: " + ", ".join(f"{kind}: {n}" for kind, n in sorted(told.items())))
        all_of_them = Counter(kinds[str(row["log"])] for row in trained.labelled)
        # Calibrated for one normal line in a hundred; a template stands for all of its lines.
        assert told.pop("normal", 0) <= 0.03 * all_of_them.pop("normal")
        assert all(told[kind] >= 0.7 * n for kind, n in all_of_them.items()), (told, all_of_them)
