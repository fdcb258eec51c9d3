"""Entry of the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from . import commands, flags, start
from .outcome import Exit, Failure, Say

Command = Callable[[flags.Call, str, Say], None]
COMMANDS: dict[str, Command] = {
    "version": lambda call, name, say: commands.version(call),
    "start": start.run,
    "status": commands.status,
    "stop": commands.stop,
    "delete": commands.delete,
    "ip": commands.ip,
    "ssh": commands.ssh,
    "kubectl": commands.kubectl,
    "image load": commands.image_load,
    "image ls": commands.image_ls,
    "image pull": commands.image_pull,
    "profile list": commands.profile_list,
    "update-context": commands.update_context,
    "logs": commands.logs,
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    say = Say()
    try:
        call = flags.parse(sys.argv[1:] if argv is None else argv, os.environ)
        # Status and the list of profiles print one JSON object of their own, not events.
        say.as_json = call.text("output") == "json" and call.command in ("start", "stop", "delete", "status")
        COMMANDS[call.command](call, call.text("profile", "minikube"), say)
    except Exit as end:
        return end.code
    except Failure as failure:
        say.failure(failure)
        return failure.code
    except KeyboardInterrupt:
        return 2
    return 0
