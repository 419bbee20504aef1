"""The Lab API's token: the option, else the token file, else $BENLAB_TOKEN."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.api.params import ServeParams
from pipeline.errors import BadInput
from simulator import validate
from simulator.errors import BadParameter

VARIABLE = "BENLAB_TOKEN"
_MOST_BYTES = 4096


def token_of(params: ServeParams) -> str | None:
    """Return the token to ask of every request, or None. Raises BadInput if the file or the variable holds no token.

    The variable is taken out of this process's environment, which its children would inherit.
    """
    given = os.environ.pop(VARIABLE, None)
    if params.token:
        return params.token
    if params.token_file:
        return _checked(_first_line(Path(params.token_file).expanduser()), params.token_file)
    return _checked(given, f"${VARIABLE}") if given else None


def _first_line(path: Path) -> str:
    try:
        if not path.is_file():
            raise BadInput(f"token_file is {str(path)!r}, which is not a file: write the token to a file")
        with path.open(encoding="utf-8") as file:
            return file.read(_MOST_BYTES).strip().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise BadInput(f"token_file is {str(path)!r}, which cannot be read ({reason}): make it readable") from error


def _checked(token: str, source: str) -> str:
    try:
        return validate(ServeParams, {"token": token}).token or ""
    except BadParameter as error:
        raise BadInput(f"{source} holds no token: {error}") from error
