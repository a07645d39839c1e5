"""Reads logs: lines or messages for training, labelled sets for evaluation.

What a model is shown is the message: what its writer said, without time stamp, host and level. The agent knows how to
find it, so the best input is what `exception-log-collector scan --all --json` prints; plain lines are taken as they are.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"]
_LEVEL_WORDS = {"warning": "warn", "err": "error", "severe": "error", "crit": "fatal", "critical": "fatal"}
_LEVEL = re.compile(r"\b(trace|debug|info|warn(?:ing)?|err(?:or)?|severe|crit(?:ical)?|fatal)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Labelled:
    message: str
    level: str | None
    abnormal: bool


def read_lines(path: str) -> Iterator[str]:
    """Lines of a file, .gz too; `-` is standard input. Bad bytes become U+FFFD."""
    if path == "-":
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    opened = gzip.open(path, "rt", encoding="utf-8", errors="replace") if path.endswith(".gz") else None
    with opened or open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n")


def message_of(line: str) -> str:
    """The `message` of an object as `scan --json` prints it, else the line."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return line
        if isinstance(found, dict) and "schema" in found and isinstance(found.get("message"), str):
            return found["message"]
    return line


def read_messages(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield from filter(None, map(message_of, read_lines(path)))


def read_labelled(path: str, form: str, agent: str | None, skip_words: int) -> list[Labelled]:
    """A labelled log.

    loghub: the first word is `-` where the line is normal. tsv: a header row names the columns, `anomaly_label` and
    `line`. jsonl: objects with `log` (or `message`), `label` (0 or 1), perhaps `level`.
    """
    rows = list(_rows(path, form))
    if agent and form != "jsonl":
        seen = _by_agent(agent, [line for line, _, _ in rows])
        return [Labelled(*seen.get(at, (line, level)), abnormal) for at, (line, level, abnormal) in enumerate(rows)]
    return [Labelled(" ".join(line.split()[skip_words:]), level, abnormal) for line, level, abnormal in rows]


def _rows(path: str, form: str) -> Iterator[tuple[str, str | None, bool]]:
    lines = read_lines(path)
    if form == "tsv":
        columns = next(lines).split("\t")
        label, text = columns.index("anomaly_label"), columns.index("line")
        for line in lines:
            cells = line.split("\t", len(columns) - 1)
            if len(cells) == len(columns):
                yield _without_label(cells[text], cells[label]), _level_in(cells[text]), cells[label] != "-"
    elif form == "loghub":
        for line in lines:
            label, _, rest = line.partition(" ")
            if rest:
                yield rest, _level_in(rest), label != "-"
    elif form == "jsonl":
        for line in filter(None, lines):
            found = json.loads(line)
            yield found.get("log") or found["message"], found.get("level"), bool(found["label"])
    else:
        raise ValueError(f"unknown form of a labelled log: {form}")


def _without_label(line: str, label: str) -> str:
    return line.removeprefix(label + " ")


def _level_in(line: str) -> str | None:
    found = _LEVEL.search(line)
    return _LEVEL_WORDS.get(found[0].lower(), found[0].lower()) if found else None


def _by_agent(agent: str, lines: list[str]) -> dict[int, tuple[str, str | None]]:
    """What the agent reads each line as: message and level by the line's number, from 0."""
    command = [agent, "-q", "scan", "--all", "--json", "--multiline", "off", "-"]
    text = "\n".join(line.replace("\n", " ") for line in lines) + "\n"
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    records = map(json.loads, filter(None, done.stdout.decode().split("\n")))
    return {r["source"]["first_line"] - 1: (r["message"], r["level"]) for r in records if r.get("message")}
