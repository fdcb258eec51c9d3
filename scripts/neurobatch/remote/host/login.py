"""Read who has logged in, and whether this user may become root."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess

from neurobatch.remote.common import TIMEOUT, Facts, login_user


def user_facts() -> Facts:
    """Return the user who logged in (the one behind sudo, when this runs through it)."""
    entry = login_user()
    groups = {grp.getgrgid(gid).gr_name for gid in os.getgrouplist(entry.pw_name, entry.pw_gid) if known_group(gid)}
    return {
        "name": entry.pw_name,
        "uid": entry.pw_uid,
        "gid": entry.pw_gid,
        "home": entry.pw_dir,
        "groups": sorted(groups),
        "runs_as": pwd.getpwuid(os.getuid()).pw_name,
    }


def known_group(gid: int) -> bool:
    """Tell whether a group number has a name."""
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True


def rights() -> Facts:
    """Return whether sudo is there and works without a password, and its own words when it does not."""
    facts: Facts = {"root": os.getuid() == 0, "sudo": bool(shutil.which("sudo")), "passwordless": True, "says": ""}
    if facts["root"]:
        return facts
    facts["passwordless"] = False
    if facts["sudo"]:
        try:
            run = subprocess.run(["sudo", "-n", "true"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return {**facts, "says": str(error)}
        facts["passwordless"] = run.returncode == 0
        facts["says"] = (run.stderr.strip().splitlines() or [""])[0].replace("sudo: ", "", 1)
    return facts
