"""Chat with ben-lab: the console, or with words one question (`benlab ask`)."""

import sys

from benlab_tui.cli import main

DEFAULT_MODEL = "ben-lab"

if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(["ask", "--model", DEFAULT_MODEL, *words] if words else []))
