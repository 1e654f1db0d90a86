# SPDX-License-Identifier: MIT
"""Counts, by strace, what the daemon does so that OK means durable and verified."""

import os
import re
import shutil
import signal
import subprocess
import time

import measure

TRACED = "syncfs,fsync,fdatasync,sync_file_range,write,writev,pwrite64,pwritev,pwritev2,read,pread64,preadv,mmap," \
    "rename,renameat,renameat2"
SYNCS = ("syncfs", "fsync", "fdatasync")
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
READS = ("read", "pread64", "preadv")
CALL = re.compile(r"^(\d+) +(\w+)\((?:\d+<([^>]*)>)?")
RETURNED = re.compile(r"= (-?\d+)")


def inspect(rig, source):
    """Sends `source` with the daemon under strace; returns calls and bytes, or why they could not be counted."""
    if shutil.which("strace") is None:
        return {"skipped": "there is no strace here"}
    log = os.path.join(rig.memory, "strace")
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-qq", "-s", "0", "-e", "trace=" + TRACED, "-o", log, "-p", str(rig.worker)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while measure.first_line(f"/proc/{rig.worker}/status", "TracerPid") in ("", "0"):
        if tracer.poll() is not None or time.monotonic() > deadline:
            return {"skipped": "strace may not attach here"}
        time.sleep(0.02)
    # The other threads are attached one after the other.
    time.sleep(0.3)
    environment = {**rig.on_server, "RTUN_SOCK": rig.remote}
    outcome = measure.run([rig.binary, "send", "--json", "-r", source], environment, rig.memory, 300)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    outcome.require_success("rtun send under strace")
    return summarize(log, os.path.realpath(rig.inbox))


def joined_lines(log):
    """The calls of a log, with those that another thread interrupted put together again."""
    begun = {}
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            pid = line.split(" ", 1)[0]
            if "<unfinished ...>" in line:
                begun[pid] = line.replace("<unfinished ...>", "").rstrip("\n")
            elif " resumed>" in line:
                yield begun.pop(pid, "") + line.split(" resumed>", 1)[1]
            else:
                yield line


def summarize(log, inbox):
    syncs = dict.fromkeys(SYNCS, 0)
    order = []
    total = {"writes": 0, "bytes_written": 0, "reads_back": 0, "bytes_read_back": 0, "renames": 0}
    for line in joined_lines(log):
        call = CALL.match(line)
        if not call:
            continue
        name, path = call[2], call[3] or ""
        returned = RETURNED.findall(line)
        count = int(returned[-1]) if returned else 0
        if count < 0:
            continue
        if name in SYNCS:
            syncs[name] += 1
            order.append("sync")
        elif name.startswith("rename"):
            total["renames"] += 1
            order.append("rename")
        elif path.startswith(inbox):
            if name in WRITES:
                total["writes"] += 1
                total["bytes_written"] += count
            elif name in READS:
                total["reads_back"] += 1
                total["bytes_read_back"] += count
    last_rename = len(order) - 1 - order[::-1].index("rename") if "rename" in order else None
    return {
        **syncs, **total,
        "synced_before_last_rename": last_rename is not None and "sync" in order[:last_rename],
        "synced_after_last_rename": last_rename is not None and "sync" in order[last_rename:],
    }
