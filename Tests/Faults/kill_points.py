# SPDX-License-Identifier: MIT
"""SIGKILL at the n-th call of a kind, n = 1 until it ends without: of the daemon, its start, the sender."""

import os
import signal

import oracles
import trace
from cases import case
from programs import BareWorker
from relay import Relay
from rig import MIB

DAEMON_CALLS = ["openat", "mkdirat", "pwrite64", "write", "fchmod", "utimensat", "ftruncate", "pread64", "syncfs",
                "fsync,fdatasync", "renameat2,renameat", "unlinkat", "flock", "close"]
SENDER_CALLS = ["openat", "fstat,newfstatat,statx", "read,pread64", "getdents64", "connect", "write,writev,sendmsg",
                "epoll_wait", "close"]


def points(step, first=1):
    """1, 2, 3 … for ever, the distance growing with `step` (0: every number)."""
    at = float(first)
    while True:
        yield int(at)
        at = max(at + 1, at * (1 + step))


def killed(outcome):
    return outcome in (-signal.SIGKILL, 128 + signal.SIGKILL)


@case("kill-daemon", "T26", "SIGKILL of the daemon at the n-th file-system call, restart, resume", quick=True)
def kill_daemon(rig, result):
    step = rig.pick(3.0, 0.06, 0)
    calls = rig.pick(["pwrite64", "syncfs", "renameat2,renameat"], DAEMON_CALLS)
    budget = rig.pick(2 * MIB, 12 * MIB)
    with rig.site() as site:
        site.make_tree(result.random, budget=budget, files=rig.pick(12, 40))
        site.make_file("tree/big.bin", rig.pick(6, 24) * MIB, result.random)
        for call in calls:
            for number in points(step):
                site.clear_inbox()
                if not one_kill(site, result, call, number):
                    break
        oracles.nothing_outside(result, site, "at the end")


def one_kill(site, result, call, number):
    """False where the call was not made that often."""
    when = f"{call} no. {number}"
    worker = BareWorker(site, trace.injecting(call, "signal=KILL", number))
    with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
        outcome = site.run("-r", "tree", "--compress", "none", socket_path=relay.path) if worker.is_listening else None
        acked = relay.durable_bytes
    worker.stop()
    was_killed = killed(worker.process.returncode)
    is_published = bool(site.names())
    if outcome is not None:
        oracles.truthful(result, site, outcome, (3, 4), when)
    oracles.whole_or_absent(result, site, when)
    fresh = BareWorker(site)
    again = site.run("-r", "tree", "--compress", "none")
    oracles.delivered(result, site, again, when + ", again")
    oracles.nothing_left(result, site, when + ", again")
    result.check(site.names() == ["tree"], f"O4 {when}: {site.names()}")
    if not is_published:
        result.check(again.had >= acked, f"{when}: only {again.had:,} of {acked:,} acked bytes were there")
        result.count("of them behind acks", acked > 0)
    fresh.stop()
    result.count("kills" if was_killed else "runs without")
    return was_killed


@case("kill-start", "T32", "SIGKILL of a daemon that starts over an unfinished send, 10 deep at each call")
def kill_start(rig, result):
    with rig.site() as site:
        site.make_tree(result.random, budget=8 * MIB)
        for call in ["openat", "getdents64", "flock", "read,pread64", "unlinkat", "write", "close"]:
            for number in points(rig.pick(1.0, 0.1, 0)):
                site.clear_inbox()
                broken = BareWorker(site, trace.injecting("renameat2,renameat", "signal=KILL", 1))
                site.run("-r", "tree")
                broken.stop()
                died = 0
                for _ in range(10):
                    worker = BareWorker(site, trace.injecting(call, "signal=KILL", number))
                    if worker.is_listening:
                        worker.kill()
                        break
                    worker.kill()
                    died += 1
                result.count("kills", died)
                when = f"start, {call} no. {number}"
                oracles.whole_or_absent(result, site, when)
                fresh = BareWorker(site)
                outcome = site.run("-r", "tree")
                oracles.delivered(result, site, outcome, when)
                oracles.nothing_left(result, site, when)
                fresh.stop()
                if died == 0:
                    break


@case("kill-sender", "T28", "SIGKILL of the sender at the n-th call, then the same command again")
def kill_sender(rig, result):
    with rig.site() as site:
        site.make_tree(result.random, budget=8 * MIB, files=30)
        site.make_file("tree/big.bin", 16 * MIB, result.random)
        daemon = site.start()
        for call in rig.pick(["read,pread64"], SENDER_CALLS):
            for number in points(rig.pick(1.0, 0.1, 0)):
                site.clear_inbox()
                when = f"sender's {call} no. {number}"
                outcome = site.run("-r", "tree", trace=trace.injecting(call, "signal=KILL", number),
                                   environment={"RTUN_SINGLE_THREADED": "1"})
                was_killed = killed(outcome.status)
                if not was_killed:
                    oracles.truthful(result, site, outcome, (), when)
                oracles.whole_or_absent(result, site, when)
                again = site.run("-r", "tree")
                oracles.delivered(result, site, again, when + ", again")
                oracles.nothing_left(result, site, when + ", again")
                result.count("kills" if was_killed else "runs without")
                if not was_killed:
                    break
        result.check(daemon.is_running(), "O2: the daemon died")
        oracles.bounded(result, daemon.worker(), "daemon")
        oracles.nothing_outside(result, site, "at the end")
