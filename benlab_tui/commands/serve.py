"""`serve`: the Lab API over HTTP."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.api.params import ServeParams


@command(
    "serve",
    "serve the Lab API over HTTP (127.0.0.1:8000)",
    params=ServeParams,
    group="Lab",
    examples=("serve", "serve port=8001"),
)
async def serve(context: Context, params: ServeParams) -> Value:
    """A job that runs until it is cancelled."""
    return await context.job("serve", params)
