"""Sessions and messages survive, are found by their words, and bad files are said in one sentence."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chat_schema import match_expression
from pipeline.chats import Chats, clip
from pipeline.errors import LabError


@pytest.fixture
def chats(tmp_path):
    store = Chats(tmp_path / "lab.db")
    yield store
    store.close()


def test_messages_survive_a_restart_in_order(tmp_path):
    first = Chats(tmp_path / "lab.db")
    session = first.start()
    first.add(session.id, "user", "what is TRI?")
    first.add(session.id, "assistant", "a distance", engine="embedded", tokens_per_second=31.5)
    first.close()
    again = Chats(tmp_path / "lab.db")
    found = again.newest()
    assert found is not None
    assert (found.title, found.messages) == ("what is TRI?", 2)
    assert [(m.role, m.content) for m in again.messages(found.id)] == [
        ("user", "what is TRI?"),
        ("assistant", "a distance"),
    ]
    assert again.messages(found.id)[1].meta["tokens_per_second"] == 31.5


def test_search_finds_words_of_titles_and_messages_and_follows_changes(chats):
    one, two = chats.start(), chats.start("spt notes")
    message = chats.add(one.id, "user", "replay drift of the cluster chain")
    assert [session.id for session in chats.sessions(query="drift clust")] == [one.id]
    assert [session.id for session in chats.sessions(query="spt")] == [two.id]
    chats.change(message.id, "something else")
    assert chats.search("drift") == []
    assert [found.id for found in chats.search("else")] == [message.id]
    chats.delete(one.id)
    assert chats.search("else") == []


def test_forget_from_removes_the_tail_only(chats):
    session = chats.start()
    kept = chats.add(session.id, "user", "a")
    chats.add(session.id, "assistant", "b")
    last = chats.add(session.id, "user", "c")
    chats.forget_from(session.id, last.id)
    assert [m.content for m in chats.messages(session.id)] == ["a", "b"]
    assert [m.content for m in chats.after(session.id, kept.id, 5)] == ["b"]
    found = chats.message(kept.id)
    assert found is not None and found.content == "a"
    assert chats.message(last.id) is None
    assert [m.content for m in chats.messages(session.id, before=last.id, limit=1)] == ["b"]


def test_settings_are_kept(chats):
    assert chats.recall("theme", "dark") == "dark"
    chats.remember("theme", "nord")
    chats.remember("theme", "light")
    assert chats.recall("theme") == "light"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_search_text_is_answered(query):
    chats = Chats(":memory:")
    try:
        chats.add(chats.start().id, "user", query)
        chats.search(query)
        chats.sessions(query=query)
        assert match_expression(query).count('"') % 2 == 0
    finally:
        chats.close()


def test_lone_surrogates_are_kept_as_replacement_characters(chats):
    session = chats.start()
    chats.add(session.id, "user", "a\udcffb")
    assert chats.messages(session.id)[0].content == "a?b"


def test_threads_write_side_by_side(chats):
    session = chats.start()
    threads = [
        threading.Thread(target=lambda: [chats.add(session.id, "user", "x") for _ in range(20)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(chats.messages(session.id)) == 80


def test_a_file_that_is_no_database_and_a_locked_one_are_one_sentence(tmp_path):
    broken = tmp_path / "lab.db"
    broken.write_bytes(b"not a database, but long enough to have a header" * 20)
    with pytest.raises(LabError, match="not a usable SQLite database"):
        Chats(broken)
    good = tmp_path / "good.db"
    chats = Chats(good)
    chats._conn.execute("PRAGMA busy_timeout = 50")
    session = chats.start()
    other = sqlite3.connect(good, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LabError, match="locked"):
        chats.add(session.id, "user", "x")
    other.execute("ROLLBACK")
    chats.add(session.id, "user", "y")
    assert [m.content for m in chats.messages(session.id)] == ["y"]


def test_titles_are_one_short_line():
    assert clip("a\n b\t c") == "a b c"
    assert len(clip("x" * 500)) == 60
