# SPDX-License-Identifier: MIT
"""Command lines of strace: faults injected into a program, and logs of what it called."""

import re
import shutil

from cases import Skip


def command():
    path = shutil.which("strace")
    if path is None:
        raise Skip("there is no strace")
    return path


def injecting(call, what, when, log="/dev/null"):
    """Runs a program with `what` (signal=KILL, error=EIO, retval=1…) injected into a call; `when` counts per thread.

    Without --seccomp-bpf, under which strace 6.1 counts no call but the first.
    """
    return [command(), "-f", "-qq", "-o", log, "-e", f"trace={call}", "-e",
            f"inject={call}:{what}:when={when}", "-e", "signal=none"]


def logging(calls, log, strings=32):
    """Writes every one of these calls to a log, with the paths of descriptors and the time."""
    return [command(), "-f", "--seccomp-bpf", "-qq", "-yy", "-ttt", "-s", str(strings), "-x", "-o", log,
            "-e", "trace=" + calls, "-e", "signal=none"]


LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")


def calls(log):
    """Yields (time, thread, name, text) in the order in which the calls ended; one that never ended is left out."""
    begun = {}
    with open(log, errors="replace") as file:
        for line in file:
            match = LINE.match(line.rstrip("\n"))
            if not match:
                continue
            thread, moment, text = match.group(1), float(match.group(2)), match.group(3)
            resumed = RESUMED.match(text)
            if resumed:
                text = begun.pop(thread, resumed.group(1) + "(") + resumed.group(2)
            elif text.endswith("<unfinished ...>"):
                begun[thread] = text[:-len("<unfinished ...>")]
                continue
            yield moment, thread, text.split("(", 1)[0], text
