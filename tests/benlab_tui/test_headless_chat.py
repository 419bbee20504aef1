"""`benlab chat` and `ask`: turns on stdin, events on stdout, over a real server in the model's place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import simulator
from pipeline.chat.result_text import result_text
from pipeline.chat.tool_text import call_text
from pipeline.chats import Chats
from pipeline.lab import Lab

CHAIN = {"phase_type": "spt_cluster", "system_size": 48, "depth": 10}
LONGER = {**CHAIN, "system_size": 96}
SWEEP = call_text("sweep", {"seeds": 1, "system_sizes": [8], "depths": [2], "phases": ["spt_cluster"]})


def chat(lab: Lab, model: Any, text: str | bytes, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, events and stderr of `benlab chat --json`."""
    (lab.root / "benlab.toml").write_text(f'[chat]\nurl = "{model.url}"\n')
    argv = [sys.executable, "-m", "benlab_tui", "--lab", str(lab.root), "chat", "--json", "--model", "url:m", *words]
    done = subprocess.run(
        argv, input=text if isinstance(text, bytes) else text.encode(), capture_output=True, timeout=120
    )
    lines = done.stdout.decode().splitlines()
    return done.returncode, [json.loads(line) for line in lines], done.stderr.decode()


def test_three_turns_run_read_and_compare(lab: Lab, model: Any) -> None:
    """One tool event a run with the whole result, one answer a turn with its numbers checked, exit code 0."""
    before, after = simulator.run_now("run_phase", **CHAIN), simulator.run_now("run_phase", **LONGER)
    change = result_text(after, before).splitlines()[-1]
    model.answers = [
        *(call_text("run_phase", CHAIN), "The order is strong."),
        *(call_text("run_phase", LONGER), "It is weaker."),
        f"Yes. {change} The string_order is 0.11 elsewhere.",
    ]
    text = "a cluster chain of 48 sites, 10 layers\nthe same with 96 sites\ndid the string order change?\n"
    code, events, _ = chat(lab, model, text)
    assert code == 0
    assert [event["event"] for event in events] == ["tool", "answer", "tool", "answer", "answer"]
    assert (events[0]["name"], events[0]["args"]["system_size"], events[0]["result"]) == ("run_phase", 48, before)
    assert events[1]["runs"] == [before["experiment_id"]]
    marks = events[4]["verified"]
    assert [mark["text"] for mark in marks if not mark["ok"]] == ["0.11"]
    assert {"text", "ok", "right"} <= set(marks[0])
    assert set(events[4]) >= {"text", "engine", "model", "seconds"}


def test_json_lines_commands_and_bad_lines(lab: Lab, model: Any) -> None:
    """A JSON line is a turn, a command is run and counts as context; what is wrong is told, and the chat continues."""
    text = "\n".join(
        [
            json.dumps({"text": "one\ntwo"}),
            json.dumps({"words": "no text"}),
            "{not json",
            "/experiment run_phase phase_type=spt system_size=8",
            "/wizard",
            "/chat",
            "//slash",
            "",
            "x" * 100_001,
        ]
    )
    code, events, _ = chat(lab, model, text.encode() + b"\n\xff\xfe last")
    assert code == 0
    kinds = [(event["event"], event.get("kind", event.get("name"))) for event in events]
    assert kinds == [
        *(("answer", None), ("failed", "BadArgument"), ("answer", None), ("command", "experiment")),
        *(("failed", "UnknownCommand"), ("failed", "BadArgument"), ("answer", None), ("failed", "BadArgument")),
        ("answer", None),
    ]
    asked = [[message["content"] for message in body["messages"] if message["role"] == "user"] for body in model.asked]
    assert asked[0] == ["one\ntwo"] and asked[1][-1] == "{not json" and asked[2][-1] == "/slash"
    tools = [message["content"] for message in model.asked[-1]["messages"] if message["role"] == "tool"]
    assert tools == [result_text(events[3]["result"])]


def test_a_long_run_is_refused_unless_it_is_allowed(lab: Lab, model: Any) -> None:
    """Nobody can be asked without a terminal."""
    model.answers = [SWEEP, "as you wish"]
    _, events, _ = chat(lab, model, "sweep it\n")
    assert [event["event"] for event in events] == ["refused", "answer"]
    assert "did not want sweep" in events[0]["error"]
    model.answers = [SWEEP, "done"]
    _, events, _ = chat(lab, model, "sweep it\n", "--allow", "sweep,discovery")
    assert events[0]["result"]["num_samples"] == 1
    code, events, _ = chat(lab, model, "", "--allow", "wizard")
    assert code == 2 and "not a tool" in events[-1]["error"]


def test_a_session_goes_on(lab: Lab, model: Any) -> None:
    """Question, run and answer are stored; an entry of an unknown role is kept, named, and not sent."""
    model.answers = [call_text("run_phase", CHAIN), "strong"]
    chat(lab, model, "run it\n", "--session", "cluster")
    chats = Chats(lab.database)
    (session,) = chats.sessions()
    chats.add(session.id, "wizard", "abracadabra")
    chats.close()
    model.asked.clear()
    _, events, stderr = chat(lab, model, "and now?\n", "--session", "cluster")
    assert events[-1]["event"] == "answer" and "unknown roles (wizard)" in stderr
    sent = [(message["role"], message["content"]) for message in model.asked[0]["messages"]]
    assert [role for role, _ in sent] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert not any("abracadabra" in text for _, text in sent)


def test_a_model_that_fails_is_told_and_the_next_turn_is_read(lab: Lab, model: Any, tmp_path: Path) -> None:
    model.http.shutdown()
    model.http.server_close()
    code, events, _ = chat(lab, model, "one\ntwo\n")
    assert code == 0
    assert [(event["event"], event["kind"]) for event in events] == [("failed", "ChatError")] * 2
