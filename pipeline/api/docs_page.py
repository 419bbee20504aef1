"""/docs: the API's description as one page that loads nothing, from here or from elsewhere, and runs no script."""

from __future__ import annotations

import json
from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace}pre{background:#8882;padding:.6rem;overflow:auto}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}"
)


def page(document: dict[str, Any]) -> str:
    """The OpenAPI document as HTML: a section a route, with its parameters, bounds and an example to copy."""
    info = document["info"]
    sections = [
        _section(method, path, route, document)
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{escape(info.get('description', ''))} The same as JSON: <code>/openapi.json</code>.</p>"
        f"{''.join(sections)}</html>"
    )


def _section(method: str, path: str, route: dict[str, Any], document: dict[str, Any]) -> str:
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    known = _resolved(body, document)
    rows = "".join(_row(name, _resolved(field, document)) for name, field in known.get("properties", {}).items())
    table = f"<table><tr><th>name<th>value<th>meaning</tr>{rows}</table>{_example(path, known)}" if rows else ""
    return f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(route.get('summary', ''))}</p>{table}"


def _row(name: str, field: dict[str, Any]) -> str:
    meaning = escape(field.get("description", ""))
    return f"<tr><td><code>{escape(name)}</code><td>{escape(_bounds(field))}<td>{meaning}</tr>"


def _bounds(field: dict[str, Any]) -> str:
    parts = []
    if "enum" in field:
        parts.append(", ".join(map(str, field["enum"])))
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        parts.append(f"{low} to {high}")
    if field.get("default") is not None:
        parts.append(f"default {json.dumps(field['default'])}")
    return "; ".join(parts)


def _example(path: str, model: dict[str, Any]) -> str:
    values = {
        name: field["examples"][0]
        for name, field in model.get("properties", {}).items()
        if name in model.get("required", ()) and field.get("examples")
    }
    command = f"curl -H 'Content-Type: application/json' -d '{json.dumps(values)}' http://127.0.0.1:8000{path}"
    return f"<pre>{escape(command)}</pre>"


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schema with its reference, or the one of its choices that is not null, put in."""
    for option in (schema, *schema.get("anyOf", ())):
        if "$ref" in option:
            named = document["components"]["schemas"][option["$ref"].rpartition("/")[2]]
            return {**named, **{key: value for key, value in schema.items() if key != "$ref"}}
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return {**schema, **options[0]} if options else schema
