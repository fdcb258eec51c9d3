"""Run one notebook or script for one subject, inside a step, in the subject's folder, with a last word on how it went.

Arguments: the job file (written by whoever submitted), where an archive of the results goes (a file), and that file's
address in the object store. Everything else is beside the job file: log.txt grows while the notebook runs, status.json
says when it began and how it ended, the executed notebook and the outputs stay there. Notebooks go through papermill.

Ends with 0, or 1 when the notebook failed or an output is missing, 2 when it could not begin, 3 when its time was over.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from typing import Any, TextIO

ARCHIVE_LIMIT = 100 * 2**20
"""Bytes of outputs that also go to the object store; all of them are in the storage in any case."""
ADDED = {"injected-parameters", "papermill-error-cell-tag"}
"""Tags of cells that papermill adds to the executed notebook."""


def main() -> int:
    """Run the job and return the exit code."""
    job_path, archive, address = sys.argv[1:4]
    try:
        with open(job_path, encoding="utf-8") as stream:
            job = json.load(stream)
        os.chdir(job["folder"])
        log = open("log.txt", "a", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed below
    except (OSError, ValueError, KeyError) as error:
        print(f"NEUROBATCH: the job {job_path} cannot be used as user {os.getuid()}: {error}", flush=True)
        return 2
    step = Step(job, log)
    signal.signal(signal.SIGTERM, step.end)
    try:
        step.note(state="running")
        step.run()
        step.keep(archive, address)
    except EndedError as end:
        step.say(f"NEUROBATCH: {end}")
        step.note(state=end.state, reason=str(end), cell=end.cell, ended=time.time())
        return end.code
    finally:
        step.own()
        log.close()
    return 0


class EndedError(Exception):
    """The notebook did not succeed; the text says why, ``cell`` where."""

    def __init__(self, text: str, code: int = 1, cell: str = "", state: str = "failed") -> None:
        """Keep the program's exit code, the cell and the state beside the text."""
        Exception.__init__(self, text)
        self.code, self.cell, self.state = code, cell, state


class Step:
    """A job under way."""

    def __init__(self, job: dict[str, Any], log: TextIO) -> None:
        """Begin the job in its folder, which is the current one."""
        self.job, self.log = job, log
        name = os.path.basename(job["notebook"])
        #: What papermill writes; a script leaves only what it prints.
        self.executed = name if name.endswith(".ipynb") else ""
        self.started = time.time()
        self.status: dict[str, Any] = {}
        self.child: subprocess.Popen[str] | None = None
        self.told_to_end = False
        self.folder = os.stat(".")

    def say(self, line: str) -> None:
        """Print a line to the step's log and to the one in the storage."""
        print(line, flush=True)
        self.log.write(line + "\n")
        self.log.flush()

    def note(self, **more: Any) -> None:
        """Write status.json anew, whole."""
        known = {"key": self.job["key"], "started": self.started, "host": os.uname().nodename}
        self.status = dict(self.status, **known)
        self.status.update(more)
        with open(".status.json.new", "w", encoding="utf-8") as stream:
            json.dump(self.status, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(".status.json.new", "status.json")

    def end(self, *_: Any) -> None:
        """Pass the end on to the notebook."""
        self.told_to_end = True
        self.kill()

    def kill(self) -> None:
        """End the notebook and its kernel."""
        if self.child and self.child.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, signal.SIGKILL)

    def run(self) -> None:
        """Execute the notebook; raise where it, or what it promised, failed."""
        with open("parameters.json", "w", encoding="utf-8") as stream:
            json.dump(self.job["parameters"], stream, indent=1)
        path = [self.job["notebook_dir"], *filter(None, [os.environ.get("PYTHONPATH")])]
        more = {"NEUROBATCH_SUBJECT": self.job["subject"], "NEUROBATCH_RUN": self.job["run"]}
        more.update(NEUROBATCH_FOLDER=self.job["folder"], PYTHONPATH=os.pathsep.join(path), PYTHONUNBUFFERED="1")
        # Without a home that it may write, Jupyter ends before the first cell.
        if not os.access(os.path.expanduser("~"), os.W_OK):
            more["HOME"] = "/tmp"  # noqa: S108
        more.update(self.job.get("env") or {})
        for source in self.job.get("inputs") or []:
            take(source["folder"], source["patterns"])
        command = self.command()
        self.say(f"{self.job['subject']}, attempt {self.job['attempt']}, on {os.uname().nodename}")
        try:
            self.child = subprocess.Popen(
                command,
                env=dict(os.environ, **more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise EndedError(f"this image has no {command[0]}; --image names another one", 2) from error
        late = threading.Event()

        def time_is_over() -> None:
            late.set()
            self.kill()

        clock = threading.Timer(self.job["timeout"] or 10**7, time_is_over)
        clock.daemon = True
        clock.start()
        last = ""
        for line in self.child.stdout or ():
            self.say(line.rstrip("\n"))
            last = line.strip() or last
        code = self.child.wait()
        clock.cancel()
        where, what = self.trouble()
        within = f" in {where}" if where else ""
        if self.told_to_end:
            raise EndedError(f"ended from outside{within}", cell=where, state="ended")
        if late.is_set():
            raise EndedError(f"not over after {self.job['timeout']:g} s, ended{within}", 3, where)
        if code:
            told = beginning(code, last) if self.executed else f"{command[-1]} ended with exit code {code}: {last}"
            raise EndedError(f"{where}: {what}" if where else told, cell=where)
        missing = [name for name in self.job["outputs"] if not glob.glob(name, recursive=True)]
        if missing:
            raise EndedError(f"the declared output {', '.join(missing)} was not written")

    def command(self) -> list[str]:
        """Return what runs the notebook, or the script by its ending."""
        path = self.job["notebook"]
        if self.executed:
            command = [sys.executable, "-m", "papermill", path, self.executed, "--cwd", ".", "--log-output"]
            return [*command, "--no-progress-bar", "--parameters_file", "parameters.json", *self.kernel()]
        return ["Rscript" if path.lower().endswith(".r") else sys.executable, path]

    def kernel(self) -> list[str]:
        """Return the option for a kernel of the notebook's language where the image lacks the one that it names."""
        try:
            with open(self.job["notebook"], encoding="utf-8") as stream:
                wanted = json.load(stream).get("metadata", {}).get("kernelspec", {})
        except (OSError, ValueError) as error:
            raise EndedError(f"the notebook cannot be read: {error}", 2) from error
        try:
            from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415 - the image's

            specs = KernelSpecManager().get_all_specs()
        except Exception as error:
            raise EndedError(f"this image cannot run notebooks: {error}; --image names another one", 2) from error
        if wanted.get("name") in specs:
            return []
        language = str(wanted.get("language") or "python").lower()
        for name in sorted(specs):
            if specs[name]["spec"].get("language", "").lower() == language:
                return ["--kernel", name]
        raise EndedError(f"this image has no kernel for {language}, only {', '.join(sorted(specs)) or 'none'}", 2)

    def trouble(self) -> tuple[str, str]:
        """Return which cell failed or was under way, as people count, and its error."""
        try:
            with open(self.executed, encoding="utf-8") as stream:
                cells = json.load(stream)["cells"]
        except (OSError, ValueError, KeyError):
            return "", ""
        number = 0
        for cell in cells:
            metadata = cell.get("metadata", {})
            if ADDED & set(metadata.get("tags", [])):
                continue
            number += 1
            errors = [each for each in cell.get("outputs", []) if each.get("output_type") == "error"]
            if errors or metadata.get("papermill", {}).get("status") in ("failed", "running"):
                source = cell.get("source", "")
                lines = ("".join(source) if isinstance(source, list) else source).strip().splitlines()
                count = f" (In [{cell['execution_count']}])" if cell.get("execution_count") else ""
                what = f"{errors[0].get('ename')}: {errors[0].get('evalue')}" if errors else "it was running"
                return f"cell {number}{count} `{lines[0][:60] if lines else ''}`", " ".join(what.split())[:400]
        return "", ""

    def keep(self, archive: str, address: str) -> None:
        """Put the executed notebook and the outputs into one archive for the object store."""
        files = [*filter(None, [self.executed]), "log.txt"]
        for name in self.job["outputs"]:
            for path in sorted(glob.glob(name, recursive=True)):
                inside = [os.path.join(base, file) for base, _, found in os.walk(path) for file in sorted(found)]
                files += inside if os.path.isdir(path) else [path]
        os.makedirs(os.path.dirname(archive), exist_ok=True)
        room, left = ARCHIVE_LIMIT, []
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, allowZip64=True, strict_timestamps=False) as packed:
            for path in dict.fromkeys(files):
                room -= os.path.getsize(path)
                if room < 0 and path != self.executed:
                    left.append(path)
                else:
                    packed.write(path)
        if left:
            self.say(f"in the storage only, for its size: {', '.join(left)}")
        seconds = time.time() - self.started
        self.say(f"done in {seconds:.0f} s")
        self.note(state="succeeded", ended=time.time(), archive=address, seconds=round(seconds, 1))

    def own(self) -> None:
        """Give all that was written here to the owner of the folder, where this runs as root."""
        if os.getuid():
            return
        for base, _, files in os.walk("."):
            for path in [base, *(os.path.join(base, name) for name in files)]:
                with contextlib.suppress(OSError):
                    os.chown(path, self.folder.st_uid, self.folder.st_gid, follow_symlinks=False)


def take(folder: str, patterns: list[str]) -> None:
    """Copy what fits the patterns below a folder to the same place below the current one; raise where nothing fits."""
    for pattern in patterns:
        found = sorted(glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True))
        if not found:
            raise EndedError(f"the input {pattern} is not in {folder}", 2)
        for path in found:
            target = os.path.relpath(path, folder)
            os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
            if os.path.isdir(path):
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copy2(path, target)


def beginning(code: int, last: str) -> str:
    """Return why papermill ended before any cell did."""
    if "No module named papermill" in last:
        return "this image has no papermill; --image names another one, the stack's runtime image has it"
    if "Kernel died" in last:
        return "its kernel died (no memory left? --memory gives it more)"
    if code < 0:
        return f"the notebook was killed by signal {-code} (9: out of memory?)"
    return f"papermill ended with exit code {code}: {last}"


if __name__ == "__main__":
    sys.exit(main())
