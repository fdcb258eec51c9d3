"""What every module here needs: refusals, progress lines with elapsed seconds, subprocesses, locks."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_START = time.monotonic()


class Refusal(Exception):  # noqa: N818  # it is an answer, not a defect
    """The rehearsal cannot go on; the message is one sentence that says what to do about it."""


def say(text: str) -> None:
    """Print one progress line on stderr, so that stdout stays free for what a caller asked for."""
    print(f"[{time.monotonic() - _START:5.0f} s] {text}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return it with its output as text.

    Raises:
        Refusal: the command is not installed, or failed while ``check`` is set; carries the end of its stderr.
    """
    try:
        done = subprocess.run(list(argv), input=stdin, capture_output=True, env=env, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise Refusal(f"The command `{argv[0]}` is needed and not installed.") from error
    except subprocess.TimeoutExpired as error:
        raise Refusal(f"`{' '.join(argv[:4])} …` gave no answer in {timeout:.0f} s.") from error
    result = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if check and result.returncode != 0:
        tail = "\n".join((result.stderr or result.stdout).strip().splitlines()[-12:])
        raise Refusal(f"`{' '.join(argv[:6])} …` failed with code {result.returncode}:\n{tail}")
    return result


def run_logged(
    argv: Sequence[str],
    log: Path,
    what: str,
    *,
    note: Callable[[], str] | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Run a long command into a log file, and say every 15 s that it is alive.

    Args:
        argv: the command.
        log: where its output goes (replaced).
        what: how progress lines call it.
        note: what to add to a progress line, for example how much there is already.
        env: the command's environment, if not ours.

    Raises:
        Refusal: the command failed; carries the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()

    def heartbeat() -> None:
        while not stop.wait(15):
            say(f"  … still {what}{': ' + note() if note else ''}")

    pulse = threading.Thread(target=heartbeat, daemon=True)
    pulse.start()
    try:
        with log.open("wb") as out:
            code = subprocess.run(
                list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, check=False
            ).returncode
    except FileNotFoundError as error:
        raise Refusal(f"The command `{argv[0]}` is needed and not installed.") from error
    finally:
        stop.set()
        pulse.join()
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:])
        raise Refusal(f"{what} failed with code {code}; the log {log} ends with:\n{tail}")


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock, saying so when another process has it and we wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is {what}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def wait_until(probe: Callable[[], bool], what: str, *, seconds: float, every: float = 0.3) -> None:
    """Call ``probe`` until it is true.

    Raises:
        Refusal: it was not true within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > end:
            raise Refusal(f"{what} did not happen within {seconds:.0f} s.")
        time.sleep(every)
