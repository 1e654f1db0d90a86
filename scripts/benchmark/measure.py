# SPDX-License-Identifier: MIT
"""Runs commands, and says what they took: time, CPU of every process involved, memory."""

import os
import platform
import resource
import signal
import statistics
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """A command that did not do what was asked; the text is for the reader."""


# What may go wrong in one run without being a mistake here; the other runs go on.
TROUBLE = (Failure, OSError, LookupError, subprocess.SubprocessError)


class Outcome:
    """One finished command. Seconds; CPU seconds of it and of what it waited for; the largest of them in KiB."""

    def __init__(self, seconds, usage, status, output, errors):
        self.seconds = seconds
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_kib = usage.ru_maxrss
        self.status = status
        self.output = output
        self.errors = errors

    def require_success(self, what):
        if self.status != 0:
            tail = (self.errors or self.output).strip()[-400:]
            raise Failure(f"{what}: exit {self.status}: {tail}")
        return self


def run(arguments, environment, scratch, limit=900, on_start=None):
    """Runs a command to its end, with its output in files below `scratch`; after `limit` seconds it is killed."""
    paths = [os.path.join(scratch, name) for name in ("out", "err")]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_OPEN, 1 + index, path, flags, 0o600) for index, path in enumerate(paths)]
    start = time.perf_counter()
    pid = os.posix_spawnp(arguments[0], arguments, environment, file_actions=actions, setpgroup=0)
    timer = threading.Timer(limit, kill_group, [pid])
    timer.daemon = True
    timer.start()
    try:
        if on_start:
            on_start()
        _, status, usage = os.wait4(pid, 0)
    except BaseException:
        kill_group(pid)
        raise
    finally:
        timer.cancel()
    seconds = time.perf_counter() - start
    texts = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            texts.append(file.read(1 << 20))
    return Outcome(seconds, usage, os.waitstatus_to_exitcode(status), *texts)


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def family(pid):
    """The process and everything below it."""
    members = [pid]
    for child in children(pid):
        members += family(child)
    return members


def family_cpu(pid):
    """CPU seconds of a process, of all that lives below it, and of all that they have waited for (proc(5), stat)."""
    total = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += sum(int(fields[index]) for index in (11, 12, 13, 14))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / TICK


def peak_kib(pid):
    """The most memory that a process had at once (VmHWM)."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def read_bytes(pid):
    """What a process has read so far, from files and sockets (proc(5), io)."""
    try:
        with open(f"/proc/{pid}/io") as file:
            return int(file.readline().split()[1])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def own_peak_kib():
    """What a child's `peak_kib` cannot fall below: it counts this program's memory until the child is itself."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def first_line(path, prefix=""):
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(prefix):
                    return line[len(prefix):].strip(" \t:\n\"")
    except OSError:
        pass
    return ""


def machine():
    memory = first_line("/proc/meminfo", "MemTotal").split()
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": first_line("/proc/cpuinfo", "model name"),
        "memory_gib": round(int(memory[0]) / (1 << 20), 1) if memory else 0,
        "kernel": platform.release(),
        "system": first_line("/etc/os-release", "PRETTY_NAME="),
        "load_before": round(os.getloadavg()[0], 2),
    }


def median(values):
    return statistics.median(values) if values else None
