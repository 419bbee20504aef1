"""The lab folder: where experiments, data, adapters, models and runs of one lab lie."""

from __future__ import annotations

import os
import stat
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import LabError
from pipeline.files import write_text_atomic
from simulator.private_files import FOLDER, UMASK, private_folder, read_text, restrict, restrict_tree

if TYPE_CHECKING:
    from simulator.notebook import Notebook

_CONFIG = """# Ben Lab: settings of this lab folder. Every key is optional.

# [chat]
# model = "ben-lab"
# ollama_host = "127.0.0.1:11434"

# [console]
# theme = "textual-dark"

# [keys]
# "chat.send" = "enter"
"""


_FILES = ("benlab.toml", "lab.db", "lab.db-wal", "lab.db-shm", "lab.db-claims", "Modelfile", "ben-lab-adapter.gguf")
_FOLDERS = ("data", "ben-lab-lora", "models", "runs", "reports", "chats")


class Lab:
    """One lab folder. Properties name its files; none of them is made before it is needed."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()

    @classmethod
    def at(cls, root: Path) -> Lab:
        """The lab at `root`, its folder and benlab.toml made where they are missing. Raises LabError."""
        try:
            lab = cls(root)
            private_folder(lab.root)
            _keep_private(lab.root)
            if not lab.config_path.exists():
                write_text_atomic(lab.config_path, _CONFIG)
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            shown = str(root) if len(str(root)) <= 200 else str(root)[:200] + "…"
            raise LabError(
                f"the lab folder {shown} cannot be made ({reason}): choose another with --lab DIR"
            ) from error
        return lab

    @property
    def config_path(self) -> Path:
        """Settings of this lab (TOML)."""
        return self.root / "benlab.toml"

    @property
    def database(self) -> Path:
        """Experiments, jobs and chats (SQLite, WAL)."""
        return self.root / "lab.db"

    @property
    def data(self) -> Path:
        """The training data, a JSON object a line."""
        return self.root / "data" / "lab_instructions.jsonl"

    @property
    def adapter_dir(self) -> Path:
        """The newest trained adapter, as peft writes it."""
        return self.root / "ben-lab-lora"

    @property
    def adapter_gguf(self) -> Path:
        """The newest exported adapter, for llama.cpp and Ollama."""
        return self.root / "ben-lab-adapter.gguf"

    @property
    def models(self) -> Path:
        """Bases and installed versions."""
        return self.root / "models"

    @property
    def runs(self) -> Path:
        """A folder a job: events, log, metrics, reports, checkpoints."""
        return self.root / "runs"

    @property
    def modelfile(self) -> Path:
        """The lab's own Modelfile; it wins over the one that ships with Ben Lab."""
        return self.root / "Modelfile"

    def config(self) -> dict[str, Any]:
        """benlab.toml as a dictionary; empty where there is none. Raises LabError where it is not TOML."""
        try:
            return tomllib.loads(read_text(self.config_path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise LabError(
                f"{self.config_path} cannot be read ({error.strerror or error}): make it a file, or remove it"
            ) from error
        except (ValueError, RecursionError) as error:
            raise LabError(
                f"{self.config_path} is not valid TOML ({error}): mend that line or remove the file"
            ) from error

    def notebook(self) -> Notebook:
        """The lab's experiments. Raises simulator.errors.NotebookError."""
        from simulator.notebook import Notebook

        return Notebook(self.database)

    def new_run(self, kind: str) -> Path:
        """Makes `runs/<date>-<time>-<kind>-<4 hex>/` and returns it. Raises LabError."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        folder = self.runs / f"{stamp}-{kind}-{os.urandom(2).hex()}"
        try:
            private_folder(self.runs)
            folder.mkdir(mode=FOLDER)
        except OSError as error:
            raise LabError(
                f"{folder} cannot be made ({error.strerror or error}): choose another lab with --lab DIR"
            ) from error
        return folder

    def relative(self, path: Path) -> str:
        """The path as seen from the lab folder where it lies inside, else whole."""
        try:
            return str(path.resolve().relative_to(self.root))
        except ValueError:
            return str(path)


def _keep_private(root: Path) -> None:
    """Take the rights of group and others off a lab: all of it once, and then its root keeps others out.

    A folder that is more than a lab (the home folder, /tmp) keeps its own rights; the lab's parts in it do not.
    """
    found = root.stat()
    if found.st_uid != os.geteuid():
        return
    home = Path.home()
    if home == root or root in home.parents or found.st_mode & stat.S_ISVTX:
        for name in (*_FILES, *_FOLDERS):
            restrict_tree(root / name)
    elif found.st_mode & UMASK:
        restrict_tree(root)
    else:
        for name in _FILES:
            restrict(root / name)


def find_lab(option: str | None = None) -> Lab:
    """The lab at `lab_folder(option)`, made where it is missing. Raises LabError."""
    return Lab.at(lab_folder(option))


def lab_folder(option: str | None = None) -> Path:
    """The folder of `--lab`, else $BENLAB_HOME, else this folder if it holds benlab.toml, else the XDG data folder.

    Nothing is made. Raises LabError for an empty name.
    """
    if option == "":
        raise LabError("the lab folder's name is empty: give one, as in --lab ~/my-lab")
    if chosen := option or os.environ.get("BENLAB_HOME"):
        return Path(chosen)
    if (Path.cwd() / "benlab.toml").is_file():
        return Path.cwd()
    from platformdirs import user_data_path

    return user_data_path("benlab")


def current_run(lab: Lab, kind: str) -> Path:
    """The folder that the parent gave this job ($BENLAB_RUN_DIR), or a new one."""
    if given := os.environ.get("BENLAB_RUN_DIR"):
        folder = Path(given)
        private_folder(folder)
        return folder
    return lab.new_run(kind)
