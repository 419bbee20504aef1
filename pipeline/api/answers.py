"""How the API answers: JSON in ASCII, and every error as one sentence with its documented status."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from pipeline.api import schemas
from pipeline.api.work import Busy, TooLong
from pipeline.errors import ChatError
from simulator.catalogue import EXPERIMENTS
from simulator.errors import BadParameter, MissingExtra, SimulatorError, UnknownExperiment
from simulator.validation import describe, describe_unknown

_PERSONAL = frozenset(
    name
    for entry in EXPERIMENTS.values()
    for name in entry.params.model_fields.keys() - entry.public.model_fields.keys()
)


class Json(JSONResponse):
    """JSON in ASCII: whatever a request held, its echo can be encoded."""

    def render(self, content: Any) -> bytes:
        """Raises ValueError on NaN or infinity."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def add_errors(app: FastAPI) -> None:
    """Every error as one sentence: what the simulator raises on purpose never becomes a 500."""

    @app.exception_handler(RequestValidationError)
    async def bad_request(request: Request, error: RequestValidationError) -> Response:
        model = _model_of(request)
        return Json({"detail": _field_errors(model, list(error.errors()))}, 422)

    @app.exception_handler(BadParameter)
    async def bad_parameter(_: Request, error: BadParameter) -> Response:
        place = ["body", error.field] if error.field else ["body"]
        return Json({"detail": [{"loc": place, "msg": str(error), "type": "value_error"}]}, 422)

    def sentence(kind: type[Exception], status: int) -> None:
        async def handler(_: Request, error: Exception) -> Response:
            headers = {"Retry-After": "2"} if status == 503 else None
            return Json({"detail": str(error)}, status, headers=headers)

        app.add_exception_handler(kind, handler)

    for kind, status in (
        (UnknownExperiment, 404),
        (TooLong, 504),
        (Busy, 503),
        (MissingExtra, 503),
        (ChatError, 503),
        (SimulatorError, 503),
    ):
        sentence(kind, status)


def _model_of(request: Request) -> type[BaseModel]:
    path = request.url.path.removesuffix("/stream")
    for name, model in schemas.REQUESTS.items():
        if schemas.path_of(name) == path:
            return model
    return schemas.ChatRequest if path == "/api/chat" else schemas.GenerateRequest


def _field_errors(model: type[BaseModel], errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each bad field; all fields that the model does not have share one row and one sentence."""
    unknown = [one for one in errors if one["type"] == "extra_forbidden"]
    rows = [_field_error(model, one) for one in errors if one["type"] != "extra_forbidden"]
    if unknown:
        names = [one["loc"][-1] for one in unknown]
        said = describe_unknown(model, names)
        if owned := [str(name) for name in names if name in _PERSONAL]:
            said = f"only a person may choose {' and '.join(owned)}, on the command line: leave it out; {said}"
        rows.append({**_field_error(model, unknown[0]), "msg": said})
    return rows[:20]


def _field_error(model: type[BaseModel], error: dict[str, Any]) -> dict[str, Any]:
    place = [part for part in error["loc"] if part != "function-before"]
    field, message = describe(model, {**error, "loc": tuple(place[1:])})
    if error["type"] in ("json_invalid", "missing") and len(place) < 2:
        message = "the body is missing: send a JSON object"
    if not field and error["type"] in ("model_attributes_type", "string_unicode", "dict_type"):
        message = 'the body is no JSON object of valid text: send names and values, such as {"seed": 3}'
    if error["type"] == "json_invalid":
        field, place, message = "", ["body"], "the body is not valid JSON: send one JSON object"
    if field and len(place) < 2:
        place = [*place, field]
    clean = [part if isinstance(part, int) else _printable(str(part)) for part in place]
    return {"loc": clean, "msg": message, "type": error["type"]}


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:60]
