"""Judge the inventory on the controlling machine, without a connection to any host. The rules: neurobatch.inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from neurobatch import clusters, contradictions, inventory, scope, specs, stacks

#: Facts that exist only once a host was asked; a variable built on them is judged by the role that reads it.
LATE = ("ansible_facts", "neurobatch_")
PASSWORDS = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass", "ansible_su_pass")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Fail with all problems of the inventory, or return the values of the variables asked for."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"knobs"})

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return stack (resolved), knobs (name to value or default), become_password (is there one), become_method."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        seen = task_vars or {}
        roles = specs.load()
        options = specs.settable(roles)
        problems = inventory.unknown(seen, options, roles, seen)
        values: dict[str, Any] = {}
        for name in sorted(options.keys() & seen.keys()):
            if seen[name] == options[name].spec.get("default"):
                continue
            try:
                values[name] = self._templar.template(seen[name])
            except AnsibleError as error:
                if not any(late in str(seen[name]) for late in LATE):
                    reason = " ".join(str(error).split()).rstrip(".")
                    problems.append(inventory.Problem(name, f"{name} cannot be evaluated: {reason}"))
        problems += inventory.wrong(values, options)
        value = scope.reader(self._templar, values, options)
        problems += inventory.wrong_doors(values)
        if not problems:
            # Only values that are well-formed, each for itself, can contradict each other.
            problems += contradictions.contradictions({name: value(name) for name in options})
        if not problems and value("cluster_kind") != "minikube":
            problems += self._kubeconfig(value("existing_cluster_kubeconfig"))
        if not scope.NAMES & {problem.variable for problem in problems}:
            try:
                result["stack"], *_ = candidates = scope.wish(value).candidates()
                problems += inventory.unpinned(candidates) if value("require_pins") else []
            except stacks.StackError as error:
                problems.append(inventory.Problem("stack", str(error)))
        if problems:
            result.pop("stack", None)  # hundreds of lines in front of what is wrong
            return {**result, "failed": True, "msg": inventory.report(problems, seen.get("inventory_hostname", ""))}
        return {
            **result,
            "knobs": {name: value(name) for name in self._task.args.get("knobs", [])},
            "become_password": bool(self._play_context.become_pass) or any(seen.get(name) for name in PASSWORDS),
            "become_method": seen.get("ansible_become_method") or self._play_context.become_method or "sudo",
        }

    def _kubeconfig(self, path: str) -> list[inventory.Problem]:
        """Return what is wrong with the kubeconfig of a cluster that is there; ansible-vault may have encrypted it."""
        name = "existing_cluster_kubeconfig"
        try:
            real = self._loader.get_real_file(path)
            text = Path(real).read_text(encoding="utf-8")
        except (AnsibleError, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            return [inventory.Problem(name, f"{name} cannot be read on this machine: {reason}")]
        finally:
            self._loader.cleanup_all_tmp_files()
        problem = clusters.kubeconfig_problem(text)
        return [inventory.Problem(name, f"{name} ({path}) {problem}")] if problem else []
