"""Right where the TOOL line parses, validates, and asks for what the request said."""

from __future__ import annotations

import simulator
from pipeline.data.tool_line import read_tool_line
from pipeline.evaluate.question import Grade, Question, grader
from simulator.errors import SimulatorError


@grader("tools")
def tools(question: Question, answer: str) -> Grade:
    """Arguments are compared after validation, so that a default that is spelled out is as good as one left out."""
    try:
        call = read_tool_line(answer)
    except (ValueError, SimulatorError) as error:
        return Grade(False, str(error))
    if call is None:
        return Grade(False, "no TOOL line")
    name, args = call
    if name != question.facts["name"]:
        return Grade(False, f"called {name}, and {question.facts['name']} was asked for")
    model = simulator.EXPERIMENTS[name].public
    given = simulator.validate(model, args).model_dump()
    wanted = simulator.validate(model, question.facts["args"]).model_dump()
    wrong = [key for key, value in wanted.items() if given[key] != value]
    if wrong:
        return Grade(False, f"{wrong[0]} is {given[wrong[0]]}, and {wanted[wrong[0]]} was asked for")
    return Grade(True, f"called {name} with what was asked")
