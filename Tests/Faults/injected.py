# SPDX-License-Identifier: MIT
"""Errors and lies of the system, injected at the n-th call, on both sides (T41, T42, T43, T47)."""

import os

import oracles
import trace
from cases import case
from kill_points import points
from programs import BareWorker
from rig import MIB

# What the laptop's disk may say, and the exit codes that tell it: 7 disk; 3 and 4 where the link or the start failed;
# 8 where the read-back found it; 5 and 1 where it was not the disk.
DISK = [
    ("pwrite64", "error=ENOSPC", (7,)), ("pwrite64", "error=EDQUOT", (7,)), ("pwrite64", "error=EIO", (7,)),
    ("pwrite64", "error=EROFS", (7,)), ("pwrite64", "error=EFBIG", (7, 1, 5)),
    ("ftruncate", "error=ENOSPC", (7,)), ("mkdirat", "error=ENOSPC", (7, 4)), ("mkdirat", "error=EDQUOT", (7, 4)),
    ("openat", "error=EMFILE", (1, 3, 4, 5, 7)), ("openat", "error=ENFILE", (1, 3, 4, 5, 7)),
    ("openat", "error=EIO", (1, 3, 4, 5, 7)), ("openat", "error=ENOSPC", (1, 3, 4, 5, 7)),
    ("syncfs", "error=EIO", (7,)), ("syncfs", "error=ENOSPC", (7,)), ("fsync", "error=EIO", (7, 3)),
    ("renameat2", "error=EIO", (7, 3)), ("renameat2", "error=ENOSPC", (7, 3)), ("unlinkat", "error=EIO", (7,)),
    ("pread64", "error=EIO", (7, 3)), ("fchmod", "error=EIO", (7, 3)), ("utimensat", "error=EIO", (7, 3)),
    ("flock", "error=EWOULDBLOCK", (1, 3, 4, 7)), ("flock", "error=ENOLCK", (1, 3, 4, 7)),
]
QUICK = [("pwrite64", "error=ENOSPC", (7,)), ("syncfs", "error=EIO", (7,)), ("pwrite64", "retval=1", (8, 3))]
# The call says that it has done less, or more, than it did.
LIES = [("pwrite64", "retval=1", (8, 3, 7)), ("pwrite64", "retval=4096", (8, 3, 7, 1)),
        ("pread64", "retval=0", (8, 3, 7)), ("pread64", "retval=1", (8, 3, 7, 1))]


@case("errors-daemon", "T42 T43", "each disk error at the n-th call of the daemon, then again without")
def errors_daemon(rig, result):
    with rig.site() as site:
        prepare(site, result, rig)
        for call, what, codes in rig.pick(QUICK, DISK + LIES):
            for number in points(rig.pick(3.0, 0.25, 0.02)):
                if number > rig.pick(20, 10**9):
                    break
                if not one_error(site, result, call, what, codes, number):
                    break
        oracles.nothing_outside(result, site, "at the end")


def prepare(site, result, rig):
    site.make_tree(result.random, budget=rig.pick(1, 4) * MIB, files=rig.pick(8, 20))
    site.make_file("tree/big.bin", rig.pick(6, 12) * MIB, result.random)


def one_error(site, result, call, what, codes, number):
    """False where the call was not made that often."""
    site.clear_inbox()
    when = f"daemon's {call} no. {number} {what}"
    log = os.path.join(site.base, "injected")
    worker = BareWorker(site, trace.injecting(call, what, number, log))
    outcome = site.run("-r", "tree") if worker.is_listening else None
    worker.stop()
    with open(log, errors="replace") as file:
        is_met = any("(INJECTED)" in line for line in file)
    if outcome is not None:
        result.check(outcome.status not in (-6, -11, -4), f"{when}: the sender trapped: {outcome}")
        oracles.truthful(result, site, outcome, codes, when)
    code = worker.process.returncode
    result.check(code >= 0 and code < 128, f"{when}: the daemon died with {code}")
    oracles.whole_or_absent(result, site, when)
    if is_met:
        fresh = BareWorker(site)
        again = site.run("-r", "tree")
        oracles.delivered(result, site, again, when + ", again")
        oracles.nothing_left(result, site, when + ", again")
        result.check(site.names() == ["tree"], f"O4 {when}: {site.names()}")
        fresh.stop()
    result.count("faults" if is_met else "runs without")
    return is_met


@case("interrupted-calls", "T41", "EINTR from the n-th call of either side: nobody notices")
def interrupted_calls(rig, result):
    calls = ["openat", "read", "pread64", "pwrite64", "write", "writev", "fsync", "syncfs", "connect", "accept4",
             "epoll_wait", "flock", "ftruncate", "getdents64"]
    with rig.site() as site:
        prepare(site, result, rig)
        log = os.path.join(site.base, "injected")
        for call in calls:
            for number in points(rig.pick(3.0, 1.0, 0.2), first(call)):
                site.clear_inbox()
                worker = BareWorker(site, trace.injecting(call, "error=EINTR", number, log))
                outcome = site.run("-r", "tree") if worker.is_listening else None
                worker.stop()
                if not met(log):
                    break
                result.count("faults")
                when = f"daemon's {call} no. {number} EINTR"
                if result.check(outcome is not None, f"{when}: it did not start"):
                    oracles.delivered(result, site, outcome, when)
        worker = BareWorker(site)
        for call in calls:
            for number in points(rig.pick(3.0, 1.0, 0.2), first(call)):
                site.clear_inbox()
                outcome = site.run("-r", "tree", environment={"RTUN_SINGLE_THREADED": "1"},
                                   trace=trace.injecting(call, "error=EINTR", number, log))
                if not met(log):
                    break
                result.count("faults")
                oracles.delivered(result, site, outcome, f"sender's {call} no. {number} EINTR")
        worker.stop()


def first(call):
    """The first of a thread may be the runtime's own: a static program finds its arguments in /proc/self/maps."""
    return 4 if call in ("openat", "read") else 1


def met(log):
    with open(log, errors="replace") as file:
        return any("(INJECTED)" in line for line in file)


@case("errors-sender", "T47", "each read error at the n-th call of the sender: the others arrive, code 5 lists it")
def errors_sender(rig, result):
    faults = [("openat", "EACCES"), ("openat", "EIO"), ("openat", "ESTALE"), ("openat", "EMFILE"), ("openat", "ENOENT"),
              ("pread64", "EIO"), ("pread64", "ESTALE"), ("getdents64", "EIO"), ("newfstatat", "EIO"),
              ("newfstatat", "EACCES"), ("fstat", "EIO")]
    with rig.site() as site:
        prepare(site, result, rig)
        site.start()
        log = os.path.join(site.base, "injected")
        for call, error in faults:
            for number in points(rig.pick(3.0, 0.3, 0.02), first(call)):
                site.clear_inbox()
                when = f"sender's {call} no. {number} {error}"
                outcome = site.run("-r", "tree", environment={"RTUN_SINGLE_THREADED": "1"},
                                   trace=trace.injecting(call, f"error={error}", number, log))
                if not met(log):
                    break
                result.count("faults")
                if outcome.status == 0:
                    oracles.same(result, site, when + ", which said OK")
                elif outcome.status == 5:
                    result.check(len(outcome.problems) >= 1, f"{when}: 5, and nothing is listed")
                    listed_or_there(result, site, outcome, when)
                else:
                    # Before the walk begins the program itself may be unable to start.
                    result.check(outcome.status in (1, 3, 4, 64, 127), f"O5 {when}: {outcome}")
                    result.check(outcome.err.strip(), f"O5 {when}: no cause was told")
                    result.count("ended with another code")
                    oracles.whole_or_absent(result, site, when)
        result.check(site.daemon.is_running(), "O2: the daemon died")


def listed_or_there(result, site, outcome, when):
    """Exit 5: what is not listed has arrived whole, and what is listed is absent."""
    import trees
    listed = [problem.get("path", "") for problem in outcome.problems]
    for path in trees.entries(site.path()):
        if any(("tree/" + path).startswith(name.rstrip("/")) or name.rstrip("/").endswith(path) and path
               for name in listed):
            continue
        one, other = os.path.join(site.path(), path), os.path.join(site.arrived(), path)
        if not os.path.lexists(other):
            result.check(False, f"O5 {when}: {path!r} is neither there nor listed ({listed})")
        elif os.path.isfile(one) and not os.path.islink(one):
            result.check(trees.same_bytes(one, other), f"O4 {when}: {path!r} differs")
