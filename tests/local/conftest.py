"""An image with papermill, made here from Debian's packages and the stack's versions, and a study to run in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from neurobatch import stacks

from tests.rehearsal import engine, roots
from tests.rehearsal.names import cache_root
from tests.rehearsal.wheels import pip_environment
from tests.unit.batch_bench import notebook

TAG = "nb-rehearsal/papermill"
STACK = "kfp-2.5.0"
COMMAND = Path(sys.executable).with_name("neurobatch")
CELLS = (
    "subject = 'none'\nseconds = 0",
    "import pathlib, time\n"
    "data = pathlib.Path('/neurodesktop-storage/study/data', f'{subject}.txt').read_text()\n"
    "print(subject, 'has', data, flush=True)",
    "deadline = time.monotonic() + seconds\n"
    "while time.monotonic() < deadline:\n"
    "    print('working', flush=True)\n"
    "    time.sleep(0.5)",
    "pathlib.Path('result.txt').write_text(str(int(data) * 2))",
)


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """Make the image, and remove it afterwards (with NEUROBATCH_KEEP_IMAGE it stays for the next time)."""
    if os.environ.get("NEUROBATCH_KEEP_IMAGE") and engine.docker("images", "--quiet", TAG, check=False):
        yield TAG
        return
    cache = cache_root()
    engine.ensure(cache / "run")
    with engine.starting():
        root = roots.image(roots.NOTEBOOK, cache)
        versions = stacks.resolve(STACK, [])["neurodesktop"]["constraints"]
        pins = [f"{name}=={versions[name]}" for name in ("papermill", "ipykernel")]
        helper = f"{TAG.replace('/', '-')}-making"
        engine.docker("rm", "--force", helper, check=False)
        pip = ["/opt/conda/bin/python", "-m", "pip", "install", "--no-cache-dir", "--progress-bar=off", *pins]
        flags = [f"--name={helper}", *pip_environment(), f"--entrypoint={pip[0]}"]
        try:
            subprocess.run(["docker", "run", *flags, root, *pip[1:]], check=True, timeout=900)
            engine.docker("commit", "--change=ENTRYPOINT []", helper, TAG)
        finally:
            engine.docker("rm", "--force", helper, check=False)
    try:
        yield TAG
    finally:
        if not os.environ.get("NEUROBATCH_KEEP_IMAGE"):
            engine.docker("image", "rm", "--force", TAG, check=False)


class Study:
    """A storage folder with a notebook and four subjects, one of them without usable data."""

    def __init__(self, storage: Path, image: str) -> None:
        """Write it."""
        self.storage, self.image = storage, image
        self.home = storage / "study"
        (self.home / "data").mkdir(parents=True)
        (self.home / "double.ipynb").write_text(json.dumps(notebook(*CELLS)))
        names = [f"sub-{number}" for number in range(1, 5)]
        (self.home / "participants.tsv").write_text("subject\n" + "\n".join(names) + "\n")
        for number, name in enumerate(names, start=1):
            (self.home / "data" / f"{name}.txt").write_text("spoilt" if number == 3 else str(number))

    def argv(self, *words: str) -> list[str]:
        """Return the command line, which names no pipeline API."""
        verb, *more = words
        return [str(COMMAND), verb, f"--storage={self.storage}", "--kubeconfig=", *more]

    def neurobatch(self, *words: str, timeout: float = 300) -> tuple[int, str, str]:
        """Run the installed command in the study's folder; return exit code, output and errors."""
        done = subprocess.run(
            self.argv(*words), capture_output=True, text=True, check=False, timeout=timeout, cwd=self.home
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run the notebook locally and wait."""
        quick = (f"--image={self.image}", "--wait", "--interval=0.3")
        return self.neurobatch("run", "double.ipynb", "--local", *quick, *words)

    def containers(self) -> str:
        """Return the names of the containers that batches of this study have left."""
        uids = [json.loads(path.read_text())["uid"] for path in self.home.glob("results/*/batch.json")]
        named = (
            engine.docker("ps", "-a", f"--filter=label=neurobatch.batch={uid}", "--format={{.Names}}") for uid in uids
        )
        return " ".join(named).strip()


@pytest.fixture
def study(tmp_path: Path, image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """Yield a study; whatever a test leaves running is removed."""
    config = tmp_path / "config.json"
    config.write_text("{}")
    monkeypatch.setenv("NEUROBATCH_CONFIG", str(config))
    made = Study(tmp_path / "storage", image)
    yield made
    left = made.containers()
    if left:
        engine.docker("rm", "--force", *left.split())
    shutil.rmtree(made.storage)
