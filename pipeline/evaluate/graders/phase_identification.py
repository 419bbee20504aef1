"""Right where the answer names the run's phase, and no other in its verdict."""

from __future__ import annotations

from pipeline.evaluate.graders.names import phases_in
from pipeline.evaluate.question import Grade, Question, grader


@grader("phase_identification")
def phase_identification(question: Question, answer: str) -> Grade:
    """The verdict is the first sentence that names a phase; a list of several phases is no verdict."""
    wanted = str(question.facts["phase"])
    for sentence in answer.replace(";", ".").replace("\n", ".").split(". "):
        named = phases_in(sentence)
        if named:
            if named == [wanted]:
                return Grade(True, f"named {wanted}")
            return Grade(False, f"named {', '.join(named)}, and it is {wanted}")
    return Grade(False, f"named no phase, and it is {wanted}")
