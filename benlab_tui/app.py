"""The console: `BenLabApp(lab)`. Small, and light to import: what is heavy waits for its first use."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType

from benlab_tui.crash_log import unforeseen
from benlab_tui.heap import Heap, release
from benlab_tui.inert_cells import INERT_CELLS
from benlab_tui.lock import ConsoleLock
from benlab_tui.screens.main import MainScreen
from benlab_tui.store import open_chats
from benlab_tui.terminal import err
from benlab_tui.text import inert
from pipeline.errors import LabError

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.filter import LineFilter
    from textual.screen import Screen

    from benlab_tui.control.engines import Opener
    from pipeline.lab import Lab

DEFAULT_THEME = "textual-dark"


class BenLabApp(App[None]):
    """One lab's console. `opener` opens chat engines; tests pass a fake."""

    TITLE = "Ben Lab"
    CSS_PATH = "styles.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", priority=True, id="app.quit"),
        Binding("ctrl+c", "copy_or_quit", "Copy or quit", show=False, system=True, id="app.copy"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="app.suspend"),
    ]

    def __init__(self, lab: Lab, opener: Opener | None = None) -> None:
        super().__init__()
        self.lab = lab
        self.chats, self._problem = open_chats(lab.database)
        try:
            self._config = lab.config()
        except LabError as error:
            self._config, self._problem = {}, self._problem or str(error)
        self.main = MainScreen(self.lab, self.chats, opener)
        """The one screen, also while a dialog is over it."""
        wanted = self.chats.recall("theme") or _table(self._config, "console").get("theme") or DEFAULT_THEME
        self.theme = wanted if wanted in self.available_themes else DEFAULT_THEME

    def get_driver_class(self) -> type[Driver]:
        """textual's driver for this terminal, its pastes made inert."""
        from benlab_tui.paste import with_inert_pastes

        return with_inert_pastes(super().get_driver_class())

    def notify(self, message: str, *, title: str = "", markup: bool = False, **details: Any) -> None:  # type: ignore[override]
        """A toast. Its text is inert and never read as markup."""
        super().notify(inert(message), title=inert(title), markup=False, **details)

    def get_line_filters(self) -> list[LineFilter]:
        """textual's filters, and the last one before the terminal: no cell holds a character that acts."""
        return [*super().get_line_filters(), INERT_CELLS]

    def copy_to_clipboard(self, text: str) -> None:
        """Half a surrogate pair cannot be sent to the terminal's clipboard."""
        super().copy_to_clipboard(text.encode("utf-8", "replace").decode("utf-8"))

    def _fatal_error(self) -> None:
        """A fault that nobody foresaw ends the console with one sentence; textual would print a page of its source."""
        error = self._exception or sys.exc_info()[1] or RuntimeError("unknown")
        self._exit_renderables.append(Text(f"benlab: {unforeseen(self.lab, 'the console', error)}"))
        self._close_messages_no_wait()

    def get_default_screen(self) -> MainScreen:
        """The one screen."""
        return self.main

    def on_mount(self) -> None:
        """Keys of benlab.toml, signals, and what was wrong with lab.db."""
        keys = _table(self._config, "keys")
        self.set_keymap({str(name): str(key) for name, key in keys.items() if isinstance(key, str)})
        self.theme_changed_signal.subscribe(self, lambda theme: self._keep_theme(theme.name))
        # After ctrl+z the terminal is empty, and textual would draw only what changes from then on.
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))
        self.call_after_refresh(release)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.exit)
        if self._problem:
            self.notify(self._problem, severity="warning", markup=False, timeout=20)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: textual's own, and every slash command, put into the prompt to be completed."""
        yield from super().get_system_commands(screen)
        for name, command in self.main.known_commands().items():
            yield SystemCommand(f"/{name}", command.summary, partial(self.main.begin, f"/{name} "))

    async def on_exit_app(self) -> None:
        """However the console ends: what has come of an answer is kept first."""
        self.main.closing = True
        await self.main.chat.stop()

    async def on_unmount(self) -> None:
        """The engine ends, jobs go on."""
        self.main.closing = True
        self.main.jobs.close()
        await self.main.engines.close()

    def _keep_theme(self, name: str) -> None:
        with contextlib.suppress(LabError):
            self.chats.remember("theme", name)

    async def action_copy_or_quit(self) -> None:
        """Ctrl+c where nothing is selected: asks."""
        self.run_worker(self._ask_to_quit(), group="quit", exclusive=True)

    async def _ask_to_quit(self) -> None:
        jobs = len(self.main.jobs.running())
        going = f" {jobs} running job{'s go' if jobs > 1 else ' goes'} on and will be found again." if jobs else ""
        if await self.main.ask(f"Quit Ben Lab?{going}", default=True):
            self.exit()


def _table(config: dict[str, object], name: str) -> dict[str, object]:
    table = config.get(name)
    return table if isinstance(table, dict) else {}


def run_console(lab: Lab) -> int:
    """Opens the console on a lab and returns the exit code; a lab that is open elsewhere is refused in one sentence."""
    try:
        with ConsoleLock(lab.root):
            app = BenLabApp(lab)
            app.main.on_busy = Heap()
            app.run()
            return app.return_code or 0
    except LabError as error:
        err(f"benlab: {error}\n")
        return 1
    except OSError:
        raise
    except Exception as error:
        err(f"benlab: {unforeseen(lab, 'the console', error)}\n")
        return 1


if __name__ == "__main__":
    # What `benlab web` starts for each browser: there is no terminal, so the command line would refuse.
    from pathlib import Path

    from pipeline.lab import Lab as _Lab

    os.umask(0o077)
    if len(sys.argv) > 2:
        from benlab_tui.parent import end_with

        end_with(int(sys.argv[2]))
    sys.exit(run_console(_Lab.at(Path(sys.argv[1]))))
