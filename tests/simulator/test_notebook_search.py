"""The notebook is searched by settings, tag, day and number; runs are tagged, annotated and deleted."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import simulator
from simulator.errors import BadParameter, UnknownExperiment
from simulator.notebook import _STEPS, Notebook
from simulator.notebook_search import NUMBERS, NotebookSearch, number_of, schema, search
from simulator.sqlite import migrate, open_database


@pytest.fixture
def notebook(tmp_path: Path):
    """Four runs and a TRI."""
    with Notebook(tmp_path / "lab.db") as kept:
        for phase in ("spt_cluster", "trivial_product"):
            for size in (8, 12):
                simulator.run_now("run_phase", kept, phase_type=phase, system_size=size, depth=4, seed=size)
        simulator.run_now("tri", kept, phase_type="ising_symmetry_breaking", system_size=8, depth=3, bias=0.9)
        yield kept


def found(notebook: Notebook, now: datetime | None = None, **given) -> list[dict]:
    """The results that a search gives, in its order."""
    answer = search(notebook, simulator.validate(NotebookSearch, {"limit": 10, **given}), now)
    assert answer["matching"] == len(answer["runs"])
    return [row["result"] for row in answer["runs"]]


def test_settings_are_conditions_that_hold_together(notebook):
    assert len(found(notebook)) == 5
    assert [run["params"]["system_size"] for run in found(notebook, phase_type="spt_cluster")] == [12, 8]
    one = found(notebook, phase_type="spt", system_size=12, depth=4, seed=12, experiment="run_phase")
    assert [run["params"]["seed"] for run in one] == [12]
    assert found(notebook, phase_type="spt_cluster", depth=5) == []


def test_what_is_counted_is_more_than_what_is_shown(notebook):
    answer = search(notebook, NotebookSearch(limit=2))
    assert answer["matching"] == 5 and len(answer["runs"]) == 2
    assert answer["summary"] == "5 runs match, 2 shown."


@pytest.mark.parametrize("order", ["largest", "smallest"])
def test_runs_are_ordered_by_a_feature_whichever_experiment_measured_it(notebook, order):
    runs = found(notebook, number="entropy_final", order=order)
    values = [number_of(run, "entropy_final") for run in runs]
    assert len(values) == 5
    assert values == sorted(values, reverse=order == "largest")
    assert {run["experiment"] for run in runs} == {"run_phase", "tri"}


def test_a_run_without_the_number_is_not_found_by_it(notebook):
    assert [run["experiment"] for run in found(notebook, number="TRI", order="largest")] == ["tri"]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_the_schema_can_be_searched(notebook, name):
    assert all(number_of(run, name) is not None for run in found(notebook, number=name, order="smallest"))
    assert name in schema()["function"]["parameters"]["properties"]["number"]["anyOf"][0]["enum"]


def test_days_are_those_of_the_clock_on_the_wall(notebook):
    """At 23:30 in New York it is the next day in Greenwich, where times are written."""
    wall = timezone(timedelta(hours=-5))
    late = datetime(2026, 3, 31, 23, 30, tzinfo=wall)
    key = found(notebook)[0]["experiment_id"]
    notebook._conn.execute(
        "UPDATE experiments SET created = ? WHERE id = ?",
        (late.astimezone(UTC).isoformat(timespec="milliseconds"), key),
    )

    def ids(day: str, now: datetime) -> list[str]:
        return [run["experiment_id"] for run in found(notebook, now, day=day)]

    assert ids("2026-03-31", late) == [key]
    assert ids("today", late) == [key]
    assert ids("yesterday", late + timedelta(hours=1)) == [key]
    assert ids("2026-04-01", late) == []


def test_a_tag_finds_its_runs_and_a_note_is_shown_with_them(notebook):
    first, second = (run["experiment_id"] for run in found(notebook)[:2])
    notebook.tag(first, "baseline")
    notebook.tag(first, "baseline")
    notebook.tag(second, "baseline")
    notebook.tag(second, "talk")
    notebook.annotate(second, "the one for the talk")
    answer = search(notebook, NotebookSearch(tag="baseline"))
    assert [(row["tags"], row["note"]) for row in answer["runs"]] == [
        (["baseline"], ""),
        (["baseline", "talk"], "the one for the talk"),
    ]
    notebook.untag(second, "baseline")
    notebook.annotate(second, "")
    assert notebook.entry(second).tags == ("talk",)
    assert notebook.entry(second).note == ""


def test_a_deleted_run_takes_its_tags_and_note_with_it_and_comes_back_without_them(notebook):
    run = found(notebook, phase_type="spt_cluster")[0]
    key = run["experiment_id"]
    notebook.tag(key, "baseline")
    notebook.annotate(key, "gone soon")
    notebook.delete(key)
    with pytest.raises(UnknownExperiment):
        notebook.get(key)
    assert found(notebook, tag="baseline") == []
    notebook.put(run)
    assert notebook.entry(key).tags == () and notebook.entry(key).note == ""


def test_running_again_keeps_tags_and_note(notebook):
    run = found(notebook)[0]
    notebook.tag(run["experiment_id"], "baseline")
    notebook.annotate(run["experiment_id"], "kept")
    notebook.put(run)
    entry = notebook.entry(run["experiment_id"])
    assert (entry.tags, entry.note) == (("baseline",), "kept")


@pytest.mark.parametrize("change", ["tag", "untag", "annotate", "delete"])
def test_a_run_that_is_not_there_cannot_be_changed(notebook, change):
    with pytest.raises(UnknownExperiment, match="no experiment 'none' is in this lab's notebook"):
        getattr(notebook, change)("none", *([] if change == "delete" else ["word"]))


def test_runs_of_another_physics_version_are_marked(notebook):
    run = {**found(notebook)[0], "experiment_id": "old", "physics_version": "00000000"}
    notebook.put(run)
    marks = {row["result"]["experiment_id"]: row["older_physics"] for row in search(notebook, NotebookSearch())["runs"]}
    assert marks.pop("old") is True
    assert set(marks.values()) == {False}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"order": "largest"}, "no number is named: add number"),
        ({"number": "warmth"}, "'warmth' is not a number that runs have"),
        ({"experiment": "scam"}, "'scam' is not an experiment: use one of"),
        ({"day": "2026-02-30"}, "'2026-02-30' is not a date"),
        ({"day": "friday"}, "not a date|not of the right form"),
        ({"tag": "two words"}, "tag is 'two words'"),
        ({"tag": "'; DROP TABLE experiments; --"}, "tag is"),
        ({"limit": 11}, "above the largest, 10"),
        ({"id": 1}, "'id' is not a parameter"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(BadParameter, match=sentence) as raised:
        simulator.validate(NotebookSearch, given)
    assert "\n" not in str(raised.value)


def test_a_lab_of_the_first_version_gains_the_tables_and_loses_nothing(tmp_path):
    result = simulator.run_now("run_phase", phase_type="spt_cluster", system_size=6)
    path = tmp_path / "lab.db"
    conn = open_database(path)
    migrate(conn, "notebook", _STEPS[:1])
    conn.execute(
        "INSERT INTO experiments VALUES (?, 'run_phase', ?, ?, ?, '2026-01-02T03:04:05.000+00:00')",
        (result["experiment_id"], "{}", '{"experiment_id": "x"}', result["physics_version"]),
    )
    conn.close()
    with Notebook(path) as kept:
        kept.tag(result["experiment_id"], "old")
        assert kept.entry(result["experiment_id"]).tags == ("old",)
    assert sqlite3.connect(path).execute("SELECT version FROM schema_versions").fetchone()[0] == len(_STEPS)
