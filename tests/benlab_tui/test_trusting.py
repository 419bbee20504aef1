"""The console asks once about what a lab's files name."""

from __future__ import annotations

import pytest

from benlab_tui.app import BenLabApp
from benlab_tui.screens.confirm import Confirm
from pipeline.trust import TrustStore, of_config


@pytest.fixture(autouse=True)
def own_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(("key", "trusted"), [("y", True), ("n", False), ("escape", False)])
async def test_the_console_asks_before_it_opens_a_remote_engine(lab, tmp_path, key, trusted):
    lab.config_path.write_text('[chat]\nmodel = "url:m"\nurl = "https://evil.example/v1"\nkey_env = "LAB_API_KEY"\n')
    app = BenLabApp(lab)
    async with app.run_test(size=(100, 30)) as pilot:
        for _ in range(100):
            await pilot.pause(0.1)
            if isinstance(app.screen, Confirm):
                break
        assert isinstance(app.screen, Confirm)
        assert "https://evil.example:443" in app.screen._question and "$LAB_API_KEY" in app.screen._question
        assert app.main.engines.engine is None
        await pilot.press(key)
        for _ in range(100):
            await pilot.pause(0.1)
            if app.main.engines.label or app.main.engines.problem:
                break
        assert TrustStore().answer(of_config(lab)) is trusted
        assert (app.main.engines.engine is not None) is trusted
        assert trusted or "said no" in app.main.engines.problem
    app = BenLabApp(lab)
    async with app.run_test(size=(100, 30)) as pilot:
        for _ in range(100):
            await pilot.pause(0.1)
            assert not isinstance(app.screen, Confirm)
            if app.main.engines.label or app.main.engines.problem:
                break


async def test_the_slash_command_asks_too(lab, engine, console, typed):
    lab.config_path.write_text('[chat]\nurl = "https://evil.example/v1"\n')
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "/trust yes", 20)
        assert TrustStore().answer(of_config(lab)) is True
        await typed(app, pilot, "/trust forget", 20)
        assert TrustStore().answer(of_config(lab)) is None
