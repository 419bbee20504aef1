"""Reports, provenance, preferences, backups and disk use of one lab."""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
import time
from contextlib import closing

import pytest

import simulator
from benlab_tui.cli import Options
from benlab_tui.headless import run_command
from pipeline import disk, judgements, provenance
from pipeline.backup import backup, restore
from pipeline.chats import Chats
from pipeline.errors import BadInput, LabError
from pipeline.lab import Lab
from pipeline.report import write_report
from simulator.errors import NotebookError
from simulator.events import last_result
from simulator.sqlite import BUSY_SECONDS


@pytest.fixture
def session(lab):
    """A session with a question, an answer full of markup, and an experiment's card."""
    chats = Chats(lab.database)
    made = chats.start()
    chats.add(made.id, "user", "what about <script>alert(1)</script>?")
    chats.add(made.id, "assistant", "an **answer** <img src=x onerror=alert(2)>")
    with lab.notebook() as notebook:
        result = simulator.run_now("run_phase", notebook, phase_type="spt_cluster", system_size=8, depth=4)
    chats.add(made.id, "card", "run", result=result)
    chats.close()
    judgements.keep_explanation(lab, result["experiment_id"], "hidden order & more", "ben-lab")
    return made, result


def test_a_report_holds_questions_numbers_plots_and_explanations_and_escapes_all_of_it(lab, session):
    made, result = session
    written = write_report(lab, made.id, "monday")
    markdown = (lab.root / "reports" / "monday.md").read_text()
    page = (lab.root / "reports" / "monday.html").read_text()
    value = f"{result['features']['string_order']:.9g}"
    assert value in markdown
    assert value in page
    assert "hidden order & more" in markdown
    assert "hidden order &amp; more" in page
    assert "<script>" not in page
    assert "<img" not in page
    assert "<svg" in page
    assert len(written["plots"]) == 1
    assert "not installed" in markdown


def test_a_report_needs_a_session_and_a_plain_name(lab, session):
    with pytest.raises(BadInput, match="no session 99"):
        write_report(lab, 99)
    with pytest.raises(BadInput, match="no name for a report"):
        write_report(lab, session[0].id, "../../etc/passwd")


def test_why_names_the_nearest_training_examples_and_their_experiments(lab):
    lab.data.parent.mkdir()
    lines = [
        {"instruction": "What is the weather?", "input": "", "output": "Rain.", "meta": {}},
        {
            "instruction": "Explain what TRI measures.",
            "input": "",
            "output": "TRI is the distance between two runs.",
            "meta": {"kind": "definitions", "experiment_ids": ["abc123"]},
        },
    ]
    lab.data.write_text("".join(json.dumps(line) + "\n" for line in lines) + "broken\n")
    found = provenance.why(lab, "what does TRI measure?", "a distance between runs", "ben-lab")
    assert [(example.line, example.experiment_ids) for example in found.examples] == [(2, ["abc123"])]
    page = provenance.as_markdown(found)
    assert "line 2 · definitions · experiments abc123" in page
    assert provenance.nearest(lab, "???", "") == []


def test_preferences_are_lines_that_add_up(lab):
    for number in range(3):
        judgements.prefer(lab, f"q{number}", "good", "bad", ("ben-lab", "base"))
    rows = [json.loads(line) for line in judgements.preferences_path(lab).read_text().splitlines()]
    assert [(row["prompt"], row["chosen"], row["models"]) for row in rows][2] == ("q2", "good", ["ben-lab", "base"])


def test_explanations_are_replaced_and_unknown_ones_are_none(lab):
    judgements.keep_explanation(lab, "a", "first", "base")
    judgements.keep_explanation(lab, "a", "second", "ben-lab")
    said = judgements.explanation(lab, "a")
    assert said is not None
    assert (said["text"], said["model"]) == ("second", "ben-lab")
    assert judgements.explanation(lab, "b") is None


def test_a_backup_comes_back_whole_and_leaves_bases_out(lab, session, tmp_path):
    (lab.models / "bases" / "x").mkdir(parents=True)
    (lab.models / "bases" / "x" / "big.gguf").write_bytes(b"0" * 1000)
    file = tmp_path / "lab.tar.gz"
    last_result(backup(lab, file))
    last_result(restore(file, tmp_path / "again"))
    again = Lab.at(tmp_path / "again")
    with again.notebook() as notebook:
        assert notebook.get(session[1]["experiment_id"]) == session[1]
    assert [m.role for m in Chats(again.database).messages(session[0].id)] == ["user", "assistant", "card"]
    assert not (again.models / "bases").exists()


def test_a_restore_refuses_full_folders_foreign_archives_and_paths_that_lead_out(lab, tmp_path):
    file = tmp_path / "lab.tar.gz"
    last_result(backup(lab, file))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(BadInput, match="not empty"):
        last_result(restore(file, tmp_path / "full"))
    with pytest.raises(LabError, match="cannot be unpacked"):
        broken = tmp_path / "broken.tar.gz"
        broken.write_bytes(b"no archive")
        last_result(restore(broken, tmp_path / "new"))
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as archive:
        archive.add(lab.config_path, "benlab.toml")
        archive.add(lab.config_path, "../outside.toml")
    with pytest.raises(LabError, match="cannot be unpacked"):
        last_result(restore(evil, tmp_path / "deep" / "new"))
    assert not (tmp_path / "deep" / "outside.toml").exists()
    with pytest.raises(BadInput, match="inside the lab"):
        last_result(backup(lab, lab.root / "x.tar.gz"))


def test_disk_use_adds_up_and_only_what_is_spare_goes(lab):
    run = lab.new_run("train")
    record = {"id": run.name, "kind": "train", "params": {}, "pid": 2**22 - 1, "born": 1.0, "started": time.time()}
    (run / "job.json").write_text(json.dumps(record))
    (run / "events.jsonl").write_text('{"event": "result"}\n')
    (run / "checkpoint").mkdir()
    (run / "checkpoint" / "state").write_bytes(b"0" * 5000)
    stale, fresh = lab.root / ".a.1.tmp", lab.root / ".b.2.tmp"
    for path in (stale, fresh):
        path.write_bytes(b"0" * 100)
    os.utime(stale, (1, 1))
    assert sum(part.size for part in disk.usage(lab)) == disk.size_of(lab.root)
    assert disk.clean(lab) == 5100
    assert (run / "job.json").exists()
    assert fresh.exists()
    assert not stale.exists()


@pytest.mark.parametrize("last", ["failed", "cancelled"])
def test_a_checkpoint_that_a_training_can_go_on_from_is_not_spare(lab, last):
    """A full disk ends a training as failed, and `disk` is where its error sends people."""
    run = lab.new_run("train")
    record = {"id": run.name, "kind": "train", "params": {}, "pid": 2**22 - 1, "born": 1.0, "started": time.time()}
    (run / "job.json").write_text(json.dumps(record))
    kind = "Interrupted" if last == "cancelled" else "LabError"
    (run / "events.jsonl").write_text(json.dumps({"event": "failed", "error": "x", "kind": kind}) + "\n")
    (run / "train.json").write_text("{}")
    (run / "checkpoint").mkdir()
    (run / "checkpoint" / "state.json").write_text("{}")
    assert disk.clean(lab) == 0 and (run / "checkpoint" / "state.json").exists()
    (run / "adapter").mkdir()
    assert disk.clean(lab) == 2 and not (run / "checkpoint").exists()


def test_what_a_killed_evaluation_leaves_behind_may_go(lab):
    run = lab.new_run("eval")
    record = {"id": run.name, "kind": "eval", "params": {}, "pid": 2**22 - 1, "born": 1.0, "started": time.time()}
    (run / "job.json").write_text(json.dumps(record))
    (run / "engine-tuned.gguf").write_bytes(b"0" * 700)
    assert disk.clean(lab) == 700
    assert not (run / "engine-tuned.gguf").exists()


@pytest.mark.parametrize("place", ["checksum", "middle", "cut"])
def test_a_damaged_archive_leaves_nothing_behind(lab, session, tmp_path, place):
    file = tmp_path / "lab.tar.gz"
    last_result(backup(lab, file))
    data = bytearray(file.read_bytes())
    if place == "cut":
        del data[-6:]
    else:
        data[-8 if place == "checksum" else len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(LabError, match="choose another backup"):
        last_result(restore(file, tmp_path / "deep" / "new"))
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("name", ["benlab.toml", "lab.db", "./lab.db"])
def test_a_restore_refuses_links_in_the_place_of_the_labs_own_files(lab, tmp_path, name):
    file = tmp_path / "lab.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.add(lab.config_path, "benlab.toml")
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
        archive.addfile(link)
    with pytest.raises(BadInput, match="no regular file"):
        last_result(restore(file, tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_refused_restore_on_the_command_line_makes_no_lab(tmp_path):
    (tmp_path / "bad.tgz").write_bytes(b"no archive")
    words = ["restore", str(tmp_path / "bad.tgz")]
    assert run_command(Options(words=words, lab=str(tmp_path / "new"))) == 1
    assert not (tmp_path / "new").exists()


def test_an_archive_is_replaced_only_where_that_is_wanted(lab, tmp_path):
    file = tmp_path / "lab.tar.gz"
    file.write_bytes(b"an older backup")
    with pytest.raises(BadInput, match="force=true"):
        last_result(backup(lab, file))
    assert file.read_bytes() == b"an older backup"
    last_result(backup(lab, file, force=True))
    last_result(restore(file, tmp_path / "again"))
    with pytest.raises(BadInput, match="is a folder"):
        last_result(backup(lab, tmp_path, force=True))


@pytest.mark.parametrize("damage", ["header", "page"])
def test_a_damaged_database_is_said_and_no_archive_is_written(lab, session, tmp_path, damage):
    with lab.notebook() as notebook:
        notebook._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(lab.database.read_bytes())
    start, end = (0, 100) if damage == "header" else (4096, len(data))
    data[start:end] = b"\xff" * (end - start)
    lab.database.write_bytes(data)
    with pytest.raises(LabError, match="restore a backup"):
        last_result(backup(lab, tmp_path / "lab.tar.gz"))
    assert not list(tmp_path.glob("*lab.tar.gz*"))


def test_a_held_database_is_waited_for_a_little_and_then_said(lab, session, tmp_path, monkeypatch):
    assert BUSY_SECONDS <= 5
    monkeypatch.setattr("pipeline.backup.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("simulator.sqlite.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(lab.database, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LabError, match="another program holds it"):
            last_result(backup(lab, tmp_path / "lab.tar.gz"))
        with pytest.raises(NotebookError, match="another program holds it"):
            lab.notebook()
        holder.execute("ROLLBACK")


def test_a_refused_restore_makes_no_default_lab_either(tmp_path, monkeypatch):
    monkeypatch.delenv("BENLAB_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    assert run_command(Options(words=["restore", str(tmp_path / "missing.tgz")])) == 1
    assert not (tmp_path / "share").exists()
