"""Whatever a lab folder, a job or a name holds, the commands without a screen print it inert, and `--json` keeps it."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

import benlab_tui
from benlab_tui.text import inert, inert_json, without_active
from pipeline.lab import Lab
from tests.benlab_tui.pty_bytes import ATTACKS, EVERYTHING, SHOWN, acts, run_in_pty

STORED = EVERYTHING.replace(ATTACKS["surrogate"], "")
"""SQLite keeps no half of a surrogate pair."""

EVIL = {
    "experiment": "run_phase" + STORED,
    "experiment_id": "0123456789abcdef",
    "summary": STORED,
    "params": {"phase_type": STORED, STORED: STORED},
    "phase_type": "spt_cluster",
    "note" + STORED: STORED,
    "physics_version": STORED,
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab whose folder, notebook, jobs and files are full of escapes."""
    name = "lab" + "".join(char for char in EVERYTHING if char not in "/\0" and not "\ud800" <= char <= "\udfff")[:80]
    lab = Lab.at(tmp_path_factory.mktemp("pty") / name)
    with lab.notebook() as notebook:
        notebook.put({**EVIL, "features": {"entropy_mean" + STORED: 0.5}})
        notebook.put({**EVIL, "experiment_id": "fedcba9876543210"})
    run = lab.new_run("train")
    event = {"event": "failed", "error": EVERYTHING, "kind": "PipelineError"}
    (run / "events.jsonl").write_text(
        json.dumps({"event": "progress", "stage": EVERYTHING, "done": 1, "total": 2, "note": EVERYTHING})
        + "\n"
        + json.dumps({"event": "note", "text": EVERYTHING})
        + "\n"
        + json.dumps(event)
        + "\n"
    )
    record = {"id": run.name, "kind": "train" + EVERYTHING, "params": {"base": EVERYTHING}, "pid": 2**22 + 5}
    (run / "job.json").write_text(json.dumps({**record, "born": 1.0, "started": 1.0}))
    (run / "job.log").write_text(EVERYTHING.encode("utf-8", "replace").decode())
    lab.data.parent.mkdir(exist_ok=True)
    lab.data.write_text(json.dumps({"instruction": EVERYTHING, "output": EVERYTHING}) + "\n")
    return lab


COMMANDS = [
    (["notebook"], True),
    (["notebook", "0123456789abcdef"], True),
    (["notebook", "fedcba9876543210"], True),
    (["jobs"], True),
    (["models"], False),
    (["doctor"], False),
    (["disk"], False),
    (["experiment", EVERYTHING.replace("\0", "")], True),
    ([EVERYTHING], True),
    (["experiment", "run_phase", f"phase_type={EVERYTHING}"], True),
    (["experiment", "run_phase", f"{EVERYTHING}=1"], True),
    (["cancel", EVERYTHING[:90]], False),
    (["use", EVERYTHING[:150]], True),
    (["data", "check", "data/lab_instructions.jsonl"], True),
    (["export", f"adapter=nowhere{EVERYTHING}"], True),
    (["pull", EVERYTHING], True),
    (["help", EVERYTHING], True),
]


def command_line(words: list[str]) -> list[str]:
    return [os.fsencode(word.replace("\ud800", "")).decode("utf-8", "surrogateescape") for word in words]


@pytest.mark.parametrize(("words", "shows"), COMMANDS, ids=[str(number) for number in range(len(COMMANDS))])
def test_a_command_prints_nothing_that_acts(lab: Lab, words: list[str], shows: bool) -> None:
    data = run_in_pty(["-m", "benlab_tui", "--lab", str(lab.root), *command_line(words)], lab.root.parent, seconds=60)
    assert b"Traceback" not in data
    assert acts(data) == []
    assert SHOWN.encode() in data or not shows


@pytest.mark.parametrize("words", [["notebook"], ["notebook", "0123456789abcdef"], ["experiment", EVERYTHING]], ids=str)
def test_json_prints_nothing_that_acts_and_loses_nothing(lab: Lab, words: list[str]) -> None:
    data = run_in_pty(["-m", "benlab_tui", "--json", "--lab", str(lab.root), *command_line(words)], lab.root.parent)
    assert acts(data) == []
    values = [json.loads(line) for line in data.decode().splitlines() if line.startswith("{")]
    assert SHOWN in json.dumps(values)
    if words == ["notebook", "0123456789abcdef"]:
        assert values[-1]["summary"].startswith(STORED)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_edge_makes_each_attack_inert(attack: str) -> None:
    assert acts(inert(attack).encode()) == [] and SHOWN in inert(attack)
    line = json.dumps({"text": attack}, ensure_ascii=False)
    assert json.loads(inert_json(line)) == {"text": attack} and acts(inert_json(line).encode()) == []
    assert acts(without_active(attack).encode()) == []


def test_no_other_file_writes_to_the_terminal() -> None:
    """A writer that passed by the edge would pass by its test too. `--version` writes our own number alone."""
    for path in Path(benlab_tui.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        writers = {name for name in used if name == "print" or name.endswith(("stdout.write", "stderr.write"))}
        assert not writers - ({"sys.stdout.write"} if path.name == "cli.py" else set()), path
