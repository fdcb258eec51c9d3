"""Run a long command on the server as a transient systemd unit and show its progress while it runs.

The command goes on when the connection breaks or the playbook is stopped; a later run joins it instead of starting it
again. Its output is kept in ``log``. Arguments: unit, command (a path), log, timeout (seconds), interval (seconds
between looks). Nothing is started in check mode.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible.plugins.action import ActionBase
from neurobatch.follow import Progress, last_words


class ActionModule(ActionBase):  # type: ignore[misc]
    """Ansible's entry point."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start or join the unit, follow its log, and report how it ended."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = self._task.args
        if self._task.check_mode:
            return {**result, "changed": True, "skipped": True}
        unit, log = args["unit"], shlex.quote(args["log"])
        shell = shlex.quote(f"{shlex.quote(args['command'])} > {log} 2>&1; echo $? > {log}.rc")
        start = (
            f"systemctl is-active --quiet {unit} || {{ rm -f {log} {log}.rc; touch {log}; "
            f"systemctl reset-failed {unit} 2>/dev/null; "
            f"systemd-run --quiet --collect --unit={unit} /bin/sh -c {shell}; }}"
        )
        begun = self._low_level_execute_command(start)
        if begun["rc"]:
            return {
                **result,
                "failed": True,
                "msg": f"{unit} could not be started: {begun['stderr'] or begun['stdout']}",
            }

        # The task's own banner comes with its result only.
        self._display.display(f"{self._task.get_name()} (log on the server: {args['log']})")
        progress, started, offset, tail = Progress(), time.monotonic(), 0, ""
        while True:
            # Size first: what is written after this look belongs to the next one.
            look = self._low_level_execute_command(
                f"size=$(stat -c %s {log}); state=$(systemctl is-active {unit}); tail -c +{offset + 1} {log} | "
                f'head -c $((size - {offset})); echo; echo "$size $state $(cat {log}.rc 2>/dev/null)"'
            )
            *lines, status = look["stdout"].replace("\r", "").rstrip("\n").split("\n")
            size, state, *code = status.split()
            offset, tail = int(size), (tail + "\n".join(lines))[-4000:]
            elapsed = time.monotonic() - started
            for line in progress.lines("\n".join(lines), elapsed):
                self._display.display(f"  {line}")
            if code:
                return {**result, **self._verdict(args, int(code[0]), tail, elapsed)}
            if state not in {"active", "activating"}:
                return {
                    **result,
                    "failed": True,
                    "msg": f"{unit} was ended before it was done; run this again to start it over",
                }
            if elapsed > args["timeout"]:
                return {
                    **result,
                    "failed": True,
                    "msg": f"{unit} is not done after {args['timeout']} s: {last_words(tail)}",
                }
            time.sleep(args.get("interval", 3))

    @staticmethod
    def _verdict(args: dict[str, Any], code: int, tail: str, elapsed: float) -> dict[str, Any]:
        if code == 0:
            return {"changed": True, "seconds": round(elapsed)}
        return {
            "failed": True,
            "rc": code,
            "msg": f"{args['command']} failed (exit code {code}): {last_words(tail)}\n"
            f"The whole log is on the server: {args['log']}",
        }
