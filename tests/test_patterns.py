"""No input makes a regular expression of ours slow: every pattern in the code against inputs made from itself.

Patterns are found as module constants and as the first argument of every call of `re` (names that are local there are
replaced by a word). For each repeat of a pattern, the text that leads to it is followed by 50,000 characters of what it
repeats, and then by something that makes the match fail. Quadratic time takes a minute there, linear time some
milliseconds; the limit is two seconds of the processor.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import pkgutil
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

import benlab_tui
import pipeline
import simulator

LENGTH = 50_000
SECONDS = 2.0
MANY = 30
"""A repeat that may go on longer than this is attacked."""
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
LETTERS = ' a0.\n,-A=_(:x9b;*"|/'
COMMON = [("depth", " "), ("", " "), ("", "\n"), ("", "a"), ("", "0"), ("", "depth 3 ")]


class Names(dict[str, Any]):
    """A module's names; what is local to a function is a word."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(vars(module))

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return Word("depth")


class Word(str):
    """A text that is its own attribute and its own item."""

    def __getattr__(self, _: str) -> Word:
        return self


def modules() -> Iterator[ModuleType]:
    for package in (simulator, pipeline, benlab_tui):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                with suppress(ImportError):
                    yield importlib.import_module(found.name)


def constants(value: Any, depth: int = 0) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, dict | list | tuple | set | frozenset) and depth < 3:
        for item in list(value.values() if isinstance(value, dict) else value)[:500]:
            yield from constants(item, depth + 1)


def calls(module: ModuleType) -> Iterator[re.Pattern[str]]:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.") and node.args):
            continue
        said = [ast.unparse(part) for part in (*node.args[1:], *(word.value for word in node.keywords))]
        flags = sum(int(eval(text, {"re": re})) for text in said if re.fullmatch(r"re\.[A-Z]+", text))
        with suppress(TypeError, ValueError, re.error, NameError, LookupError, AttributeError):
            code = compile(ast.Expression(node.args[0]), "pattern", "eval")
            pattern = eval(code, {"__builtins__": builtins}, Names(module))
            if isinstance(pattern, str):
                yield re.compile(pattern, flags)


def patterns() -> dict[str, re.Pattern[str]]:
    found: dict[tuple[str, int], str] = {}
    for module in modules():
        for name, value in list(vars(module).items()):
            for pattern in constants(value):
                found.setdefault((pattern.pattern, pattern.flags), f"{module.__name__}.{name}")
        for number, pattern in enumerate(calls(module)):
            found.setdefault((pattern.pattern, pattern.flags), f"{module.__name__}:{number}")
    return {place: re.compile(*key) for key, place in found.items()}


def fits(items: Any, letter: str) -> bool:
    """Whether a character class, its items as the parser gives them, takes this letter."""
    kinds = {"DIGIT": str.isdigit, "SPACE": str.isspace, "WORD": lambda char: char.isalnum() or char == "_"}
    for code, value in items:
        if (code is codes.LITERAL and value == ord(letter)) or (
            code is codes.RANGE and value[0] <= ord(letter) <= value[1]
        ):
            return True
        if code is codes.CATEGORY:
            kind = str(value).rpartition("_")[2]
            if kinds[kind](letter) != ("NOT" in str(value)):
                return True
    return False


def example(tree: Any) -> str:
    """A shortest text that the tree matches, nearly: look-arounds and references are passed over."""
    text = ""
    for code, value in tree:
        if code is codes.LITERAL:
            text += chr(value)
        elif code in (codes.NOT_LITERAL, codes.ANY):
            text += "a"
        elif code is codes.IN:
            negated = any(kind is codes.NEGATE for kind, _ in value)
            text += next((letter for letter in LETTERS if fits(value, letter) != negated), "é")
        elif code is codes.BRANCH:
            text += example(value[1][0])
        elif code is codes.SUBPATTERN:
            text += example(value[3])
        elif code is codes.ATOMIC_GROUP:
            text += example(value)
        elif code in REPEATS:
            text += example(value[2]) * value[0]
    return text


def pumps(tree: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """For each long repeat what leads to it, and what it repeats."""
    for item in tree:
        code, value = item
        if code in REPEATS:
            body = example(value[2]) or " "
            if value[1] > MANY:
                yield before, body
                yield "", body
            yield from pumps(value[2], before)
        elif code is codes.SUBPATTERN:
            yield from pumps(value[3], before)
        elif code is codes.ATOMIC_GROUP:
            yield from pumps(value, before)
        elif code is codes.BRANCH:
            for branch in value[1]:
                yield from pumps(branch, before)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield from pumps(value[1], before)
        before += example([item])


class Slow(BaseException):
    """The limit was met."""


def test_no_pattern_is_quadratic() -> None:
    def stop(*_: object) -> None:
        raise Slow

    slow = []
    former = signal.signal(signal.SIGVTALRM, stop)
    try:
        for place, pattern in patterns().items():
            for before, body in {*COMMON, *pumps(parser.parse(pattern.pattern, pattern.flags))}:
                text = before + body * (LENGTH // len(body))
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                try:
                    for _ in pattern.finditer(text + "\x00"):
                        pass
                except Slow:
                    slow.append((place, before[-40:], body[:20]))
                    break
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.signal(signal.SIGVTALRM, former)
    assert slow == []


def test_the_walk_finds_patterns_and_the_attack_finds_quadratic_ones() -> None:
    assert len(patterns()) > 60
    bad = re.compile(r"\b(depth|seed)\b\s*[=:]?\s*(\d+)")
    assert ("depth", " ") in set(pumps(parser.parse(bad.pattern, bad.flags)))


NUMBERS = ["depth" + " " * LENGTH, "1e400", "-1e400", "9" * 5000, "1e999999999", "NaN", "-0", "−" * 5000]


@pytest.mark.parametrize("text", NUMBERS, ids=range(len(NUMBERS)))
def test_what_reads_answers_takes_any_number_and_any_blank(text: str) -> None:
    from pipeline.chat.number_check import check_answer, run_in_words

    question = f"run_phase of spt_cluster with system_size 8, depth {text} seed 3"
    run_in_words(question)
    run_in_words(f"depth {text}")
    known = {
        "experiment": "run_phase",
        "experiment_id": "0" * 16,
        "phase_type": "spt_cluster",
        "features": dict.fromkeys(simulator.FEATURE_NAMES, 0.5),
        "params": {"phase_type": "spt_cluster", "system_size": 8, "depth": 4, "seed": 3, "bias": 0.65, "shots": 0},
    }
    for answer in (f"string_order is {text}", f"depth {text}: entropy_mean {text}", f"{text} {text} zz_long={text}"):
        check_answer(answer, [known])
