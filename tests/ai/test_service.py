"""The service as its users see it: a process, HTTP, real models."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import SCRIPTS, Trained
from log_electra.judges import Verdict
from log_electra.serving import PENDING_MAX, Overloaded, Service, app

SERVICE = SCRIPTS / "log_electra_service.py"
DEADLINE = 300


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service has ended"
        try:
            urllib.request.urlopen(url + "/healthz", timeout=5).read()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the service does not answer")


@contextmanager
def served(model: Path, **more: str) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    variables = {"LOG_ELECTRA_MODEL": str(model), "LOG_ELECTRA_LISTEN": address}
    variables |= {f"LOG_ELECTRA_{name.upper()}": value for name, value in more.items()}
    process = subprocess.Popen([sys.executable, SERVICE], env=os.environ | variables)
    try:
        wait_until_it_answers(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def service(trained: Trained) -> Iterator[str]:
    with served(trained.folder) as url:
        yield url


def ask(url: str, body: object, raw: bytes | None = None) -> tuple[int, dict[str, object]]:
    data = json.dumps(body).encode() if raw is None else raw
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_one_line(service: str, trained: Trained) -> None:
    about = json.loads((trained.folder / "log_electra.json").read_text())
    status, normal = ask(service + "/analyze", {"log": "order 17 paid by card, total 3.50"})
    assert (status, normal["label"]) == (200, 0)
    status, strange = ask(service + "/analyze", {"log": "journal replay aborted: checksum mismatch"})
    assert (status, strange["label"]) == (200, 1)
    assert 0.99 <= strange["confidence"] <= 1 and strange["score"] > strange["threshold"] > normal["score"]
    assert strange["model"] == f"shop {about['version']}"


def test_a_batch_says_the_same_as_its_lines(service: str, trained: Trained) -> None:
    logs = [str(row["log"]) for row in trained.labelled[:40]] + [""]
    status, found = ask(service + "/analyze/batch", {"logs": logs})
    assert status == 200
    assert found["results"] == [ask(service + "/analyze", {"log": log})[1] for log in logs]
    assert ask(service + "/analyze/batch", {"logs": []}) == (200, {"results": []})


def test_the_service_and_the_device_give_the_same_verdicts(
    service: str, trained: Trained, device_scores: Callable[[list[str]], list[dict[str, object]]]
) -> None:
    logs = [str(row["log"]) for row in trained.labelled[:500]]
    _, found = ask(service + "/analyze/batch", {"logs": logs})
    for log, ours, theirs in zip(logs, found["results"], device_scores(logs), strict=True):
        assert ours["label"] == theirs["label"], log
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-3), log
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4), log


def test_concurrent_requests_share_runs_of_the_model(trained: Trained) -> None:
    logs = [str(row["log"]) for row in trained.labelled if row["label"] == 1] * 10
    with served(trained.folder, cache="0") as url, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda log: ask(url + "/analyze", {"log": log}), logs))
        assert all(status == 200 for status, _ in answers)
        first = {log: answer for log, (_, answer) in zip(logs, answers, strict=True)}
        for log, (_, answer) in zip(logs, answers, strict=True):
            assert answer["label"] == first[log]["label"]
            assert answer["score"] == pytest.approx(first[log]["score"], abs=1e-5)
        metrics = read_metrics(url)
    assert metrics["log_electra_batched_lines_total"] >= len(logs)
    assert metrics["log_electra_batches_total"] < metrics["log_electra_batched_lines_total"]


def test_int8_says_nearly_the_same(service: str, trained: Trained) -> None:
    logs = [str(row["log"]) for row in trained.labelled[:400]]
    _, exact = ask(service + "/analyze/batch", {"logs": logs})
    with served(trained.folder, quantise="int8") as url:
        _, rounded = ask(url + "/analyze/batch", {"logs": logs})
    pairs = list(zip(exact["results"], rounded["results"], strict=True))
    assert max(abs(a["score"] - b["score"]) for a, b in pairs) < 0.5
    assert sum(a["label"] == b["label"] for a, b in pairs) >= 0.99 * len(pairs)
    assert any(a["score"] != b["score"] for a, b in pairs), "nothing was quantised"


def test_another_rate_is_another_threshold(service: str, trained: Trained) -> None:
    with served(trained.folder, rate="0.2") as url:
        _, loose = ask(url + "/analyze", {"log": "order 17 paid by card"})
    assert loose["threshold"] < ask(service + "/analyze", {"log": "order 17 paid by card"})[1]["threshold"]


@pytest.mark.parametrize(
    ("path", "raw", "status", "word"),
    [
        ("/analyze", b"{", 400, "no JSON"),
        ("/analyze", b"[]", 400, "no JSON object"),
        ("/analyze", b"{}", 400, '{"log"'),
        ("/analyze", b'{"log": 7}', 400, '{"log"'),
        ("/analyze/batch", b'{"logs": "text"}', 400, '{"logs"'),
        ("/analyze/batch", b'{"logs": [7]}', 400, '{"logs"'),
        ("/analyze/batch", json.dumps({"logs": ["x"] * 1025}).encode(), 400, "1025 logs"),
        ("/elsewhere", b"{}", 404, "not found"),
        ("/healthz", b"{}", 405, "not allowed"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(service: str, path: str, raw: bytes, status: int, word: str) -> None:
    found, answer = ask(service + path, None, raw)
    assert found == status and word in str(answer["error"]), answer


def test_hostile_text_is_judged_like_any_other(service: str) -> None:
    for log in ["\ud800 lone", "\x00\x1b[31m", "<script>", "🙂" * 300, "x" * 1_000_000]:
        status, found = ask(service + "/analyze", {"log": log})
        assert status == 200 and found["label"] in (0, 1), log[:20]


def read_metrics(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url + "/metrics", timeout=30) as reply:
        rows = [line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in rows}


def test_metrics_and_health(service: str) -> None:
    before = read_metrics(service)
    ask(service + "/analyze/batch", {"logs": [f"order {n} paid by card, total {n}.50" for n in (17, 18)]})
    after = read_metrics(service)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown['log_electra_requests_total{endpoint="/analyze/batch",status="200"}'] == 1
    assert grown['log_electra_lines_total{label="0"}'] == 2
    assert after['log_electra_request_seconds_bucket{le="+Inf"}'] == after["log_electra_request_seconds_count"]
    health = json.loads(urllib.request.urlopen(service + "/healthz", timeout=30).read())
    assert (health["status"], health["model"]) == ("ok", "shop")


@pytest.mark.parametrize(
    ("model", "word"),
    [("", "LOG_ELECTRA_MODEL is not set"), ("/nowhere/model", "does not exist"), (".", "holds no model")],
)
def test_without_a_model_it_says_what_to_do(model: str, word: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SERVICE], env=os.environ | {"LOG_ELECTRA_MODEL": model}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 78, done.stderr
    assert word in done.stderr and "train_log_electra.py" in done.stderr and "Traceback" not in done.stderr


def test_a_damaged_directory_is_a_clear_error(trained: Trained, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", trained.folder, tmp_path / "model"], check=True)
    (tmp_path / "model/vocab.txt").write_text("[PAD]\n")
    variables = os.environ | {"LOG_ELECTRA_MODEL": str(tmp_path / "model")}
    done = subprocess.run([sys.executable, SERVICE], env=variables, capture_output=True, text=True)
    assert done.returncode == 78 and "cannot be used" in done.stderr, done.stderr


class Slow:
    """A judge that waits until it is let go."""

    name, version = "slow", "1"

    def __init__(self) -> None:
        self.go = threading.Event()

    def key(self, text: str) -> str:
        return text

    def verdicts(self, texts: list[str]) -> list[Verdict]:
        self.go.wait(DEADLINE)
        return [Verdict(0, 0.0, 0.0, 1.0, "slow 1") for _ in texts]

    def about(self) -> dict[str, object]:
        return {"model": self.name}


def test_a_service_that_cannot_keep_up_says_so_instead_of_piling_up() -> None:
    judge = Slow()
    service = Service(judge, cache=10, batch=4, timeout=0.05)
    client = app(service).test_client()
    reply = client.post("/analyze", json={"log": "waits too long"})
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    with pytest.raises(Overloaded):
        service.batcher.submit(["x"] * (PENDING_MAX + 1))
    judge.go.set()
    service.timeout = DEADLINE
    assert client.post("/analyze", json={"log": "next"}).get_json()["label"] == 0


def test_a_model_that_fails_fails_the_request_and_not_the_service() -> None:
    judge = Slow()
    judge.go.set()
    service = Service(judge, cache=10, batch=4, timeout=DEADLINE)
    answers = judge.verdicts
    service.batcher._judge = lambda texts: 1 / 0 if "bad" in texts else answers(texts)
    client = app(service).test_client()
    assert client.post("/analyze", json={"log": "bad"}).status_code == 500
    assert client.post("/analyze", json={"log": "good"}).status_code == 200


def test_any_electra_of_transformers_can_be_served(tmp_path: Path) -> None:
    from log_electra.judges import NoModel, choose
    from transformers import ElectraConfig, ElectraForPreTraining, ElectraForSequenceClassification, ElectraTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "order", "paid", "by", "card"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    config = ElectraConfig(
        vocab_size=9, embedding_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    for kind in (ElectraForPreTraining, ElectraForSequenceClassification):
        folder = tmp_path / kind.__name__
        kind(config).save_pretrained(folder)
        ElectraTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(folder)
        judge = choose(str(folder), 0.5, None, int8=False)
        verdicts = judge.verdicts(["order paid by card", "something else", ""])
        assert all(0 <= verdict.confidence <= 1 and verdict.label in (0, 1) for verdict in verdicts)
    with pytest.raises(NoModel, match="LOG_ELECTRA_THRESHOLD"):
        choose(str(tmp_path / "ElectraForPreTraining"), None, None, int8=False)
