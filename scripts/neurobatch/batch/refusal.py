"""What is refused, and the exit codes of all batch commands."""

from __future__ import annotations

GOOD, FAILED, REFUSED, UNREACHABLE, LATE, OPEN = 0, 1, 2, 3, 4, 5
INTERRUPTED = 130

EXIT_CODES = (
    "exit codes: 0 all subjects succeeded (or done), 1 some failed, 2 refused or wrong usage,\n"
    "3 the pipeline API does not answer, 4 not over in time, 5 (status) not over yet, 130 interrupted"
)


class RefusalError(Exception):
    """What was asked for cannot be; the message is one sentence with the fix."""


class UnansweredError(Exception):
    """The pipeline API was silent for longer than is granted; the journal is as it was."""
