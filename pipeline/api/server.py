"""The Lab API: FastAPI over the simulator, on this machine alone unless told otherwise."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from pipeline.api import schemas
from pipeline.api.address import listen
from pipeline.api.answers import Json, add_errors
from pipeline.api.body import BodyRoute
from pipeline.api.docs_page import HEADERS, page
from pipeline.api.generate import Speaker
from pipeline.api.guard import LOOPBACK_NAMES, Guard, allowed_hosts, is_loopback
from pipeline.api.work import Limits, Work
from pipeline.lab import Lab
from simulator.catalogue import EXPERIMENTS
from simulator.events import Event, as_dict
from simulator.fingerprint import PHYSICS_VERSION

HEARTBEAT_SECONDS = 15.0

_SENTENCES = {
    400: "The request cannot be read, or its Host header is wrong",
    401: "The token is missing or wrong",
    403: "The request comes from another site",
    408: "The body did not arrive",
    413: "The body is too large",
    415: "The body is not JSON",
    503: "Too much is running, or something is missing here",
    504: "The experiment took too long",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    **{code: {"model": schemas.Sentence, "description": text} for code, text in _SENTENCES.items()},
    404: {"model": schemas.Sentence, "description": "No such experiment"},
    422: {"model": schemas.FieldErrors, "description": "Bad input, with the field named"},
}
_EVENT_STREAM = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {
                "event": {"type": "string", "enum": ["progress", "metric", "note", "failed", "result"]},
                "data": {"type": "string", "description": "the event as one JSON object"},
            },
            "required": ["event", "data"],
        }
    }
}


def create_app(lab: Lab, token: str | None = None, *, host: str = "127.0.0.1", limits: Limits | None = None) -> FastAPI:
    """The application over one lab; with a token every request must bring it."""
    work, speaker = Work(lab, limits or Limits()), Speaker(lab)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await speaker.close()

    app = FastAPI(
        title="Ben Lab API",
        version=_version(),
        description="Exact quantum-phase experiments over HTTP.",
        lifespan=lifespan,
        default_response_class=Json,
        docs_url=None,
        redoc_url=None,
    )
    app.router.route_class = BodyRoute
    open_hosts = not is_loopback(host)
    app.add_middleware(
        Guard,
        posts=schemas.POSTS,
        hosts=allowed_hosts(host) if open_hosts else {*LOOPBACK_NAMES, host},
        token=token,
        literal_hosts=open_hosts,
    )
    add_errors(app)
    _add_pages(app, work)
    for name in EXPERIMENTS:
        _add_experiment(app, work, name)
    _add_generate(app, speaker)
    return app


def _version() -> str:
    try:
        return version("benlab")
    except PackageNotFoundError:
        return "0"


def _add_pages(app: FastAPI, work: Work) -> None:
    @app.get("/", responses={200: {"model": schemas.Index}, **_only(400, 401, 403, 503)}, summary="What is here")
    async def index() -> Response:
        routes = {entry.name: schemas.path_of(entry.name) for entry in EXPERIMENTS.values()}
        return Json({"name": "Ben Lab API", "version": app.version, "docs": "/docs", "routes": routes})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers=HEADERS)

    @app.get(
        "/health", responses={200: {"model": schemas.Health}, **_only(400, 401, 403, 503)}, summary="Is the lab up?"
    )
    async def health() -> Response:
        return Json(
            {
                "status": "ok",
                "physics_version": PHYSICS_VERSION,
                "running": work.running,
                "waiting": work.waiting,
            }
        )

    @app.get(
        "/experiments/{experiment_id}",
        responses={200: {"model": schemas.Answer}, **_only(400, 401, 403, 404, 422, 503)},
        summary="A stored experiment",
    )
    async def experiment(
        experiment_id: Annotated[str, Path(min_length=1, max_length=80, pattern=r"^[0-9A-Za-z._-]+$")],
    ) -> Response:
        return Json(await asyncio.to_thread(_stored, work.lab, experiment_id))


def _stored(lab: Lab, experiment_id: str) -> dict[str, Any]:
    from simulator.notebook import Notebook

    with Notebook(lab.database) as notebook:
        return notebook.get(experiment_id)


def _only(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: RESPONSES[code] for code in codes}


def _add_experiment(app: FastAPI, work: Work, name: str) -> None:
    """The experiment's route; beside that of a long one, the same as a stream of server-sent events."""
    entry = EXPERIMENTS[name]

    async def answer(params: BaseModel) -> Response:
        return Json(await work.answer(name, params))

    async def stream(params: BaseModel) -> Response:
        # Raises Busy here, so that a busy lab is a 503 and not a broken stream.
        queue, task = work.stream(name, params)
        return _EventStream(_sse(queue), task)

    _add_route(app, name, answer, {"model": schemas.ANSWERS.get(name, schemas.Answer), "description": "The result"})
    if not entry.quick:
        _add_route(app, name, stream, {"content": _EVENT_STREAM, "description": "Progress, then the result"}, "/stream")


def _add_route(app: FastAPI, name: str, handler: Callable[..., Any], success: dict[str, Any], suffix: str = "") -> None:
    handler.__annotations__["params"] = schemas.REQUESTS[name]
    app.post(
        schemas.path_of(name) + suffix,
        name=name + suffix.replace("/", "_"),
        summary=EXPERIMENTS[name].summary + (" Progress as server-sent events." if suffix else ""),
        responses={**RESPONSES, 200: success},
        response_class=StreamingResponse if suffix else Json,
    )(handler)


class _EventStream(StreamingResponse):
    """Server-sent events of a task, which ends with the answer however that ends, also before its first byte."""

    def __init__(self, events: AsyncIterator[bytes], task: asyncio.Task[None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._task.cancel()


async def _sse(queue: asyncio.Queue[Event | None]) -> AsyncIterator[bytes]:
    """Server-sent events; a comment keeps the connection alive where nothing happens for a while."""
    while True:
        try:
            event = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
        except TimeoutError:
            yield b": still running\n\n"
            continue
        if event is None:
            return
        yield _sse_event(event)


def _sse_event(event: Event) -> bytes:
    data = as_dict(event)
    return f"event: {data['event']}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


def _add_generate(app: FastAPI, speaker: Speaker) -> None:
    @app.post(
        "/api/generate",
        summary="One prompt to the lab's model, as Ollama answers it",
        responses={
            **_only(400, 401, 403, 408, 413, 415, 422, 503),
            200: {"model": schemas.GenerateAnswer, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
        },
    )
    async def generate(request: schemas.GenerateRequest) -> Response:
        if not request.stream:
            return Json(await speaker.answer(request))
        await speaker.check(request)
        return StreamingResponse(speaker.stream(request), media_type="application/x-ndjson")

    @app.post(
        "/api/chat",
        summary="A conversation with the lab's model, as Ollama answers it",
        responses={
            **_only(400, 401, 403, 408, 413, 415, 422, 503),
            200: {"model": schemas.ChatAnswer, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
        },
    )
    async def chat(request: schemas.ChatRequest) -> Response:
        if not request.stream:
            return Json(await speaker.answer(request))
        await speaker.check(request)
        return StreamingResponse(speaker.stream(request), media_type="application/x-ndjson")


def serve(
    lab: Lab,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    listener: socket.socket | None = None,
    limits: Limits | None = None,
) -> None:
    """Serves until it is interrupted, on `listener` where `listen` has bound one already. Raises BadInput."""
    import uvicorn

    from pipeline.api.connections import LARGEST_HEADER, BoundedLog, bounded_protocol, log_to

    listener = listener or listen(host, port, token)
    config = uvicorn.Config(
        create_app(lab, token, host=host, limits=limits),
        http=bounded_protocol(),
        ws="none",
        h11_max_incomplete_event_size=LARGEST_HEADER,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
    )
    log_to(BoundedLog())
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
