"""Run a Python function on the rehearsal's server, as root and over SSH, and get its answer back."""

from __future__ import annotations

import inspect
import json
import textwrap
import time
from collections.abc import Callable
from typing import Any

from tests.rehearsal import server
from tests.rehearsal.common import Refusal, run, wait_until
from tests.rehearsal.instance import Instance


def call(instance: Instance, function: Callable[..., Any], *args: Any, timeout: float = 60) -> Any:
    """Return what ``function(*args)`` returns on the server.

    Args:
        instance: whose server.
        function: stands alone, imports included: its source is sent, and nothing beside it. Python >= 3.9.
        args: JSON values; they travel over standard input and appear in no process list.
        timeout: seconds.

    Raises:
        Refusal: the function raised something; carries the traceback.
    """
    source = textwrap.dedent(inspect.getsource(function))
    program = (
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n{source}\n"
        f"print(json.dumps({function.__name__}(*json.loads({json.dumps(json.dumps(args))}))))\n"
    )
    command = server.ssh_command(instance.names.state_dir, instance.state["server_ip"])
    return json.loads(run([*command, "sudo -n /usr/bin/python3 -"], stdin=program.encode(), timeout=timeout).stdout)


def root(instance: Instance, command: str, *, check: bool = True, timeout: float = 120) -> str:
    """Return what a shell command prints on the server, run as root; the command itself goes over standard input."""
    ssh = server.ssh_command(instance.names.state_dir, instance.state["server_ip"])
    return run([*ssh, "sudo -n /bin/sh -s"], stdin=command.encode(), check=check, timeout=timeout).stdout.strip()


def token(instance: Instance) -> str:
    """Return JupyterLab's token, read on the server as its administrator does."""
    return root(instance, "cat /etc/neurobatch/secrets/neurodesktop/jupyter_token")


def http(address: str, port: int, path: str, headers: dict[str, str]) -> list[Any]:
    """Return status and body of a GET as the server itself sees it; status 0 and the reason where nothing answers."""
    from http import client

    connection = client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return [response.status, response.read().decode(errors="replace")]
    except (OSError, client.HTTPException) as error:
        return [0, str(error)]
    finally:
        connection.close()


def await_pipelines(instance: Instance, seconds: float) -> None:
    """Wait until the pipeline API answers through the forward.

    Raises:
        Refusal: it did not within ``seconds``.
    """
    path = "/apis/v2beta1/healthz"
    wait_until(
        lambda: call(instance, http, "127.0.0.1", 31380, path, {})[0] == 200,
        "The pipeline API",
        seconds=seconds,
        every=2,
    )


def await_jupyter(instance: Instance, secret: str, seconds: float) -> float:
    """Return the seconds that JupyterLab took to answer a request with the token.

    Raises:
        Refusal: it did not within ``seconds``; carries the unit's journal.
    """
    started = time.monotonic()
    headers = {"Authorization": f"token {secret}"}
    while True:
        status, said = call(instance, http, "127.0.0.1", 8888, "/api/status", headers)
        taken = time.monotonic() - started
        if status == 200:
            return taken
        if taken > seconds:
            journal = root(instance, "journalctl --unit=neurodesktop.service --lines=30 --no-pager", check=False)
            raise Refusal(f"JupyterLab does not answer after {seconds:.0f} s ({status} {said[:200]}):\n{journal}")
        time.sleep(1)
