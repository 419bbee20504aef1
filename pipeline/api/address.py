"""Where the server listens: this machine alone, unless a token is asked of everyone."""

from __future__ import annotations

import socket

from pipeline.api.guard import is_loopback
from pipeline.errors import BadInput


def listen(host: str = "127.0.0.1", port: int = 8000, token: str | None = None) -> socket.socket:
    """The bound socket to serve on. Raises BadInput where the address is taken, unknown, or needs a token."""
    if not is_loopback(host) and not token:
        raise BadInput(
            f"host is {host!r}, which other machines reach: give --token-file FILE, $BENLAB_TOKEN or --token SECRET, "
            "or serve on 127.0.0.1"
        )
    return _listen(host, port)


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is said in words before anything starts."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadInput(f"host is {host!r}, which is no address here ({error.strerror}): use 127.0.0.1") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise BadInput(f"{host}:{port} cannot be served ({error.strerror}): choose another --port") from None
    return listener
