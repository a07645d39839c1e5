"""A log line as the model sees it: normalised words, and their WordPiece numbers.

The same rules stand in Rust (src/analyzer/electra/normalise.rs and wordpiece.rs); golden vectors hold both together.
Whoever changes a rule here changes it there, and raises NORMALISER_VERSION.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

NORMALISER_VERSION = 1
TEXT_BYTES = 1024
WORD_BYTES_MAX = 100
FIRST_IDEOGRAPH = "\u2e80"

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PLACE_HOLDERS = ["<num>", "<hex>", "<id>", "<uuid>", "<mac>", "<time>", "<ip>", "<path>", "<url>", "<email>"]
PAD, UNK, CLS, SEP, MASK = range(5)

STOP_WORDS = frozenset(
    "a an and are as at be been by for from has in is it its of on or that the this to was".split()
)

_UPPER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_JOINERS = ".-:/@+%\\#$_~"
# A token, or one ideograph: characters from U+2E80 on are words of their own.
_TOKEN = re.compile(r"[0-9a-z.:/@+%\\#$_~\x80-\u2e7f-]+|[\u2e80-\U0010ffff]")
_JOINER = re.compile(r"[.:/@+%\\#$_~-]+")
_RUNS = re.compile(r"[0-9]+|[^0-9]+")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}")
_TIME = re.compile(r"[0-9][0-9:./tz+-]{4,}")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[:/][0-9]*)?")
_IPV6 = re.compile(r"[0-9a-f:./]+")
_NUMBER = re.compile(r"[0-9]+")
_HEX = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}")


def words(text: str) -> Iterator[str]:
    """The words of a line, in order."""
    head = text.encode("utf-8", "replace")[:TEXT_BYTES].decode("utf-8", "ignore").translate(_UPPER)
    last_hole = ""
    for token in _TOKEN.findall(head):
        for word, is_hole in _words_of_token(token):
            if is_hole:
                if word != last_hole:
                    yield word
                last_hole = word
            elif word not in STOP_WORDS:
                last_hole = ""
                yield word


def normalise(text: str) -> str:
    return " ".join(words(text))


def _words_of_token(token: str) -> Iterator[tuple[str, bool]]:
    if token >= FIRST_IDEOGRAPH:
        yield token, False
        return
    token = token.rstrip(_JOINERS).lstrip(".-:@+%\\#$_")
    if not token:
        return
    hole = _whole(token)
    if hole:
        yield hole, True
        return
    for part in _JOINER.split(token):
        if part:
            yield from _words_of_part(part)


def _whole(token: str) -> str | None:
    """What a whole token is, if it is one thing."""
    if "://" in token:
        return "<url>"
    if _UUID.fullmatch(token):
        return "<uuid>"
    if _MAC.fullmatch(token):
        return "<mac>"
    if _IPV4.fullmatch(token):
        return "<ip>"
    if _TIME.fullmatch(token) and (":" in token or token.count("-") >= 2 or token.count("/") >= 2):
        return "<time>"
    if token.count(":") >= 2 and _IPV6.fullmatch(token):
        return "<ip>"
    if (token[0] in "/~" and len(token) >= 2) or token.count("/") >= 2 or "\\" in token:
        return "<path>"
    if token.count("@") == 1 and "." in token:
        return "<email>"
    return None


def _words_of_part(part: str) -> Iterator[tuple[str, bool]]:
    if not re.search("[0-9]", part):
        yield part, False
    elif _NUMBER.fullmatch(part):
        yield "<num>", True
    elif _HEX.fullmatch(part):
        yield "<hex>", True
    elif len(part.encode()) >= 8 and len(_RUNS.findall(part)) >= 4:
        yield "<id>", True
    else:
        for run in _RUNS.findall(part):
            yield ("<num>", True) if run[0] in "0123456789" else (run, False)


class Vocabulary:
    """WordPiece, the longest piece first; a word that cannot be spelt is [UNK] as a whole."""

    def __init__(self, pieces: list[str]) -> None:
        if pieces[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"a vocabulary begins with {' '.join(SPECIAL)}")
        if len(set(pieces)) != len(pieces):
            raise ValueError("a piece stands twice in the vocabulary")
        self.pieces = pieces
        self._number = {piece: number for number, piece in enumerate(pieces)}
        self._longest = max(len(piece) for piece in pieces)
        self._spelt: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str, limit: int) -> list[int]:
        """[CLS], the pieces of `text`, [SEP]: at most `limit` numbers."""
        numbers: list[int] = []
        for word in words(text):
            if len(numbers) >= limit - 2:
                break
            numbers += self.spell(word)
        return [CLS, *numbers[: limit - 2], SEP]

    def spell(self, word: str) -> list[int]:
        found = self._spelt.get(word)
        if found is None:
            found = self._spell(word)
            if len(self._spelt) < 100_000:
                self._spelt[word] = found
        return found

    def _spell(self, word: str) -> list[int]:
        if len(word.encode()) > WORD_BYTES_MAX:
            return [UNK]
        numbers: list[int] = []
        begin = 0
        while begin < len(word):
            mark = "##" if begin else ""
            for end in range(min(len(word), begin + self._longest), begin, -1):
                number = self._number.get(mark + word[begin:end])
                if number is not None:
                    break
            else:
                return [UNK]
            numbers.append(number)
            begin = end
        return numbers


def train_vocabulary(texts: Iterable[str], size: int, min_count: int = 2) -> Vocabulary:
    """A vocabulary of at most `size` pieces: characters, then the most frequent pairs joined, as byte-pair encoding does.

    The same texts give the same vocabulary: ties go to the pair that sorts first.
    """
    counts: Counter[str] = Counter(word for text in texts for word in words(text))
    for hole in PLACE_HOLDERS:
        counts.pop(hole, None)
    counts = Counter({word: n for word, n in counts.items() if len(word.encode()) <= WORD_BYTES_MAX})
    pieces = SPECIAL + PLACE_HOLDERS
    letters = Counter[str]()
    for word, n in counts.items():
        for at, letter in enumerate(word):
            letters["##" + letter if at else letter] += n
    by_frequency = sorted(letters, key=lambda letter: (-letters[letter], letter))
    pieces += by_frequency[: max(0, size - len(pieces))]
    return Vocabulary(pieces + _join_pairs(counts, set(pieces), size - len(pieces), min_count))


def _join_pairs(counts: Counter[str], known: set[str], wanted: int, min_count: int) -> list[str]:
    spelt = {word: [word[0], *("##" + letter for letter in word[1:])] for word in counts}
    spelt = {word: parts for word, parts in spelt.items() if known.issuperset(parts)}
    pairs: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], set[str]] = {}

    def count(word: str, sign: int) -> None:
        parts = spelt[word]
        for pair in zip(parts, parts[1:]):
            pairs[pair] += sign * counts[word]
            places.setdefault(pair, set()).add(word)

    for word in spelt:
        count(word, 1)
    joined: list[str] = []
    while len(joined) < wanted and pairs:
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < min_count:
            break
        piece = best[0] + best[1].removeprefix("##")
        for word in places.pop(best):
            count(word, -1)
            spelt[word] = _join(spelt[word], best, piece)
            count(word, 1)
        del pairs[best]
        if piece not in known:
            known.add(piece)
            joined.append(piece)
    return joined


def _join(parts: list[str], pair: tuple[str, str], piece: str) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(parts):
        if tuple(parts[at : at + 2]) == pair:
            out.append(piece)
            at += 2
        else:
            out.append(parts[at])
            at += 1
    return out
