"""What people look for under a word that is neither a command nor a term of the lab."""

from __future__ import annotations

_RECIPE = (
    "recipe: a TOML file that fills in what you do not give. `benlab help generate` lists those of the data, "
    "`benlab help train` those of the training with their values; `benlab loop` takes quick, full or a file with "
    "the tables [data] [train] [eval] [export] [install]. The path of your own .toml file works in a name's place."
)
_PAUSE = (
    "pause: in the console, Tab to the training's card and press p; p again goes on. What was learned is on the "
    "disk meanwhile. Or cancel it with `benlab cancel`, and later go on with `benlab train resume=yes`."
)
_RESUME = (
    "resume: `benlab train resume=yes` goes on with the newest training that did not end, from its last "
    "checkpoint, with the same data and settings."
)
_KEYS = (
    "keys: F1 in the console lists them. Tab or ctrl+up goes to a turn or card, whose keys the footer then shows; "
    "a slash goes to the prompt from anywhere. The table [keys] of benlab.toml changes them."
)
TOPICS = {
    **dict.fromkeys(("recipe", "recipes"), _RECIPE),
    **dict.fromkeys(("pause", "paused"), _PAUSE),
    **dict.fromkeys(("resume", "continue"), _RESUME),
    **dict.fromkeys(("keys", "key", "shortcuts"), _KEYS),
}
"""Word → a few sentences, with commands as the command line has them; `phrasing.as_slash` makes the console's."""
