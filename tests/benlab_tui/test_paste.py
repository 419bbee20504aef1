"""What a terminal pastes stays text, wherever its bytes are cut."""

from __future__ import annotations

import pytest
from textual import events

from benlab_tui.paste import PasteParser

SENT = "a\x1b[200~one\x1b[31m two\r\x1b\x1b[A\x1b[20 end\x1b\x1b[201~b\x1b[A"


def _read(sent: str, size: int) -> list[events.Event]:
    parser = PasteParser()
    return [event for at in range(0, len(sent), size) for event in parser.feed(sent[at : at + size])]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, len(SENT)])
def test_a_paste_is_one_event_and_presses_no_key(size: int) -> None:
    read = _read(SENT, size)
    assert [event.key for event in read if isinstance(event, events.Key)] == ["a", "b", "up"]
    assert [event.text for event in read if isinstance(event, events.Paste)] == ["one␛[31m two\r␛␛[A␛[20 end␛"]


def test_a_long_paste_full_of_escapes_is_one_event_too() -> None:
    read = _read("\x1b[200~" + "\x1b[31mred\x1b[0m" * 10_000 + "\x1b[201~\r", 4096)
    assert [type(event) for event in read] == [events.Paste, events.Key]
