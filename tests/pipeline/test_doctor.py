"""The doctor goes on where one check fails."""

import sqlite3

import pytest

from pipeline import doctor
from pipeline.doctor import Check, examine
from pipeline.lab import Lab


def test_a_notebook_of_a_newer_release_is_one_warning_among_all_checks(lab: Lab) -> None:
    lab.notebook().close()
    with sqlite3.connect(lab.database) as conn:
        conn.execute("UPDATE schema_versions SET version = 99 WHERE component = 'notebook'")
    checks = {check.name: check for check in examine(lab)}
    assert checks["database"].state == "warning" and "newer than" in checks["database"].detail
    assert "data" in checks and "accelerator" in checks


@pytest.mark.parametrize("error", [RecursionError("too deep"), TypeError("two\nlines"), OverflowError(), KeyError("x")])
def test_an_error_that_nobody_foresaw_is_a_warning_in_one_line(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(_lab: Lab) -> Check:
        raise error

    monkeypatch.setattr(doctor, "_data", broken)
    checks = examine(lab)
    found = next(check for check in checks if check.name == "broken")
    assert found.state == "warning" and found.detail.startswith(type(error).__name__) and "\n" not in found.detail
    assert len(checks) == 11


def test_only_what_is_no_database_is_to_be_moved_away(lab: Lab) -> None:
    lab.database.write_bytes(b"this is no database " * 100)
    found = next(check for check in examine(lab) if check.name == "lab.db")
    assert found.state == "warning" and "not a usable SQLite database" in found.detail
    lab.database.unlink()
    with sqlite3.connect(lab.database, isolation_level=None) as conn:
        conn.execute("CREATE TABLE t (x)")
        conn.execute("BEGIN EXCLUSIVE")
        found = next(check for check in examine(lab) if check.name == "lab.db")
    assert found.state == "warning" and "another program holds it" in found.detail and "move" not in found.detail
