"""Talkers for tests: one that does everything right, and adversaries that try to pass without understanding."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.chat.result_forms import shown
from pipeline.data.claims import Run, quantity
from pipeline.evaluate.conversation.results import Results, value_of
from pipeline.evaluate.conversation.script import Dialogue, Turn
from pipeline.evaluate.conversation.talker import Reply

ANSWERS = tomllib.loads((Path(__file__).parent.parent / "right_answers.toml").read_text(encoding="utf-8"))["answers"]


def call_line(run: Run) -> str:
    return "TOOL: " + json.dumps({"name": run.experiment, "arguments": run.params})


def person(messages: Sequence[Any]) -> str:
    """The person's last words."""
    return next(message["content"] for message in reversed(messages) if message["role"] == "user")


def results_shown(messages: Sequence[Any]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "tool"]


class Oracle:
    """Knows the script: calls what is wanted, reads numbers off the results, says the right things."""

    def __init__(self, dialogue: Dialogue, results: Results) -> None:
        self.results = results
        self.turns = {turn.text: turn for turn in dialogue.turns}

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        turn = self.turns[person(messages)]
        if turn.calls and messages[-1]["role"] == "user":
            return Reply("\n".join(map(call_line, turn.calls)))
        return Reply(self.answer(turn, messages))

    def answer(self, turn: Turn, messages: Sequence[Any]) -> str:
        if turn.value:
            run, path = turn.value
            name = path.rpartition(".")[2]
            value = quantity(self.results.of(run), path)
            return f"The {name} was {value if isinstance(value, int) else shown(float(value))}."
        if turn.calls:
            return self.explained(turn.calls)
        if turn.shift:
            runs = (turn.shift.first, turn.shift.second)
            first, second = (value_of(self.results.of(run), turn.shift.feature) for run in runs)
            way = "rose" if second > first else "fell"
            return f"{turn.shift.feature} {way} from {shown(first)} to {shown(second)}."
        if turn.larger:
            return "Have a look at the two results."
        if turn.bound is not None:
            return f"That is out of bounds: the limit is {turn.bound:g}."
        if turn.command:
            return f"I cannot run it here; type `/experiment {turn.command}` with these settings in the console."
        if turn.needs:
            return next(row["say"] for row in ANSWERS if re.search(row["about"], turn.text, re.I))
        return "You are welcome, just tell me what to run next."

    def explained(self, calls: Sequence[Run]) -> str:
        said = []
        for run in calls:
            result = self.results.of(run)
            if run.experiment == "run_phase":
                said.append(f"zz_nearest of {run.params['phase_type']} is {shown(result['features']['zz_nearest'])}.")
            elif run.experiment == "classify":
                said.append(f"The detector reads it as {result['phase_type']}.")
            else:
                name = next(n for n in ("TRI", "echo", "replay_sensitivity_index", "purity", "gain") if n in result)
                said.append(f"The {name} is {shown(float(result[name]))}.")
        return " ".join(said)

    def choose(self, messages: Sequence[Any], answer: str, lead: str, options: Sequence[str]) -> str:
        pair = self.turns[person(messages)].larger
        assert pair
        return options[1] if self.results.gap(pair) > 0 else options[0]


class Adversary:
    """Answers everything by one rule and chooses the first option."""

    def choose(self, messages: Sequence[Any], answer: str, lead: str, options: Sequence[str]) -> str:
        return options[0]


class Silent(Adversary):
    """Never calls, always polite."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        return Reply("You are welcome! Let me know what you would like to do next.")


class Keywords(Adversary):
    """Lists every word that a grader might look for."""

    LIST = (
        "TRI, time reversal, forward, backward, bias, distance, sector, up, down, string order, hidden, ZXZ, cluster, "
        "ising, spt, trivial, pseudorandom, random Clifford gates, entropy, bits, sites, layers, per layer, "
        "thirteen features, fingerprint, doctor, cannot, ben-lab, run, simulate, experiment, /experiment run_phase, "
        "larger, smaller, rose, fell, Paris, green, Earth, honey, cold, which phase"
    )

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        return Reply(self.LIST)


class Hedger(Adversary):
    """Says both sides of everything, in sentences."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        return Reply(
            "It may be larger or smaller, it could have risen or fallen, and the order is high or low. The bias is up "
            "or down. I cannot say whether the phase is ising, spt, trivial or pseudorandom, so ask a doctor."
        )


class Copier(Adversary):
    """Calls what the words spell out where it can, and repeats the whole tool message as its answer."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        found = results_shown(messages)
        return Reply(found[-1] if found else person(messages))


class Echo(Adversary):
    """Repeats the person's words."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        return Reply(person(messages))


class Eager(Adversary):
    """Calls a standard run whatever is said, then reads every number aloud."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        if messages[-1]["role"] == "user":
            return Reply('TOOL: {"name": "run_phase", "arguments": {"phase_type": "spt_cluster"}}')
        return Reply(results_shown(messages)[-1])


class Shuffler(Adversary):
    """Gives numbers that are all in the result, each at the name of another."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        found = results_shown(messages)
        pairs = re.findall(r"(\w+) (-?[\d.]+\d)(?=[,\n])", found[-1]) if found else []
        names, values = [name for name, _ in pairs], [value for _, value in pairs]
        moved = [f"{name} is {value}" for name, value in zip(names[-3:], values[:3], strict=False)]
        return Reply(". ".join(moved) + "." if moved else "I would have to run that.")


class Dumper(Adversary):
    """Says one text that touches all subjects in whole sentences, whatever is asked."""

    def reply(self, messages: Sequence[Any], *, tools: bool, most: int, grammar: str = "") -> Reply:
        return Reply(
            "I am ben-lab and I run experiments such as TRI and echoes, but I cannot look up live data, and for your "
            "health you should see a doctor. The order is hidden in the string. Entropy is in bits, the range is in "
            "sites, and which phase do you want, ising, spt, trivial or pseudorandom?"
        )


ADVERSARIES = {
    "silent": Silent,
    "keywords": Keywords,
    "hedging": Hedger,
    "copying": Copier,
    "echo": Echo,
    "eager": Eager,
    "shuffled numbers": Shuffler,
    "one text for all": Dumper,
}
