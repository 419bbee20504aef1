"""What people look for under a word that is neither a command nor a term of the lab."""

from __future__ import annotations


def topics(*, slash: bool) -> dict[str, str]:
    """Word → a few sentences, with commands as they are typed here."""
    mark = "/" if slash else "benlab "
    recipe = (
        f"recipe: a TOML file that fills in what you do not give. `{mark}help generate` lists those of the data, "
        f"`{mark}help train` those of the training with their values; `{mark}loop` takes quick, full or a file with "
        "the tables [data] [train] [eval] [export] [install]. The path of your own .toml file works in a name's place."
    )
    pause = (
        "pause: in the console, Tab to the training's card and press p; p again goes on. What was learned is on the "
        f"disk meanwhile. Or cancel it with `{mark}cancel`, and later go on with `{mark}train resume=yes`."
    )
    resume = (
        f"resume: `{mark}train resume=yes` goes on with the newest training that did not end, from its last "
        "checkpoint, with the same data and settings."
    )
    keys = (
        "keys: F1 in the console lists them. Tab or ctrl+up goes to a turn or card, whose keys the footer then shows; "
        "a slash goes to the prompt from anywhere. The table [keys] of benlab.toml changes them."
    )
    return {
        **dict.fromkeys(("recipe", "recipes"), recipe),
        **dict.fromkeys(("pause", "paused"), pause),
        **dict.fromkeys(("resume", "continue"), resume),
        **dict.fromkeys(("keys", "key", "shortcuts"), keys),
    }
