"""The headless twin: exit codes, JSON lines, and errors in one sentence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benlab_tui.headless_context import HeadlessContext
from benlab_tui.options import Usage, read_options
from pipeline.lab import Lab

RUN_PHASE = [
    "experiment",
    "run_phase",
    "--phase-type",
    "ising_symmetry_breaking",
    "--system-size",
    "32",
    "--depth",
    "8",
]


def benlab(*words: str, lab: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """The command as a person would run it, without a terminal."""
    argv = [sys.executable, "-m", "benlab_tui", "--lab", str(lab), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **options)


def last(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The last JSON line."""
    return json.loads(done.stdout.splitlines()[-1])


def test_a_job_s_notes_and_the_end_of_its_log(tmp_path: Path) -> None:
    made = benlab("generate", "--guide-only", "--n-per-phase", "1", "--json", lab=tmp_path)
    job = str(last(made)["job"])
    (tmp_path / "runs" / job / "job.log").write_text("first\n" * 5000 + "the last line\x1b[31m\n")
    shown = benlab("jobs", job, lab=tmp_path)
    assert job in shown.stdout and "done" in shown.stdout and "the last line" in shown.stdout
    assert "\x1b" not in shown.stdout and shown.stdout.count("first") < 1000
    for name in ("nothing", "../../etc"):
        assert "no job named" in benlab("jobs", name, lab=tmp_path).stderr


def test_an_experiment_ends_with_its_thirteen_features_and_is_the_same_twice(tmp_path: Path) -> None:
    runs = [benlab(*RUN_PHASE, "--seed", "3", "--bias", "0.7", "--json", lab=tmp_path) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    first, second = (last(run) for run in runs)
    assert len(first["features"]) == 13
    assert first == second


def test_a_phase_typed_short_is_the_same_run_under_its_full_name(tmp_path: Path) -> None:
    full = last(benlab(*RUN_PHASE, "--json", lab=tmp_path))
    short = last(benlab("experiment", "run_phase", "phase_type=Ising", "--depth", "8", "--json", lab=tmp_path))
    assert full == short and short["phase_type"] == "ising_symmetry_breaking"
    words = ["experiment", "sweep", "--phases", "random,SPT", "seeds=1", "sizes=4", "depths=1", "--workers", "1"]
    swept = last(benlab(*words, "--json", lab=tmp_path))
    assert set(swept["phases"]) == {"spt_cluster", "pseudorandom"}, swept


def test_what_was_run_can_be_read_again(tmp_path: Path) -> None:
    assert "no experiment has run" in benlab("notebook", lab=tmp_path).stdout
    made = benlab("experiment", "tri", "phase_type=ising_symmetry_breaking", "bias=0.9", lab=tmp_path).stdout
    name = made.split("  id ")[1].split()[0]
    assert name in benlab("notebook", lab=tmp_path).stdout
    shown = benlab("notebook", name, lab=tmp_path).stdout
    assert made.splitlines()[0] in shown and "forward features: " in shown
    assert "no experiment 'x' is in this lab's notebook" in benlab("notebook", "x", lab=tmp_path).stderr


def test_runs_are_tagged_annotated_searched_and_deleted(tmp_path: Path) -> None:
    for seed in ("seed=1", "seed=2"):
        benlab(*RUN_PHASE, seed, lab=tmp_path)
    rows = last(benlab("notebook", "order=oldest", "--json", lab=tmp_path))["experiments"]
    first, second = (row["id"] for row in rows)
    changed = benlab("notebook", first, "add_tag=baseline", "note=for the talk", lab=tmp_path).stdout
    assert changed == f"{first}: baseline; for the talk\n"
    listed = benlab("notebook", "tag=baseline", lab=tmp_path).stdout
    assert first in listed and second not in listed and "#baseline for the talk" in listed
    shown = benlab("notebook", first, lab=tmp_path).stdout
    assert "tags baseline" in shown and "note for the talk" in shown
    assert "no run matches" in benlab("notebook", "day=2020-01-01", lab=tmp_path).stdout
    refused = benlab("notebook", first, "delete=yes", lab=tmp_path)
    assert refused.returncode != 0 and "give --yes" in refused.stderr
    assert f"deleted run_phase {first}" in benlab("notebook", first, "--delete", "--yes", lab=tmp_path).stdout
    assert [row["id"] for row in last(benlab("notebook", "--json", lab=tmp_path))["experiments"]] == [second]
    assert "note is given without a run" in benlab("notebook", "note=lost", lab=tmp_path).stderr


def test_the_lab_option_stands_before_or_after(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benlab_tui", *RUN_PHASE, "--json", f"--lab={tmp_path}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lab.db").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["experiment", "run_phase", "phase_type=glass"], 2, "glass"),
        (["experiment", "run_phase", "phase_type=spt_cluster", "system_size=3"], 2, "4"),
        (["experiment", "run_phase", "phase_type=spt_cluster", "system_size=1025"], 2, "1024"),
        (["experiment", "run_phase", "phase_type=spt_cluster", "depth=0"], 2, "1"),
        (["experiment", "run_phase", "phase_type=spt_cluster", "bias=1.2"], 2, "1"),
        (["experiment", "run_phase", "phase_type=spt_cluster", "bias=nan"], 2, "bias"),
        (["experiment", "run_phase", "phase_type=spt_cluster", "seed=x"], 2, "seed"),
        (["experiment", "nonsense"], 2, "run_phase"),
        (["nonsense"], 2, "nonsense"),
        (["trian"], 2, "train"),
        (["train", "--base", "no-such-base"], 1, "no-such-base"),
        (["ask", "hello"], 1, "ben-lab"),
        (["data", "add", "x", "accept"], 2, "give an answer's number from 1 on, or last for the newest"),
        (["data", "add", "9" * 30, "accept"], 2, "give an answer's number"),
        (["data", "add", "last", "accept"], 2, "have no answer yet"),
    ],
)
def test_bad_input_is_one_sentence_and_a_code(words: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = benlab(*words, lab=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith("benlab: ")
    assert "Traceback" not in done.stderr


def test_help_knows_what_people_look_for_and_a_recipe_s_values(tmp_path: Path) -> None:
    assert "p again goes on" in benlab("help", "pause", lab=tmp_path).stdout
    said = benlab("help", "train", lab=tmp_path).stdout
    assert "smollm2: 3 epochs, 4 x 1 samples a step, learning rate 0.001 (B x 8)" in said
    assert "default None" not in said and "(default no)" in said
    assert "phases" in benlab("help", "discovery", lab=tmp_path).stdout
    assert "/search: " in benlab("help", "search", lab=tmp_path).stdout
    assert "did you mean bias?" in benlab("help", "base", lab=tmp_path).stderr
    assert (
        "'search' is a command of the console: type /search in `benlab`" in benlab("search", "x", lab=tmp_path).stderr
    )


def test_data_that_is_missing_or_broken_is_named(lab_with_base: Lab, tmp_path: Path) -> None:
    missing = benlab("train", "--data", "/nowhere/lines.jsonl", lab=lab_with_base.root)
    assert missing.returncode == 1
    assert "/nowhere/lines.jsonl" in missing.stderr
    broken = tmp_path / "broken.jsonl"
    broken.write_text('\n{"instruction": \n')
    done = benlab("train", "--data", str(broken), lab=lab_with_base.root)
    assert done.returncode == 1
    assert "broken.jsonl:2: not JSON" in done.stderr
    assert not lab_with_base.adapter_dir.exists()


def test_the_same_error_in_json_is_the_last_line(tmp_path: Path) -> None:
    done = benlab("experiment", "run_phase", "depth=0", "--json", lab=tmp_path)
    assert done.returncode == 2
    assert last(done)["event"] == "failed"


def test_a_lab_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = benlab("doctor", lab=tmp_path / "file" / "lab")
    assert done.returncode == 1
    assert "file/lab" in done.stderr


def test_no_terminal_and_no_command_is_bad_usage(tmp_path: Path) -> None:
    done = benlab(lab=tmp_path)
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_doctor_names_what_is_missing_and_what_mends_it(tmp_path: Path) -> None:
    done = benlab("doctor", "--json", lab=tmp_path)
    assert done.returncode == 0, done.stderr
    assert last(done)["missing"] == ["base"]
    assert any(check["mend"] == "benlab pull smollm2" for check in last(done)["checks"])


def test_a_signal_cancels_the_child_and_exits_130(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benlab_tui", "--lab", str(tmp_path), "--json"]
    argv += ["experiment", "discovery", "num_per_phase=100", "system_size=256", "depth=32"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/job.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert json.loads(out.splitlines()[-1])["kind"] == "Interrupted"


def test_global_options_are_taken_out_of_the_words() -> None:
    options = read_options(["ask", "--json", "x", "--lab", "here", "--", "--json"])
    assert (options.words, options.json, options.lab) == (["ask", "x", "--json"], True, "here")
    with pytest.raises(Usage):
        read_options(["--lab"])


def test_an_output_that_is_closed_or_full_is_no_traceback(tmp_path: Path) -> None:
    for redirect in (">&-", ">/dev/full"):
        line = f"{sys.executable} -m benlab_tui --lab {tmp_path} jobs {redirect}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["half of an ans", "a whole line\n", ""])
def test_an_error_in_the_middle_of_an_answer_starts_on_its_own_line(
    text: str, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when a server dies: what came before stays, and the next thing begins on a new line."""
    context = HeadlessContext(lab, as_json=False, yes=False)
    asyncio.run(context.write(text))
    context.close()
    context.close()
    said = capsys.readouterr().out
    assert said == (text if text.endswith("\n") or not text else f"{text}\n")
