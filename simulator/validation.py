"""From a mapping to a parameter model, with every complaint as one sentence: value, bound, mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simulator.errors import BadParameter
from simulator.masking import MASK, is_secret

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], values: Mapping[str, Any] | BaseModel) -> Model:
    """`model` made from `values`. Raises BadParameter naming field, value, bound and mend."""
    if isinstance(values, model):
        return values
    if isinstance(values, BaseModel):
        values = values.model_dump()
    if not isinstance(values, Mapping):
        raise BadParameter(f"{_short(values)} is no set of parameters: give names and values, such as seed=3")
    strange = [name for name in values if not isinstance(name, str)]
    if strange:
        raise BadParameter(f"{_short(strange[0])} is no name of a parameter: use {', '.join(model.model_fields)}")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        # A value that is wrong says more than one that is not there yet.
        details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] == "missing")
        field, sentence = describe(model, details[0])
        if details[0]["type"] == "extra_forbidden":
            sentence = describe_unknown(model, [d["loc"][0] for d in details if d["type"] == "extra_forbidden"])
        raise BadParameter(sentence, field, [_without_secrets(detail) for detail in details]) from None
    except (OverflowError, RecursionError) as error:
        raise BadParameter(f"a parameter is too large to read ({error}): give smaller values") from None


def _without_secrets(detail: Mapping[str, Any]) -> dict[str, Any]:
    place = detail.get("loc", ())
    return {**detail, "input": MASK} if place and is_secret(str(place[0])) else dict(detail)


def describe(model: type[BaseModel], detail: Mapping[str, Any]) -> tuple[str, str]:
    """The field's name and one sentence for one of pydantic's error details."""
    path = [part for part in detail.get("loc", ()) if part != "function-before"]
    field = str(path[0]) if path else ""
    name = field if len(path) < 2 else f"{field}[{path[1]}]"
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    given = MASK if is_secret(field) else given
    known = _property(model, field)
    mend = _mend(known if len(path) < 2 else known.get("items", known), field)
    if kind == "value_error":
        first = str(context.get("error", "")).split(" ", 1)[0]
        return field or (first if first in model.model_fields else ""), _own_words(
            name, given, str(context.get("error", detail["msg"])), mend
        )
    if kind == "missing":
        return field, f"{field} is missing: {mend}"
    if kind == "extra_forbidden":
        return field, describe_unknown(model, [field])
    if kind in ("too_short", "too_long"):
        count, bound = context.get("actual_length"), context.get("min_length", context.get("max_length"))
        side = "fewer than the least" if kind == "too_short" else "more than the most"
        return field, f"{name} has {count} items, {side}, {bound}: {mend}"
    side = _SIDES.get(kind, "")
    if side:
        bound = context.get("ge", context.get("le", context.get("gt", context.get("lt"))))
        return field, f"{name} is {_short(given)}, {side}, {_number(bound)}: {mend}"
    return field, f"{name} is {_short(given)}, which is {_WRONG.get(kind, 'not allowed')}: {mend}"


def describe_unknown(model: type[BaseModel], fields: Sequence[Any]) -> str:
    """Return one sentence about all fields of a mapping that the model does not have."""
    known = ", ".join(model.model_fields)
    if len(fields) == 1:
        return f"{_short(fields[0])} is not a parameter of {_title(model)}: leave it out, or use {known}"
    shown = [_short(field) for field in fields[:5]] + ([f"{len(fields) - 5} more"] if len(fields) > 5 else [])
    several = f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"{several} are not parameters of {_title(model)}: leave them out, or use {known}"


_SIDES = {
    "greater_than_equal": "below the smallest",
    "greater_than": "not above",
    "less_than_equal": "above the largest",
    "less_than": "not below",
}
_WRONG = {
    "literal_error": "not one of the choices",
    "int_parsing": "not a whole number",
    "int_parsing_size": "too large a number",
    "int_type": "not a whole number",
    "int_from_float": "not a whole number",
    "float_parsing": "not a number",
    "float_type": "not a number",
    "finite_number": "not a finite number",
    "string_type": "not text",
    "string_pattern_mismatch": "not of the right form",
    "string_too_long": "too long",
    "string_too_short": "too short",
    "list_type": "not a list",
    "bool_parsing": "neither true nor false",
    "bool_type": "neither true nor false",
}


def _own_words(name: str, given: Any, said: str, mend: str) -> str:
    """A validator's own sentence, completed with the value and the mend where it names neither."""
    if ": " in said:
        return said
    return f"{name} is {_short(given)}, and {said}: {mend}" if name else f"{said}: {mend}"


def _property(model: type[BaseModel], field: str) -> dict[str, Any]:
    schema = model.model_json_schema()
    known: dict[str, Any] = schema.get("properties", {}).get(field, {})
    options = [option for option in known.get("anyOf", []) if option.get("type") != "null"]
    return {**known, **options[0]} if options else known


def _mend(known: Mapping[str, Any], field: str) -> str:
    """What to do, from the field's JSON schema."""
    if "enum" in known:
        return f"choose one of {', '.join(map(str, known['enum']))}"
    low, high = known.get("minimum"), known.get("maximum")
    if low is not None and high is not None:
        return f"choose {_number(low)} to {_number(high)}"
    if known.get("type") == "array":
        low, high = known.get("minItems", 0), known.get("maxItems")
        each = _mend(known.get("items", {}), "").removeprefix("choose ")
        upper = " or more" if high is None else f" to {high}"
        count = f"{low} items" if low == high else f"{low}{upper} items"
        return f"give {count}" + ("" if each.startswith("give") else f", each {each}")
    if known.get("type") == "string" and "maxLength" in known:
        return f"give text of {known.get('minLength', 0)} to {known['maxLength']} characters" + (
            f" such as {known['examples'][0]}" if known.get("examples") else ""
        )
    if low is not None or high is not None:
        return f"give {_number(low)} or more" if high is None else f"give at most {_number(high)}"
    if known.get("type") in ("number", "integer"):
        return "give a finite number"
    return f"give a valid {field or 'value'}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _short(value: Any) -> str:
    """The value as text of at most 60 printable characters."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    try:
        text = value if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):
        return "a value that is too long to show"
    text = "".join(char if char.isprintable() else "?" for char in text)
    text = text if len(text) <= 60 else text[:57] + "..."
    return repr(text) if isinstance(value, str) else text


def _title(model: type[BaseModel]) -> str:
    named = model.model_config.get("title") or model.__name__
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in named).lstrip("_")
