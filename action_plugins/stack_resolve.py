"""Resolve a stack on the controlling machine, without a connection to any host. The rules: neurobatch.stacks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# The package of this checkout, whichever Python runs Ansible and whatever is installed there.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from neurobatch import stacks  # noqa: E402


class ActionModule(ActionBase):  # type: ignore[misc]
    """Return the merged stack under `stack`, or fail with one sentence."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"name", "stack_dirs"})

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resolve the stack `name` in the shipped directory and in `stack_dirs`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result["stack"] = stacks.resolve(self._task.args["name"], self._task.args.get("stack_dirs", []))
        except stacks.StackError as error:
            result.update(failed=True, msg=str(error))
        return result
