#!/usr/bin/python3
"""Runs a program with the system calls that a systemd unit leaves it, for where no systemd runs:

    scripts/confine.py UNIT PROGRAM ARG…

What SystemCallFilter= refuses fails with EPERM, as the unit says. Needs systemd-analyze and libseccomp (python3-seccomp)."""
import errno
import os
import subprocess
import sys

import seccomp


def calls(name):
    """The system calls of a group, or the one of that name."""
    if not name.startswith("@"):
        return {name}
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True,
                          env={**os.environ, "SYSTEMD_COLORS": "0"})
    members = [line.strip() for line in done.stdout.splitlines()[1:]]
    return set().union(*(calls(member) for member in members if member and not member.startswith("#")))


allowed = set()
with open(sys.argv[1], encoding="utf-8") as unit:
    for line in unit:
        key, _, value = line.strip().partition("=")
        if key == "SystemCallFilter":
            named = set().union(*(calls(word) for word in value.lstrip("~").split()))
            allowed = allowed - named if value.startswith("~") else allowed | named
if len(allowed) < 100:
    sys.exit(f"{sys.argv[1]} leaves {len(allowed)} system calls: that is not read right")
rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
for call in sorted(allowed):
    try:
        rules.add_rule(seccomp.ALLOW, call)
    except (RuntimeError, ValueError, OSError):
        pass  # of another architecture
rules.load()
os.execv(sys.argv[2], sys.argv[2:])
