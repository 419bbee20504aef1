"""The Lab API at 127.0.0.1:8000: `benlab serve`."""

import sys

from benlab_tui.cli import main

HOST, PORT = "127.0.0.1", 8000

if __name__ == "__main__":
    sys.exit(main(["serve", "--host", HOST, "--port", str(PORT), *sys.argv[1:]]))
