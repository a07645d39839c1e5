#!/usr/bin/env python3
"""LogELECTRA as a service: asks of the agent (`analyzers.ai.engine: service`) are answered here.

    LOG_ELECTRA_MODEL=model scripts/log_electra_service.py

POST /analyze        {"log": "text"}        → {"label": 0 or 1, "confidence": 0…1, "score", "threshold", "model"}
POST /analyze/batch  {"logs": ["text", …]}  → {"results": [one such object for each]}
GET  /healthz, /metrics

`label` 1 is abnormal; `confidence` is the share of held-out normal lines that do not score higher. The text of a line is
neither stored nor logged. Needs scripts/requirements.txt.
"""

from __future__ import annotations

import os

# Before torch: on shared cores more threads are slower.
os.environ.setdefault("OMP_NUM_THREADS", os.environ.get("LOG_ELECTRA_TORCH_THREADS", "1"))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence

# sysexits.h: the configuration is wrong.
EX_CONFIG = 78


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """Options; each has an environment variable, for units of systemd."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )

    def option(name: str, default: str, help_text: str, kind: type = str) -> None:
        variable = "LOG_ELECTRA_" + name.upper().replace("-", "_")
        value = environment.get(variable, default)
        help_text = f"{help_text} [{variable}{', default ' + default if default else ''}]"
        parser.add_argument("--" + name, default=value or None, type=kind, help=help_text)

    option("model", "", "directory, or name on the hub")
    option("listen", "127.0.0.1:5000", "address and port")
    option("rate", "", "share of normal lines found abnormal, instead of the model's own", float)
    option("threshold", "", "score above which a line is abnormal, instead of the model's own", float)
    option("quantise", "", "int8: linear layers in int8, for long lines and wide models")
    option("batch", "64", "most lines that go through the model at a time", int)
    option("cache", "10000", "verdicts remembered; 0: none", int)
    option("threads", "16", "requests that are answered at the same time", int)
    option("timeout", "10", "seconds after which a request that waits is answered 503", float)
    options = parser.parse_args(arguments)
    if options.quantise not in (None, "int8"):
        parser.error("--quantise: only int8 is known")
    if options.rate is not None and not 0 < options.rate < 1:
        parser.error("--rate is a share between 0 and 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments, os.environ)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    # Below: torch takes seconds, which --help should not.
    from log_electra.judges import NoModel, choose
    from log_electra.serving import REQUEST_BYTES_MAX, Service, app

    try:
        judge = choose(options.model or "", options.threshold, options.rate, options.quantise == "int8")
    except NoModel as error:
        print(f"log_electra_service.py: {error}", file=sys.stderr)
        return EX_CONFIG
    service = Service(judge, options.cache, options.batch, options.timeout)
    service.analyze(["the first run takes longer"])
    logging.info("%s %s answers at http://%s", judge.name, judge.version, options.listen)
    from waitress import serve

    # waitress sets TCP_NODELAY, and a reply is one write: without both each request would wait 40 ms.
    serve(
        app(service),
        listen=options.listen,
        threads=options.threads,
        ident="log-electra",
        max_request_body_size=REQUEST_BYTES_MAX + 4096,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
