"""What a person has agreed to: which files of a lab may name hosts, variables with keys, or plug-ins.

A lab may be somebody else's (a clone, a restored backup, the current folder). What its files name is asked about once,
by the file's path and the sha256 of its content; another content is another question. The answers are kept in the
person's own configuration, never in the lab.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ChatError, InstallError, Untrusted
from pipeline.files import write_text_atomic
from simulator.private_files import read_bytes, read_text

if TYPE_CHECKING:
    from pipeline.lab import Lab

DEFAULT_KEY = "OPENAI_API_KEY"
OLLAMA_KEY = "OLLAMA_API_KEY"
"""Ollama's client sends this variable by itself to whatever server it talks to."""
_KEY = re.compile(r"[A-Z0-9_]{0,100}(_API_KEY|_TOKEN)")


@dataclass(frozen=True, slots=True)
class Request:
    """A file, the sha256 of what it says, and what is named there: hosts, `$VARIABLE`s, plug-ins."""

    path: Path
    digest: str
    names: tuple[str, ...]

    def question(self) -> str:
        """The question to a person, which names all of it."""
        named = "\n".join(f"  {name}" for name in self.names)
        return f"{self.path} names\n{named}\nWords, and keys where a variable is named, may go there. Do you trust it?"

    def sentence(self, lab: Lab) -> str:
        """Why it is refused, and what to do."""
        named = " and ".join(self.names)
        return f"{self.path} names {named}, which you have not agreed to: run `benlab trust --lab {lab.root}`"


class TrustStore:
    """The answers, in one JSON file of the person's own."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or _default_file()

    def answer(self, request: Request) -> bool | None:
        """Yes or no, or None if this content was never asked about or names more than was."""
        entry = self._read().get(str(request.path))
        if not isinstance(entry, dict) or entry.get("sha256") != request.digest:
            return None
        named = entry.get("names")
        known = isinstance(named, list) and set(request.names) <= set(map(str, named))
        return entry.get("trusted") is True if known else None

    def record(self, request: Request, trusted: bool) -> None:
        """Keep the answer, in place of a former one about that file. Raises LabError."""
        entry = {"sha256": request.digest, "names": list(request.names), "trusted": trusted}
        self._write({**self._read(), str(request.path): entry})

    def forget(self, path: Path) -> None:
        """Forget the answer about that file. Raises LabError."""
        entries = self._read()
        if entries.pop(str(path), None) is not None:
            self._write(entries)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(read_text(self.file))
        except (OSError, ValueError, RecursionError):  # then all is asked again
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, entries: dict[str, Any]) -> None:
        write_text_atomic(self.file, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def requests(lab: Lab) -> list[Request]:
    """Everything that the lab's files name and that is asked about. Raises LabError or ChatError if one is broken."""
    return [found for found in (of_config(lab), *of_registries(lab)) if found]


def of_config(lab: Lab) -> Request | None:
    """What benlab.toml names: hosts that are not this machine, and variables whose keys would leave this process."""
    from pipeline.chat.http import address, is_loopback

    chat = lab.config().get("chat")
    chat = chat if isinstance(chat, dict) else {}
    names: list[str] = []
    for setting, port in (("url", 80), ("ollama_host", 11434)):
        given = chat.get(setting)
        if not isinstance(given, str) or not given:
            continue
        url, own = address(given, port), setting == "url"
        variable = key_variable(chat) if own else OLLAMA_KEY
        is_set = bool(os.environ.get(variable))
        if not is_loopback(url) or (own and is_set):
            names += [shown(url), *([f"${variable}"] if own or is_set else [])]
    if not names:
        return None
    return Request(lab.config_path, _digest(read_bytes(lab.config_path)), tuple(dict.fromkeys(names)))


def of_registries(lab: Lab) -> list[Request]:
    """The servers, other than this machine, on which the registries of installed versions say that a version is."""
    from pipeline.install.registry import Registry

    found = []
    for file in sorted(lab.models.glob("*/registry.json")):
        try:
            hosts = remote_hosts(Registry(lab, file.parent.name))
        except (InstallError, ChatError):  # of a broken one nobody is contacted
            continue
        if hosts:
            found.append(_of_hosts(file, hosts))
    return found


def remote_hosts(registry: Any) -> list[str]:
    """The addresses in a registry that are not this machine's."""
    from pipeline.chat.http import address, is_loopback

    named = [host for version in registry.versions() for host in version.hosts()]
    urls = {address(host) for host in (*named, *(wanted.host for wanted in registry.pending()))}
    return sorted(url for url in urls if not is_loopback(url))


def may_use_config(lab: Lab) -> bool:
    """Whether benlab.toml's hosts may be used. Raises Untrusted if nobody has said yet."""
    return _settled(lab, of_config(lab))


def may_contact(lab: Lab, registry: Any, host: str) -> bool:
    """Whether a registry's server may be contacted. Raises Untrusted if nobody has said yet."""
    from pipeline.chat.http import address

    hosts = remote_hosts(registry)
    return address(host) not in hosts or _settled(lab, _of_hosts(registry.path, hosts))


def agree_to_hosts(registry: Any, former: list[str]) -> None:
    """Record the servers of a registry after a person's own install, if all others in it were agreed to before."""
    store, hosts = TrustStore(), remote_hosts(registry)
    if hosts != former and (not former or store.answer(_of_hosts(registry.path, former))):
        store.record(_of_hosts(registry.path, hosts), True)


def key_variable(chat: dict[str, Any]) -> str:
    """The variable that holds the key for `[chat] url`. Raises ChatError if its name is not that of a key."""
    given = chat.get("key_env")
    name = given if isinstance(given, str) and given else DEFAULT_KEY
    if not _KEY.fullmatch(name) or len(name) > 100:
        raise ChatError(
            f"key_env is {name[:60]!r}, which does not end in _API_KEY or _TOKEN: name the variable of a key, such as "
            f"{DEFAULT_KEY}"
        )
    return name


def shown(url: str) -> str:
    """The address as a person judges it: scheme, host and port, and no credentials."""
    import httpx

    parsed = httpx.URL(url)
    port = parsed.port or {"http": 80, "https": 443}[parsed.scheme]
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.raw_host.decode("ascii")
    return f"{parsed.scheme}://{host}:{port}"


def _settled(lab: Lab, request: Request | None) -> bool:
    if request is None:
        return True
    answer = TrustStore().answer(request)
    if answer is None:
        raise Untrusted(request.sentence(lab))
    return answer


def _of_hosts(file: Path, hosts: list[str]) -> Request:
    """By the hosts alone: every install writes the rest of a registry anew."""
    return Request(file, _digest(json.dumps(hosts).encode()), tuple(map(shown, hosts)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _default_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("benlab") / "trust.json"
