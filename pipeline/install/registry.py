"""The installed versions of a model: one JSON file that says which there are, and which one answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InstallError
from pipeline.files import recover_folder, write_text_atomic
from simulator.private_files import opener, private_folder, read_text

if TYPE_CHECKING:
    from pipeline.lab import Lab

NAME = "ben-lab"
OWN_TEMPLATE = "base's own"
"""What a server's entry says if `template.go_template` made its template."""


@dataclass(frozen=True, slots=True)
class Version:
    """One install: what it was made of, how it scored, and the receipt that proves it. Paths are seen from the lab.

    `servers` are the Ollama servers that hold it: host, server version, form, what is stored there, receipt.
    `tools` are the names in the line of tools that the training data had; "" if it had none.
    """

    version: str
    adapter: str
    base: str
    base_sha256: str
    created: str
    run: str
    physics_version: str = ""
    tools: str = ""
    recipe: str = ""
    data_sha256: str = ""
    target: str = "embedded"
    servers: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    receipt: dict[str, Any] = field(default_factory=dict)

    def hosts(self) -> list[str]:
        """Return the Ollama servers that have it."""
        return [str(server["host"]) for server in self.servers]

    def on(self, host: str) -> dict[str, Any] | None:
        """Return what is known of the version on that server, or None if it was not installed there."""
        return next((server for server in self.servers if server["host"] == host), None)

    def renders_results(self, host: str) -> bool:
        """Return whether its template on that server renders the role `tool` as training does."""
        there = self.on(host) or {}
        return bool(self.tools) and there.get("template") == OWN_TEMPLATE


@dataclass(frozen=True, slots=True)
class Pending:
    """What a server that did not answer has to be told: `name` is to be `version`, or to go if that is empty.

    With `same_as` it goes only while it is the same model as that one: it may have become another lab's.
    """

    host: str
    name: str
    version: str
    same_as: str = ""


class Registry:
    """models/<name>/registry.json, read anew by every call so that two processes see the same."""

    def __init__(self, lab: Lab, name: str = NAME) -> None:
        self._lab = lab
        self.name = name
        self.folder = lab.models / name
        self.path = self.folder / "registry.json"

    def versions(self) -> list[Version]:
        """All versions, the oldest first. Raises InstallError where the file is broken."""
        return self._read()[1]

    def current(self) -> Version | None:
        """The version that the bare name stands for."""
        name, versions = self._read()
        return next((version for version in versions if version.version == name), None)

    def find(self, name: str) -> Version | None:
        """The version "<name>:<run>", "<run>" or an unambiguous end of it; the bare name is the current one."""
        if name in (self.name, f"{self.name}:latest"):
            return self.current()
        versions = self.versions()
        exact = [version for version in versions if name in (version.version, version.run)]
        alike = [version for version in versions if len(name) >= 4 and version.version.endswith(name)]
        found = exact or alike
        return found[0] if len(found) == 1 or exact else None

    def named(self, name: str) -> Version:
        """As `find`; raises InstallError where there is none."""
        if version := self.find(name):
            return version
        known = ", ".join(version.version for version in self.versions()) or "none is installed"
        raise InstallError(f"{name!r} is no installed version ({known}): see `benlab models`")

    def adapter_path(self, version: Version) -> Path:
        """The version's adapter, GGUF."""
        path = self._lab.root / version.adapter
        if not path.exists() and not self._misplaced(version.version):
            # Installing a version again was killed between the two renames that put the new folder in place.
            recover_folder(self.folder_of(version.version))
        return path

    def folder_of(self, version: str) -> Path:
        """Where that version's files are kept. Raises InstallError for a name that leads out of models/<name>."""
        if trouble := self._misplaced(version):
            raise InstallError(f"the version {version!r} {trouble}: mend {self.path}, or remove it and install again")
        return self.folder / version.removeprefix(f"{self.name}:")

    def _misplaced(self, version: str) -> str:
        return _bad_name(version) or _outside(self.folder / version.removeprefix(f"{self.name}:"), self.folder)

    def add(self, version: Version, *, make_current: bool = True) -> None:
        """Publishes a version, in place of one of the same name; its files must be there already.

        Raises InstallError for one that could not be read again.
        """
        if trouble := self._trouble(version):
            raise InstallError(f"{trouble}: install under another name")
        with self._alone():
            current, versions = self._read()
            kept = [other for other in versions if other.version != version.version]
            self._write(version.version if make_current else current, [*kept, version])

    def use(self, name: str) -> Version:
        """Makes that version the one that answers."""
        with self._alone():
            version = self.named(name)
            self._write(version.version, self.versions())
        return version

    def previous(self) -> Version | None:
        """The version before the current one, by time of install."""
        current = self.current()
        versions = self.versions()
        if current is None:
            return versions[-1] if versions else None
        older = versions[: versions.index(current)]
        return older[-1] if older else None

    def update(self, name: str, **changes: Any) -> Version:
        """Changes fields of a version."""
        with self._alone():
            current, versions = self._read()
            changed = replace(self.named(name), **changes)
            self._write(current, [changed if v.version == changed.version else v for v in versions])
        return changed

    def remove(self, name: str) -> Version:
        """Forget a version, then delete its files. Raises InstallError for the current one while there are others."""
        with self._alone():
            version = self.named(name)
            current, versions = self._read()
            if version.version == current and len(versions) > 1:
                raise InstallError(f"{version.version} is the one in use: `benlab use` another first, then remove it")
            folder = self.folder_of(version.version)
            kept = [other for other in versions if other != version]
            self._write(current if kept else "", kept)
        shutil.rmtree(folder, ignore_errors=True)
        return version

    def pending(self) -> list[Pending]:
        """Return what servers still have to be told, the oldest first."""
        return self._data()[2]

    def remember(self, wanted: Pending) -> None:
        """Keep it for when that server answers again, in place of what it was to be told about that name before."""
        self._keep_pending(lambda item: (item.host, item.name) != (wanted.host, wanted.name), wanted)

    def settle(self, done: Pending) -> None:
        """Forget what that server has been told, or need not be told any more."""
        self._keep_pending(lambda item: item != done)

    def keep(self, host: str, name: str) -> None:
        """Forget that `name` on that server was to go or to be moved: it has been made anew."""
        self._keep_pending(lambda item: (item.host, item.name) != (host, name))

    def _keep_pending(self, keep: Callable[[Pending], bool], *more: Pending) -> None:
        with self._alone():
            current, versions, pending = self._data()
            self._write(current, versions, [*filter(keep, pending), *more])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two processes that change the file at once take turns; the kernel frees the lock of one that dies."""
        import fcntl

        private_folder(self.folder)
        with open(self.folder / ".lock", "w", opener=opener) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> tuple[str, list[Version]]:
        current, versions, _ = self._data()
        return current, versions

    def _data(self) -> tuple[str, list[Version], list[Pending]]:
        try:
            data = json.loads(read_text(self.path))
            versions = [Version(**_with_servers(entry)) for entry in data["versions"]]
            if trouble := next(filter(None, map(self._trouble, versions)), ""):
                raise ValueError(trouble)
            pending = [Pending(*map(str, item)) for item in data.get("pending", ())]
            if strange := next((one for one in pending if not self._is_ours(one)), None):
                raise ValueError(f"it would change the model {strange.name[:80]!r}, which is not {self.name}")
            return str(data["current"]), versions, pending
        except FileNotFoundError:
            return "", [], []
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise InstallError(f"{self.path} cannot be read ({error}): remove it and install again") from error

    def _is_ours(self, wanted: Pending) -> bool:
        """Whether only names of this model are meant. The file may come with someone else's lab."""
        return wanted.name.partition(":")[0] == self.name

    def _trouble(self, version: Version) -> str:
        """What keeps a version from being used, empty where nothing does. The file may come with someone else's lab."""
        for item in fields(version):
            wanted, value = _KINDS[str(item.type).partition("[")[0]]
            if not isinstance(getattr(version, item.name), wanted):
                return f"{item.name} of {str(version.version)[:80]!r} is not {value}"
        if trouble := self._misplaced(version.version):
            return f"the version {version.version[:80]!r} {trouble}"
        for server in version.servers:
            if not isinstance(server, dict) or not isinstance(server.get("host"), str):
                return f"the Ollama host of {version.version[:80]!r} is not a text"
        adapter = self.adapter_path(version)
        if _outside(adapter, self._lab.root) and _outside(adapter, self._lab.models):
            return f"the adapter {version.adapter[:80]!r} lies outside the lab"
        return ""

    def _write(self, current: str, versions: list[Version], pending: list[Pending] | None = None) -> None:
        told = self._data()[2] if pending is None else pending
        data: dict[str, Any] = {"current": current, "versions": [asdict(version) for version in versions]}
        data["pending"] = [astuple(item) for item in told]
        write_text_atomic(self.path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


_KINDS: dict[str, tuple[type, str]] = {
    "str": (str, "a text"),
    "dict": (dict, "an object"),
    "list": (list, "a list"),
}


def _with_servers(entry: Any) -> dict[str, Any]:
    """Return a version's entry; older ones remembered one server, under another name."""
    former = dict(entry)
    one = former.pop("ollama", None)
    return former if not one else {**former, "servers": [one]}


def _bad_name(version: str) -> str:
    """What is wrong with a version's name as a folder's, empty where nothing is."""
    if any(part in version for part in ("/", "\\", "..", "\0")):
        return "holds a '/', '\\', '..' or NUL"
    if not all(part.strip(" .") for part in version.split(":")):
        return "has an empty part"
    return ""


def _outside(path: Path, folder: Path) -> str:
    """Says so where `path`, its links followed, is not strictly inside `folder`."""
    place, around = path.resolve(), folder.resolve()
    return "" if around in place.parents else f"leads out of {folder}"
