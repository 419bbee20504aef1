"""Evaluation sets: folders of wordings whose digest is written down before a training starts.

`sets.toml` lists every set with its digest and state. A set is *sealed* until somebody looks at its questions or
answers while working on training; then it is *retired*: it can still be run, and every report says so. A new set is
minted from a folder of new wordings:

    python -m pipeline.evaluate.sealed mint NAME [FOLDER]     write the digest of sets/NAME (or FOLDER) down
    python -m pipeline.evaluate.sealed retire NAME REASON     nobody may call it unseen any more
    python -m pipeline.evaluate.sealed check                  compare every digest with the files
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.files import write_text_atomic
from simulator.private_files import read_bytes, read_text

HERE = Path(__file__).parent
SETS = HERE / "sets"
LIST = HERE / "sets.toml"
FILES = ("definitions.toml", "dialogues.toml", "general.toml", "neutral.txt", "phrases.toml", "wordings.toml")
_HEAD = """# The evaluation sets and the SHA-256 of their files (names and contents, in order). Nobody who works on
# training reads a sealed set. `python -m pipeline.evaluate.sealed` mints and retires sets; a test compares the digests.
"""


@dataclass(frozen=True)
class EvaluationSet:
    """One set: its files in `folder`, and what sets.toml says of it."""

    name: str
    folder: Path
    retired: str = ""

    @cached_property
    def sha256(self) -> str:
        """The digest of the set's files."""
        return digest(self.folder)

    def table(self, file: str) -> dict[str, Any]:
        """Return one of the set's TOML files."""
        return tomllib.loads(self.text(file))

    def text(self, file: str) -> str:
        """Return one of the set's files. Raises BadInput."""
        try:
            return read_text(self.folder / file)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the evaluation set {self.name} has no readable {file} ({error}): mint it again") from error

    def as_dict(self) -> dict[str, Any]:
        """Return the set as reports record it."""
        return {"name": self.name, "sha256": self.sha256, "retired": self.retired}


def digest(folder: Path) -> str:
    """Return the SHA-256 over names and contents of a set's files. Raises BadInput if one is missing."""
    whole = hashlib.sha256()
    for name in FILES:
        try:
            content = read_bytes(folder / name)
        except OSError as error:
            raise BadInput(f"{folder} lacks {name}: an evaluation set has {', '.join(FILES)}") from error
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def listed() -> list[dict[str, str]]:
    """Return the rows of sets.toml, the oldest first."""
    return tomllib.loads(LIST.read_text(encoding="utf-8")).get("set", []) if LIST.is_file() else []


def evaluation_set(name: str = "") -> EvaluationSet:
    """Return a set by its name (the newest that is still sealed by default). Raises BadInput.

    A listed set whose files differ from the digest in sets.toml is refused: it is another set.
    """
    rows = listed()
    sealed = [row for row in rows if not row.get("retired")]
    row = next((row for row in rows if row["name"] == name), None) if name else (sealed or rows)[-1]
    if row is None:
        raise BadInput(f"there is no evaluation set {name!r}: use one of {', '.join(row['name'] for row in rows)}")
    found = EvaluationSet(row["name"], SETS / row["name"], row.get("retired", ""))
    if found.sha256 != row["sha256"]:
        raise BadInput(f"the files of the evaluation set {found.name} were changed: restore them, or mint a new set")
    return found


def mint(name: str, folder: Path | None = None) -> EvaluationSet:
    """Write a set's digest down, as sealed. Raises BadInput if the name is taken or a file is missing."""
    rows = listed()
    if any(row["name"] == name for row in rows):
        raise BadInput(f"the evaluation set {name} exists: choose another name")
    target = SETS / name
    if folder is not None and folder.resolve() != target.resolve():
        digest(folder)
        target.mkdir(parents=True, exist_ok=True)
        for file in FILES:
            (target / file).write_bytes(read_bytes(folder / file))
    _write([*rows, {"name": name, "sha256": digest(target), "retired": ""}])
    return EvaluationSet(name, target)


def retire(name: str, reason: str) -> None:
    """Record why a set is not unseen any more. Raises BadInput."""
    rows = listed()
    if not any(row["name"] == name for row in rows):
        raise BadInput(f"there is no evaluation set {name!r}: use one of {', '.join(row['name'] for row in rows)}")
    _write([{**row, "retired": reason} if row["name"] == name else row for row in rows])


def changed() -> list[str]:
    """Return the names of the sets whose files differ from their digest."""
    return [row["name"] for row in listed() if digest(SETS / row["name"]) != row["sha256"]]


def _write(rows: list[dict[str, str]]) -> None:
    import json

    parts = ["\n".join(f"{key} = {json.dumps(value)}" for key, value in row.items()) for row in rows]
    write_text_atomic(LIST, _HEAD + "".join(f"\n[[set]]\n{part}\n" for part in parts))


def main(words: list[str]) -> int:
    """Mint, retire or check, as the words say."""
    try:
        match words:
            case ["mint", name, *folder] if len(folder) < 2:
                sys.stdout.write(f"{mint(name, Path(folder[0]) if folder else None).sha256}\n")
            case ["retire", name, reason]:
                retire(name, reason)
            case ["check"]:
                for name in changed():
                    sys.stdout.write(f"{name} was changed\n")
                return 1 if changed() else 0
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
