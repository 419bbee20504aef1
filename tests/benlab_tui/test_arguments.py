"""One parser for slash lines and command lines."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from benlab_tui import arguments
from benlab_tui.errors import BadArgument, ConsoleError
from benlab_tui.registry import Command, commands


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    num_train_epochs: float = Field(default=1, gt=0, le=10)
    seed: int | None = Field(default=3, ge=0)
    quick: bool = False
    factors: list[int] = Field(default_factory=list)
    mode: Literal["a", "b"] = "a"
    source: str = Field(default="auto", json_schema_extra={"also": ["from"]})
    text: str = ""


async def _nothing(*_: object) -> None:
    return None


COMMAND = Command("try", "a command for this test", _nothing, params=_Params, positional=("text",))
TALK = Command("talk", "a command that takes free text", _nothing, params=_Params, positional=("text",), rest=True)


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--num-train-epochs", "3"], "num_train_epochs", 3),
        (["--num_train_epochs=3"], "num_train_epochs", 3),
        (["epochs=3"], "num_train_epochs", 3),
        (["seed=none"], "seed", None),
        (["--quick"], "quick", True),
        (["quick=no"], "quick", False),
        (["factors=1,2,4"], "factors", [1, 2, 4]),
        (["--from", "ollama"], "source", "ollama"),
        (["word"], "text", "word"),
        (["--text", ""], "text", ""),
        (["--text="], "text", ""),
        (["--seed", ""], "seed", None),
        (["seed=1", "--seed", "2"], "seed", 2),
    ],
)
def test_every_way_to_give_a_value(words: list[str], field: str, value: object) -> None:
    assert getattr(arguments.parse(COMMAND, words)[1], field) == value


@pytest.mark.parametrize("words", [["what", "is", "TRI?"], ["does", "a=b", "hold?"], ["epochs=3"]])
def test_free_text_is_kept_whole(words: list[str]) -> None:
    assert arguments.parse(TALK, words)[1].text == " ".join(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--num-train-epochs", "0"], "num_train_epochs"),
        (["--num-train-epochs"], "needs a value"),
        (["--num-train-epochs", "three"], "three"),
        (["seed=-1"], "seed"),
        (["mode=c"], "mode"),
        (["--nonsense", "1"], "nonsense"),
    ],
)
def test_a_bad_word_is_one_sentence_that_names_it(words: list[str], said: str) -> None:
    with pytest.raises(BadArgument, match=said) as caught:
        arguments.parse(COMMAND, words)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_no_line_crashes_the_parser(line: str) -> None:
    words = arguments.split(line)
    for command in commands().values():
        try:
            arguments.parse(command, words)
        except ConsoleError as error:
            assert str(error)


def test_a_list_grows_with_every_time_it_is_given() -> None:
    command = Command("x", "about", _nothing, params=_Params)
    _, values = arguments.parse(command, ["--factors", "1,2", "factors=3", "seed=1", "seed=2"])
    assert (values.factors, values.seed) == ([1, 2, 3], 2)
