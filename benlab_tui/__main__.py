"""`python -m benlab_tui` is `benlab`."""

from benlab_tui.cli import run

if __name__ == "__main__":
    run()
