"""What the program says (for people or as CloudEvents, as Minikube does) and how it ends."""

from __future__ import annotations

import json
import sys
import uuid

# pkg/minikube/reason/exitcodes.go
FAILURE = 1
PROGRAM_ERROR = 10
USAGE = 14
INSUFFICIENT_MEMORY = 23
INSUFFICIENT_CORES = 29
HOST_ERROR = 30
DRIVER_PERMISSION = 57
PROVIDER_NOT_RUNNING = 63
PROVIDER_NOT_FOUND = 65
PROVIDER_UNAVAILABLE = 69
GUEST_ERROR = 80
GUEST_CONFLICT = 81
GUEST_NOT_RUNNING = 83
GUEST_NOT_FOUND = 85
CONTROL_PLANE_UNSUPPORTED = 106


class Exit(Exception):  # noqa: N818  # it is how a program ends, not a defect
    """End with an exit code, everything having been said."""

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


class Failure(Exception):  # noqa: N818
    """End with a reason, as `Exiting due to ID: message`."""

    def __init__(self, identifier: str, code: int, message: str, advice: str = "") -> None:
        """Keep what is to be said."""
        super().__init__(message)
        self.identifier, self.code, self.message, self.advice = identifier, code, message, advice


class Say:
    """Where messages go: lines with a sign for people, or one CloudEvent a line."""

    def __init__(self, as_json: bool = False) -> None:
        """Choose the form."""
        self.as_json = as_json
        self.steps: list[str] = []

    def _event(self, kind: str, data: dict[str, str]) -> None:
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "https://minikube.sigs.k8s.io/",
            "type": f"io.k8s.sigs.minikube.{kind}",
            "datacontenttype": "application/json",
            "data": data,
        }
        print(json.dumps(event), flush=True)

    def step(self, name: str, sign: str, message: str) -> None:
        """Say that a named step begins."""
        if not self.as_json:
            print(f"{sign}  {message}", flush=True)
            return
        current = str(self.steps.index(name)) if name in self.steps else "0"
        total = str(max(len(self.steps) - 1, 0))
        self._event("step", {"currentstep": current, "message": message, "name": name, "totalsteps": total})

    def info(self, sign: str, message: str) -> None:
        """Say something beside the steps."""
        if self.as_json:
            self._event("info", {"message": message})
        else:
            print(f"{sign}  {message}", flush=True)

    def warning(self, message: str) -> None:
        """Say what went otherwise than asked for."""
        if self.as_json:
            self._event("warning", {"message": message})
        else:
            print(f"❗  {message}", file=sys.stderr, flush=True)

    def failure(self, failure: Failure) -> None:
        """Say why the program ends."""
        if self.as_json:
            self._event(
                "error",
                {
                    "advice": failure.advice,
                    "exitcode": str(failure.code),
                    "issues": "",
                    "message": failure.message,
                    "name": failure.identifier,
                    "url": "",
                },
            )
            return
        print(f"\n❌  Exiting due to {failure.identifier}: {failure.message}", file=sys.stderr)
        if failure.advice:
            print(f"💡  Suggestion: {failure.advice}", file=sys.stderr)
        print(file=sys.stderr, flush=True)
