"""A lab of somebody else's: its files may be links, pipes and devices, and its rows anything that JSON can say."""

from __future__ import annotations

import ast
import io
import json
import os
import sqlite3
import subprocess
import tarfile
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import simulator
from benlab_tui.as_code import experiment_line, experiment_python
from benlab_tui.lock import ConsoleLock
from pipeline import doctor, jobs, trust, upgrade
from pipeline.backup import restore
from pipeline.bases.base import load_record
from pipeline.chat.lab_tools import command_line
from pipeline.chat.number_check import run_in_words
from pipeline.chat.tools import ToolReader
from pipeline.documents import add, split
from pipeline.errors import PipelineError
from pipeline.install.registry import Registry
from pipeline.judgements import prefer
from pipeline.lab import Lab
from pipeline.pdf_child import Unreadable, pages_of
from pipeline.retrieval import search
from simulator.claims import Claims
from simulator.editions import command_of
from simulator.errors import NotebookError
from simulator.events import last_result
from simulator.notebook_search import NotebookSearch
from simulator.notebook_search import search as search_notebook
from simulator.private_files import LARGEST, opener, read_bytes

SOURCE = Path(__file__).parents[2]
RUN = "runs/20260101-000001-train-abcd"


def as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


def _job(lab: Lab) -> None:
    record = {"id": Path(RUN).name, "kind": "train", "params": {}, "pid": 99_999_999, "born": 0, "started": 1}
    (lab.root / RUN / "job.json").write_text(json.dumps(record))


READERS: dict[str, Callable[[Lab], object]] = {
    "benlab.toml": trust.requests,
    "models/ben-lab/registry.json": lambda lab: Registry(lab).versions(),
    "models/bases/smollm2/base.json": lambda lab: load_record(lab, "smollm2"),
    f"{RUN}/job.json": jobs.find,
    f"{RUN}/events.jsonl": lambda lab: [_job(lab), [job.state() for job in jobs.find(lab)]],
    "data/lab_instructions.jsonl": doctor._data,
    "reports/monday.md": lambda lab: search(lab, "monday"),
}


@pytest.mark.parametrize("made", [as_device, as_pipe, as_giant])
@pytest.mark.parametrize("name", READERS)
def test_no_file_of_a_lab_is_waited_for_or_read_without_end(lab: Lab, name: str, made: Callable[[Path], None]) -> None:
    path = lab.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    made(path)
    start = time.monotonic()
    try:
        READERS[name](lab)
    except PipelineError as error:
        assert path.name in str(error)
    assert time.monotonic() - start < 10


def test_all_text_files_are_read_through_the_bounded_reader() -> None:
    """Resources of the package and /proc are ours; whatever else is read whole may be of somebody else's lab."""
    strange = []
    for file in [path for part in ("pipeline", "simulator", "benlab_tui") for path in (SOURCE / part).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            said = ast.unparse(node.func)
            ours = any(word in said for word in ("files(", "'/proc", "distribution(")) or said in (
                "item.read_text",
                "LIST.read_text",
            )
            if node.func.attr in ("read_text", "read_bytes") and not ours and file.name != "catalogue.py":
                strange.append(f"{file.name}:{node.lineno}: {said}")
    assert strange == []


def test_a_giant_and_a_pipe_are_sentences(tmp_path: Path) -> None:
    as_pipe(tmp_path / "pipe")
    as_giant(tmp_path / "giant")
    for name in ("pipe", "giant"):
        with pytest.raises(OSError, match=r"regular file|above the most"):
            read_bytes(tmp_path / name)


def _locks(lab: Lab) -> dict[str, Callable[[], object]]:
    return {
        ".console.lock": lambda: ConsoleLock(lab.root).__enter__(),
        "lab.db-claims": lambda: Claims(lab.database),
        "models/ben-lab/.lock": lambda: Registry(lab)._keep_pending(lambda item: True),
        "data/preferences.jsonl": lambda: prefer(lab, "a", "b", "$(id)", ("x", "y")),
        "runs/job.log": lambda: open(lab.runs / "job.log", "wb", opener=opener),
    }


@pytest.mark.parametrize("name", _locks(Lab(Path("/nowhere"))))
def test_a_link_in_place_of_a_lock_or_log_leaves_the_file_it_leads_to(lab: Lab, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "id_ed25519"
    precious.write_text("precious")
    path = lab.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(precious)
    with suppress(OSError, PipelineError, NotebookError):
        _locks(lab)[name]()
    assert precious.read_text() == "precious"


def test_a_second_name_of_a_file_is_no_lock(lab: Lab, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    os.link(precious, lab.root / ".console.lock")
    with ConsoleLock(lab.root):
        assert precious.read_text() == "precious"


def test_a_report_that_is_a_link_is_not_a_passage(lab: Lab, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# Secret\n\n## Zebra\n\nThe zebra's password is 1234.\n")
    (lab.root / "reports").mkdir()
    (lab.root / "reports" / "monday.md").symlink_to(secret)
    (lab.root / "reports" / "gone.md").symlink_to(tmp_path / "nowhere")
    (lab.root / "reports" / "folder.md").mkdir()
    assert [passage for passage in search(lab, "the zebra's password") if passage.kind == "report"] == []


ROWS = {
    "a number beyond a float": '{"experiment_id": "bad", "experiment": "tri", "params": {}, "TRI": 9%s}' % ("9" * 400),
    "an infinite float": '{"experiment_id": "bad", "experiment": "tri", "params": {}, "TRI": 1e999}',
    "NaN": '{"experiment_id": "bad", "experiment": "tri", "params": {}, "TRI": NaN, "features": {"purity": NaN}}',
    "a deep list": '{"experiment_id": "bad", "experiment": "tri", "params": {}, "x": %s}' % ("[" * 100_000),
}


@pytest.mark.parametrize("what", ROWS)
def test_a_row_with_impossible_numbers_is_skipped_and_the_others_are_found(lab: Lab, what: str) -> None:
    with lab.notebook() as notebook:
        good = simulator.run_now("tri", notebook, phase_type="spt_cluster", system_size=6, depth=2)
    _insert(lab, "bad", "tri", "{}", ROWS[what])
    with lab.notebook() as notebook:
        found = search_notebook(notebook, NotebookSearch(number="TRI", order="largest"))
        assert [row["result"]["experiment_id"] for row in found["runs"]] == [good["experiment_id"]]
        json.dumps(notebook.recent(), allow_nan=False)
    assert search(lab, "spt_cluster tri")


@pytest.mark.parametrize(
    ("experiment", "params"),
    [
        ("run_phase", '{"phase_type": "spt_cluster", "system_size": [8]}'),
        ("run_phase", '{"phase_type": 3, "system_size": {"a": "b"}}'),
        ("tri", '{"notebook": 1, "name": "x"}'),
        ("nothing", "{}"),
        ("classify", '{"experiment_id": [1]}'),
        ("classify", '{"experiment_id": {"a": 1}}'),
        ("sweep", '{"cluster": "tcp://198.51.100.7:8786", "phases": 7}'),
    ],
)
def test_rerun_reports_a_row_that_no_experiment_takes(lab: Lab, experiment: str, params: str) -> None:
    _insert(lab, "one", "run_phase", '{"phase_type": "spt_cluster", "system_size": 8, "depth": 2}', "{}")
    _insert(lab, "bad", experiment, params, "{}")
    done = last_result(upgrade.run(lab, upgrade.RerunParams()))
    assert (done["made"], done["skipped"]) == (1, 1)


def _insert(lab: Lab, key: str, experiment: str, params: str, result: str) -> None:
    lab.notebook().close()
    with sqlite3.connect(lab.database) as conn:
        row = (key, experiment, params, result, "1", "2026-01-01T00:00:00.000+00:00")
        conn.execute("INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)", row)
    conn.close()


EVIL = [
    "$(touch hit)",
    "`touch hit`",
    ";touch hit;",
    "a' ; touch hit ; '",
    "\n touch hit\n",
    "|touch hit",
    "&touch hit",
]


@pytest.mark.parametrize("evil", EVIL)
def test_a_command_that_is_shown_runs_nothing_else_in_a_shell(tmp_path: Path, evil: str) -> None:
    row = {"experiment": "run_phase", "params": {"phase_type": evil, "seed": [evil], evil: 1}}
    for line in (
        command_line("run_phase", {"phase_type": evil, evil: evil}),
        command_of(row),
        command_of({"experiment": evil, "params": {}}),
        experiment_line(row),
    ):
        subprocess.run(["bash", "-c", f"benlab() {{ :; }}\n{line}"], cwd=tmp_path, check=False)
        assert not (tmp_path / "hit").exists(), line


@pytest.mark.parametrize("name", ["a=1) or print(1", "**{}) or exit() or dict(a", "x y"])
def test_a_setting_that_is_not_a_name_is_not_copied_as_python(name: str) -> None:
    code = experiment_python({"experiment": "unknown", "params": {name: 1, "seed": 2}})
    call = ast.parse(code).body[-1]
    assert isinstance(call, ast.Assign) and isinstance(call.value, ast.Call)
    assert [word.arg for word in call.value.keywords] == ["seed"]


def test_a_model_cannot_propose_what_it_may_not_run() -> None:
    reader = ToolReader(offered=False)
    line = 'TOOL: {"name": "sweep", "arguments": {"cluster": "tls://198.51.100.7:8786", "phases": ["spt_cluster"]}}'
    said = "".join(str(getattr(event, "text", "")) for event in [*reader.feed(line), *reader.end()])
    assert "cluster" not in said and "left out" in said


@pytest.mark.parametrize(
    "question", ["trivial_product system_size=1024 depth=1000", "TRI of spt_cluster system_size 1024 depth 64"]
)
def test_a_question_that_spells_out_a_long_run_starts_none(question: str) -> None:
    start = time.process_time()
    assert run_in_words(question) is None
    assert time.process_time() - start < 1
    assert run_in_words("spt_cluster system_size=8 depth=2") is not None


def test_an_archive_with_a_time_of_no_clock_is_restored(tmp_path: Path) -> None:
    path = tmp_path / "lab.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as file:
        info = tarfile.TarInfo("benlab.toml")
        info.mtime = 2**80
        file.addfile(info, io.BytesIO(b""))
    assert last_result(restore(path, tmp_path / "lab"))["files"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "#" + " " * 200_000 + "b" + " " * 200_000 + "c",
        "# a" + " #" * 200_000 + "x",
        "a" * 20_000_000,
        "ab " * 4_000_000,
        "\n \t" * 1_000_000,
        "# " * 200_000,
    ],
    ids=["blanks", "hashes", "one word", "no sentence", "empty lines", "marks"],
)
def test_a_document_of_one_odd_line_takes_seconds(lab: Lab, tmp_path: Path, line: str) -> None:
    file = tmp_path / "odd.md"
    file.write_text(f"# Title ##\n\nwords\n{line}\n")
    start = time.process_time()
    last_result(add(lab, file))
    assert time.process_time() - start < 15
    assert all(len(piece) <= 1300 for piece in split(line[:100_000]))


def _pdf(content: bytes, times: int = 1, kids: bytes = b"3 0 R") -> bytes:
    """A PDF whose page reads the same packed content some times."""
    font = b"/Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    packed = zlib.compress(content, 9)
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [" + kids + b"] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] " + font + b" /Contents [" + b"4 0 R " * times + b"] >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed) + packed + b"\nendstream",
    ]
    raw, places = b"%PDF-1.4\n", b""
    for number, part in enumerate(parts, 1):
        places += b"%010d 00000 n \n" % len(raw)
        raw += b"%d 0 obj\n" % number + part + b"\nendobj\n"
    table = b"xref\n0 5\n0000000000 65535 f \n" + places
    return raw + table + b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(raw)


WORDS = b"BT /F 12 Tf (words here) Tj ET\n"


@pytest.mark.parametrize(
    "raw",
    [
        _pdf(WORDS * 1_500_000),
        _pdf(WORDS * 300_000, 400),
        _pdf(WORDS, kids=b"2 0 R 2 0 R"),
        b"%PDF-1.4" + bytes(1000),
        b"",
    ],
    ids=["slow", "repeated", "pages in a circle", "zeros", "empty"],
)
def test_a_pdf_that_takes_too_much_is_stopped_in_one_sentence(lab: Lab, raw: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(Unreadable) as caught:
        pages_of(raw, seconds=4)
    assert time.monotonic() - start < 60 and "\n" not in str(caught.value)
    assert pages_of(_pdf(WORDS)) == ["words here"]
