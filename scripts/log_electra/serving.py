"""The service's insides: which model, micro-batches, cache, counters, and the HTTP routes around them."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from .judges import Judge, Verdict

# A batch of the agent has 32 lines of at most 1 KiB.
REQUEST_BYTES_MAX = 4 << 20
LOGS_MAX = 1024
# Lines that wait for the model; above it the service says 503.
PENDING_MAX = 10_000
SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]


class Overloaded(Exception):
    """The model is not keeping up."""


class Cache:
    """Verdicts by what the model sees of a line; the least recently used goes first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._verdicts: OrderedDict[str, Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Verdict | None:
        with self._lock:
            verdict = self._verdicts.get(key)
            if verdict is not None:
                self._verdicts.move_to_end(key)
            return verdict

    def put(self, key: str, verdict: Verdict) -> None:
        with self._lock:
            self._verdicts[key] = verdict
            while len(self._verdicts) > self.size:
                self._verdicts.popitem(last=False)


class Batcher:
    """Lines of concurrent requests go through the model together.

    Nobody is kept waiting for company: what has arrived while the model was busy is the next batch.
    """

    def __init__(self, judge: Callable[[Sequence[str]], list[Verdict]], most: int) -> None:
        self._judge = judge
        self._most = most
        self._pending: deque[tuple[str, Future[Verdict]]] = deque()
        self._arrived = threading.Condition()
        self.sizes: Counter[int] = Counter()
        threading.Thread(target=self._run, name="batcher", daemon=True).start()

    def submit(self, texts: Sequence[str]) -> list[Future[Verdict]]:
        futures: list[Future[Verdict]] = [Future() for _ in texts]
        with self._arrived:
            if len(self._pending) + len(texts) > PENDING_MAX:
                raise Overloaded
            self._pending.extend(zip(texts, futures, strict=True))
            self._arrived.notify()
        return futures

    def _run(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._pending)
                batch = [self._pending.popleft() for _ in range(min(self._most, len(self._pending)))]
            # A request that gave up waits no longer.
            batch = [(text, future) for text, future in batch if future.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _answer(self, batch: list[tuple[str, Future[Verdict]]]) -> None:
        self.sizes[len(batch)] += 1
        try:
            verdicts = self._judge([text for text, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever asked is told; the thread goes on
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), verdict in zip(batch, verdicts, strict=True):
            future.set_result(verdict)


@dataclass
class Counters:
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    verdicts: Counter[int] = field(default_factory=Counter)
    cached: int = 0
    seconds: Counter[float] = field(default_factory=Counter)
    seconds_sum: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        with self.lock:
            self.requests[endpoint, status] += 1
            if endpoint.startswith("/analyze"):
                self.seconds_sum += seconds
                self.seconds[next((b for b in SECONDS_BUCKETS if seconds <= b), float("inf"))] += 1

    def judged(self, verdicts: Sequence[Verdict], cached: int) -> None:
        with self.lock:
            self.verdicts.update(verdict.label for verdict in verdicts)
            self.cached += cached


class Service:
    def __init__(self, judge: Judge, cache: int, batch: int, timeout: float) -> None:
        self.judge = judge
        self.timeout = timeout
        self.cache = Cache(cache)
        self.counters = Counters()
        self.batcher = Batcher(judge.verdicts, batch)

    def analyze(self, texts: Sequence[str]) -> list[Verdict]:
        """One verdict for each text; equal ones are asked once."""
        deadline = time.monotonic() + self.timeout
        keys = [self.judge.key(text) for text in texts]
        known = {key: self.cache.get(key) for key in set(keys)}
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if known[key] is None}
        cached = sum(known[key] is not None for key in keys)
        futures = dict(zip(unknown, self.batcher.submit(list(unknown.values())), strict=True))
        try:
            for key, future in futures.items():
                known[key] = future.result(max(0.0, deadline - time.monotonic()))
                self.cache.put(key, known[key])
        except TimeoutError as error:
            for future in futures.values():
                future.cancel()
            raise Overloaded from error
        verdicts = [known[key] for key in keys]
        self.counters.judged(verdicts, cached)
        return verdicts

    def metrics(self) -> str:
        c, sizes = self.counters, dict(self.batcher.sizes)
        about = f'model="{self.judge.name}",version="{self.judge.version}"'
        lines = ["# TYPE log_electra_build_info gauge", f"log_electra_build_info{{{about}}} 1"]
        with c.lock:
            lines.append("# TYPE log_electra_requests_total counter")
            for (endpoint, status), n in sorted(c.requests.items()):
                lines.append(f'log_electra_requests_total{{endpoint="{endpoint}",status="{status}"}} {n}')
            lines.append("# TYPE log_electra_lines_total counter")
            lines += [f'log_electra_lines_total{{label="{label}"}} {c.verdicts[label]}' for label in (0, 1)]
            lines += ["# TYPE log_electra_cached_lines_total counter", f"log_electra_cached_lines_total {c.cached}"]
            lines.append("# TYPE log_electra_request_seconds histogram")
            below = 0
            for bucket in [*SECONDS_BUCKETS, float("inf")]:
                below += c.seconds[bucket]
                name = "+Inf" if bucket == float("inf") else str(bucket)
                lines.append(f'log_electra_request_seconds_bucket{{le="{name}"}} {below}')
            lines += [f"log_electra_request_seconds_sum {c.seconds_sum:.6f}", f"log_electra_request_seconds_count {below}"]
        lines += ["# TYPE log_electra_batches_total counter", f"log_electra_batches_total {sum(sizes.values())}"]
        in_batches = sum(size * n for size, n in sizes.items())
        lines += ["# TYPE log_electra_batched_lines_total counter", f"log_electra_batched_lines_total {in_batches}"]
        return "\n".join(lines) + "\n"


class BadRequest(Exception):
    """What is wrong with a request, for whoever sent it."""


def app(service: Service) -> Flask:
    flask = Flask("log_electra")
    flask.config["MAX_CONTENT_LENGTH"] = REQUEST_BYTES_MAX

    @flask.post("/analyze")
    def analyze() -> Response:
        log = _object().get("log")
        if not isinstance(log, str):
            raise BadRequest('wanted {"log": "text"}')
        return _json(service.analyze([log])[0].as_json())

    @flask.post("/analyze/batch")
    def analyze_batch() -> Response:
        logs = _object().get("logs")
        if not isinstance(logs, list) or not all(isinstance(log, str) for log in logs):
            raise BadRequest('wanted {"logs": ["text", …]}')
        if len(logs) > LOGS_MAX:
            raise BadRequest(f"{len(logs)} logs in one batch, at most {LOGS_MAX}")
        return _json({"results": [verdict.as_json() for verdict in service.analyze(logs)]})

    @flask.get("/healthz")
    def healthz() -> Response:
        return _json({"status": "ok", **service.judge.about()})

    @flask.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    _count_and_explain(flask, service)
    return flask


def _count_and_explain(flask: Flask, service: Service) -> None:
    @flask.before_request
    def begin() -> None:
        request.environ["log_electra.began"] = time.monotonic()

    @flask.after_request
    def count(response: Response) -> Response:
        endpoint = request.url_rule.rule if request.url_rule else "other"
        began = request.environ.get("log_electra.began", time.monotonic())
        service.counters.request(endpoint, response.status_code, time.monotonic() - began)
        return response

    @flask.errorhandler(BadRequest)
    def bad_request(error: BadRequest) -> Response:
        return _json({"error": str(error)}, 400)

    @flask.errorhandler(Overloaded)
    def overloaded(_: Overloaded) -> Response:
        response = _json({"error": "too many lines wait for the model: try again"}, 503)
        response.headers["Retry-After"] = "1"
        return response

    @flask.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _json({"error": error.description}, error.code or 500)


def _object() -> dict[str, object]:
    try:
        found = json.loads(request.get_data(cache=False))
    except ValueError as error:
        raise BadRequest("the body is no JSON") from error
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object")
    return found


def _json(found: object, status: int = 200) -> Response:
    return Response(json.dumps(found) + "\n", status, content_type="application/json")
