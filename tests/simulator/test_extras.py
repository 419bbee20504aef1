"""The pip line for a missing extra fits how Ben Lab was installed."""

from importlib.metadata import distribution
from pathlib import Path

import pytest

from simulator.extras import install_line, line_for


@pytest.mark.parametrize(
    ("origin", "prefix", "line"),
    [
        (
            {"url": "file:///home/b/lab", "dir_info": {"editable": True}},
            "/home/b/lab/.venv",
            ".venv/bin/pip install -e '.[web]'",
        ),
        (
            {"url": "file:///home/b/my%20lab", "dir_info": {"editable": True}},
            "/opt/env",
            "/opt/env/bin/pip install -e '/home/b/my lab[web]'",
        ),
        ({"url": "file:///home/b/lab", "dir_info": {}}, "/home/b/lab/.venv", ".venv/bin/pip install '.[web]'"),
        (
            {"url": "file:///tmp/benlab-1.0-py3-none-any.whl", "archive_info": {}},
            "/opt/env",
            "pip install '/tmp/benlab-1.0-py3-none-any.whl[web]'",
        ),
        ({}, "/opt/env", "pip install 'benlab[web]'"),
    ],
)
def test_the_line_for_each_way_of_installing(origin, prefix, line):
    assert line_for("web", origin, Path(prefix)) == line


def test_this_very_installation_has_a_line():
    assert "[scientist]" in install_line("scientist")
    assert "scientist" in (distribution("benlab").metadata.get_all("Provides-Extra") or [])
