"""`export`: the adapter, or the whole model, as GGUF."""

from benlab_tui.context import Context
from benlab_tui.registry import Value, command
from pipeline.export.params import ExportParams


@command(
    "export",
    "write the adapter (or with merged=yes the whole model) as GGUF",
    params=ExportParams,
    group="Model",
    examples=("export", "export merged=yes"),
)
async def export(context: Context, params: ExportParams) -> Value:
    """A job: writes ben-lab-adapter.gguf."""
    return await context.job("export", params)
