"""The stage that serves the Lab API until it is cancelled."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.api.params import ServeParams
from pipeline.lab import Lab
from simulator.events import Event, Note, Result


def run(lab: Lab, params: ServeParams) -> Iterator[Event]:
    """One note with the address, then nothing until the server stops. Raises BadInput."""
    from pipeline.api.address import listen
    from pipeline.api.server import serve
    from pipeline.api.token import token_of

    token = token_of(params)
    listener = listen(params.host, params.port, token)
    shown = f"[{params.host}]" if ":" in params.host else params.host
    yield Note(f"the Lab API is at http://{shown}:{params.port} (its description: /docs)")
    serve(lab, params.host, params.port, token, listener)
    yield Result({"summary": "the Lab API was stopped"})
