"""`python -m benlab_tui` is `benlab`."""

import os
import sys

if __name__ == "__main__":
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if not sys.flags.safe_path and sys.path[0] != source:
        del sys.path[0]  # the current folder, which `-m` puts first: its own pipeline.py is not ours
    from benlab_tui.cli import run

    run()
