"""Run one of the programs of neurobatch.remote on the server: one exec, and only the server's own Python around it.

Ansible's command module could feed the same text to Python, but travels there as an archive of Ansible's own code,
which the server unpacks and compiles each time: 0.3 s of every question. Arguments: name (of the program), params (a
map). Only for programs that change nothing: they run in check mode, too.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from neurobatch.remote import program

#: Not found, by the shell's convention (POSIX.1-2017, 2.8.2).
MISSING = 127


class ActionModule(ActionBase):  # type: ignore[misc]
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _requires_connection = True
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"name", "params"})

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return stdout, stderr and rc as the command module does; a program that fails fails the task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        text = program(self._task.args["name"], self._task.args.get("params") or {})
        # As standard input: parameters, secrets among them, appear in no list of processes and in no trace.
        run = self._low_level_execute_command("/usr/bin/python3 -I -", in_data=text.encode())
        stdout = run["stdout"].rstrip("\r\n")
        said = {"rc": run["rc"], "stdout": stdout, "stdout_lines": stdout.splitlines(), "stderr": run["stderr"]}
        if run["rc"] == 0:
            return {**result, **said, "changed": False}
        if run["rc"] == MISSING:
            why = "python3 is not installed on the server; install it with the server's package manager"
        else:
            why = (run["stderr"] or run["stdout"]).strip() or f"{self._task.args['name']} ended with {run['rc']}"
        return {**result, **said, "failed": True, "changed": False, "msg": why}
