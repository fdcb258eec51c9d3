"""README and docs name only what exists: links, files, make targets, commands, variables; generated parts are fresh."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from neurobatch import cli, docpages, specs, stacks
from neurobatch import preflight as checks
from neurobatch.pages import preflight

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "tests" / "rehearsal" / "README.md"]
NAMES = [str(page.relative_to(PROJECT)) for page in PAGES]
ROLES = specs.load()
KNOBS = specs.settable(ROLES)
_TOP = r"roles|scripts|tests|stacks|docs|playbooks|inventories|requirements|molecule|action_plugins|filter_plugins|\.ci"
_PATH = re.compile(rf"(?<![\w/~.-])(?:{_TOP})/[\w./*-]*")
#: A playbook run: its options and the playbooks, up to the end of the command.
_PLAY = re.compile(r"(?:ansible-playbook|ansible-inventory) ([^\n`;|]+)")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code(page: Path) -> Iterator[str]:
    """Yield the lines of fenced blocks and every inline code."""
    fenced = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
    for block in fenced.findall(text(page)):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", fenced.sub("", text(page)))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def ours(path: str, beside: Path = PROJECT) -> bool:
    """Tell whether a path is there, or is one that an operator or a run makes (and git ignores)."""
    if any(any(base.glob(path.rstrip("/."))) for base in (PROJECT, beside)):
        return True
    ignored = ["git", "-C", str(PROJECT), "check-ignore", "--quiet", "--no-index"]
    return any(subprocess.run([*ignored, name], check=False).returncode == 0 for name in (path, f"{path}/hosts.yml"))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_relative_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.is_file() or (anchor and anchor not in anchors(other)):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_are_there(page: Path) -> None:
    named = {match for line in code(page) for match in _PATH.findall(line) if "NAME" not in match}
    assert sorted(path for path in named if not ours(path, page.parent)) == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_make_targets_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {match for line in code(page) for match in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", line)}
    assert named - targets == set()


def asked_by(playbook: Path) -> dict[str, object]:
    """Return the variables that a playbook has of its own."""
    plays = yaml.safe_load(playbook.read_text())
    return {
        name: None
        for play in plays
        for name in [*play.get("vars", {}), *(each["name"] for each in play.get("vars_prompt", []))]
    }


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_playbook_commands_name_what_exists(page: Path) -> None:
    for line in code(page):
        for arguments in _PLAY.findall(line):
            words = arguments.split(" #")[0].split()
            playbooks = [word for word in words if word.endswith(".yml")]
            assert all((PROJECT / playbook).is_file() for playbook in playbooks), line
            for option, value in pairwise(words):
                if option == "--tags":
                    assert value in ROLES, line
                if option == "-e":
                    assert value.split("=")[0] in KNOBS | asked_by(PROJECT / playbooks[0]), line


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_variables_are_ours(page: Path) -> None:
    prefix = re.compile(rf"\b(?:{'|'.join(ROLES)})_[a-z_]+\b")
    named = {match for line in code(page) for match in prefix.findall(line) if "/" not in line}
    assert named - set(KNOBS) - {name for name, _ in preflight.SLIPS} == set()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_of_ours_are_understood(page: Path) -> None:
    for line in code(page):
        if line.startswith("neurobatch "):
            cli.parser().parse_args(line.split()[1:])


def test_these_checks_see_commands() -> None:
    lines = [line for page in PAGES for line in code(page)]
    assert sum("ansible-playbook" in line for line in lines) > 10
    assert sum(line.startswith("neurobatch ") for line in lines) >= 3
    assert sum(bool(_PATH.search(line)) for line in lines) > 100
    assert not ours("roles/nobody/README.md")
    assert ours("inventories/mylab")


def test_generated_pages_are_current() -> None:
    assert [str(path) for path in docpages.outdated()] == [], "run: make docs"


def test_every_check_of_preflight_is_in_the_tables() -> None:
    refused = {finding.check for _, finding in preflight.sick() if finding.severity == "refuse"}
    assert refused == {
        "architecture", "os", "container", "systemd", "x86-64-v2", "kernel", "cpus", "memory", "rights", "disk", "port",
        "cluster", "docker", "mysqld", "clock", "proxy", "cvmfs",
    }  # fmt: skip
    warned = {finding.check for _, finding in preflight.sick() if finding.severity == "warn"}
    assert warned >= {"size", "disk", "port", "docker", "apptainer", "inotify", "clock", "names", "proxy"}
    assert refused | warned == set(checks.CHECKS)
    # Every red line has its fix: in the remedy, or in the sentence itself.
    assert [row for _, row in preflight.sick() if not row.remedy] == []
    assert len({name for name, _ in preflight.sick()}) + len(preflight.SLIPS) >= 25
    assert [slip for slip, said in preflight.slips() if not said] == []


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- inventory -->"):
        docpages.fill("# A page\n", {"inventory": "x"})


def test_the_site_stack_of_the_docs_works(tmp_path: Path) -> None:
    match = re.search(r"```yaml\n# mylab-1\.yml\n(.*?)```", text(PROJECT / "docs" / "stacks.md"), re.DOTALL)
    assert match
    (tmp_path / "mylab-1.yml").write_text(match[1])
    stack = stacks.resolve("mylab-1", [tmp_path])
    written = yaml.safe_load(match[1])["neurodesktop"]
    assert stack["origin"] == "site, derived from kfp-2.0.0"
    assert stack["neurodesktop"]["repo"] == written["repo"]
    parent = stacks.resolve("kfp-2.0.0")["neurodesktop"]
    [(package, version)] = written["constraints"].items()
    assert stack["neurodesktop"]["constraints"] == {**parent["constraints"], package: version}
    assert parent["constraints"][package] != version


def test_the_components_table_leaves_no_supported_system_out() -> None:
    readme = text(PROJECT / "README.md")
    for system in ("Debian 12", "Debian 13", "Ubuntu 22.04", "Ubuntu 24.04", "RHEL 9"):
        assert re.search(rf"^\|.*{re.escape(system)}.*\|$", readme, re.MULTILINE), system
