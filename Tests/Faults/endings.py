# SPDX-License-Identifier: MIT
"""How things end and begin again: signals, versions on disk, clocks, rot, many random trees, a long run."""

import os
import shutil
import signal
import struct
import subprocess
import time

import oracles
import trees
from cases import case
from programs import status_field, wait_for
from relay import Relay
from rig import MIB


@case("stopped", "T60", "SIGTERM and SIGINT to sender and daemon in the middle of a send")
def stopped(rig, result):
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", 200 * MIB, result.random)
        for victim, number, code in [("sender", signal.SIGTERM, 4), ("sender", signal.SIGHUP, 4),
                                     ("sender", signal.SIGINT, 130), ("daemon", signal.SIGTERM, 4),
                                     ("worker", signal.SIGTERM, 4)]:
            what = f"{number.name} to the {victim}"
            site.ensure_daemon()
            site.clear_inbox()
            sender = site.send("big.bin", "--compress", "none")
            wait_for(60, "a journal", lambda: site.journal_bytes() > 64 or not sender.is_running())
            began = time.monotonic()
            pid = {"sender": sender.pid, "daemon": site.daemon.process.pid, "worker": site.daemon.worker()}[victim]
            os.kill(pid, number)
            outcome = sender.finish(20)
            took = time.monotonic() - began
            result.check(outcome.status == code, f"O5 {what}: {outcome}")
            result.check(took <= 5, f"{what}: {took:.1f} s")
            result.check("to go on: rtun send --resume " in outcome.err, f"{what}: it does not say how to go on: {outcome.err.strip()}")
            oracles.whole_or_absent(result, site, what, "big.bin")
            if victim == "daemon":
                wait_for(10, "the daemon to end", lambda: site.daemon.process.poll() is not None)
                ended = site.daemon.process.returncode
                result.check(ended == 0, f"{what}: it ended with {ended}")
                result.check(not os.path.exists(site.daemon_socket), f"{what}: its socket is left")
            # Behind a worker that was told to end its supervisor may end, too.
            wait_for(20, "the daemon", lambda: (site.ensure_daemon() or site.daemon.worker() != pid)
                     and site.daemon.answers())
            again = site.run("big.bin", "--compress", "none")
            oracles.delivered(result, site, again, what + ", again", "big.bin")
            result.check(again.had > 0, f"{what}: nothing was there behind it")
            oracles.nothing_left(result, site, what + ", again")
            result.count("signals")


@case("second-signal", "T60", "a second SIGTERM ends the sender at once, also on a frozen link")
def second_signal(rig, result):
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", 100 * MIB, result.random)
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
            for number in (signal.SIGTERM, signal.SIGINT):
                sender = site.send("big.bin", socket_path=relay.path)
                wait_for(60, "acks", lambda: relay.durable_bytes > 0 or not sender.is_running())
                relay.freeze()
                os.kill(sender.pid, number)
                sender.wait(0.3)
                began = time.monotonic()
                if sender.is_running():
                    os.kill(sender.pid, number)
                sender.wait(8)
                took = time.monotonic() - began
                outcome = sender.finish(1)
                result.check(took <= 5, f"{number.name} twice on a frozen link: {took:.1f} s, {outcome}")
                relay.thaw()
                relay.cut()
                result.count("signals", 2)


@case("newer-files", "T61", "journal and receipts of a later version: nothing known, nothing lost, nothing mis-read")
def newer_files(rig, result):
    with rig.site() as site:
        site.start()
        site.make_file("tree.bin", 96 * MIB, result.random)
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
            sender = site.send("tree.bin", socket_path=relay.path)
            wait_for(60, "acks", lambda: relay.durable_bytes > 16 * MIB or not sender.is_running())
            sender.signal(signal.SIGKILL)
            sender.finish()
        wait_for(20, "the daemon to notice", site.has_noticed)
        site.daemon.stop()
        site.daemon = None
        part = site.staged()[0]
        journal = os.path.join(site.inbox, ".rtun-part", part, "journal")
        with open(journal, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<I", 2))
        data = os.path.join(site.inbox, ".rtun-part", part, "tree", "tree.bin")
        size = os.path.getsize(data)
        site.start()
        outcome = site.run("tree.bin")
        oracles.delivered(result, site, outcome, "a journal of version 2", "tree.bin")
        result.check(os.path.exists(journal) and os.path.exists(data) and os.path.getsize(data) == size,
                     "the data of a later version was not kept")
        result.check(outcome.had == 0, f"a journal of version 2 was read: {outcome.had}")
        result.count("later versions")
        receipts = os.path.join(site.inbox, ".rtun-receipts")
        book = os.path.join(receipts, os.listdir(receipts)[0])
        with open(book, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<I", 2))
        before = open(book, "rb").read()
        outcome = site.run("tree.bin")
        result.check(outcome.status == 0, f"receipts of version 2: {outcome}")
        result.check(open(book, "rb").read() == before, "receipts of a later version were overwritten")
        for name in site.names():
            result.check(not trees.differences(site.path("tree.bin"), site.arrived(name)), f"{name} is not whole")
        result.count("later versions")


@case("clocks", "T70", "files of 1969, 2038, 2099 and the far future; nothing depends on them", quick=True)
def clocks(rig, result):
    with rig.site() as site:
        site.start()
        os.mkdir(site.path())
        now = time.time_ns()
        moments = {"1969": -10**16, "1970": 0, "2038": 2**31 * 10**9 + 5, "2099": 4_070_908_800 * 10**9,
                   "in an hour": now + 3600 * 10**9, "in 10 years": now + 315_360_000 * 10**9}
        for name, moment in moments.items():
            trees.write_random(site.path("tree/" + name), 3000, result.random)
            os.utime(site.path("tree/" + name), ns=(moment, moment))
        outcome = site.run("-r", "tree")
        result.check(outcome.status == 0, f"O5: {outcome}")
        for name, moment in moments.items():
            got = os.stat(site.arrived("tree/" + name)).st_mtime_ns
            most = time.time_ns() + 86_400 * 10**9
            wanted = max(0, moment)
            good = got == wanted if wanted <= most else most - 60 * 10**9 <= got <= most
            result.check(good, f"{name}: {got} instead of {wanted}")
            result.check(trees.same_bytes(site.path("tree/" + name), site.arrived("tree/" + name)), f"{name} differs")
            result.count("odd times")
        again = site.run("-r", "tree")
        result.check(again.status == 0 and site.names() == ["tree"], f"sent again: {again} {site.names()}")


@case("rot", "T64", "bits turn in staged files between an interruption and the next attempt", quick=True)
def rot(rig, result):
    for number in range(rig.pick(1, 25)):
        with rig.site() as site:
            site.start()
            site.make_file("big.bin", 48 * MIB, result.random)
            with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
                sender = site.send("big.bin", "--compress", "none", socket_path=relay.path)
                wait_for(60, "acks", lambda: relay.durable_bytes > 16 * MIB or not sender.is_running())
                sender.signal(signal.SIGKILL)
                sender.finish()
            site.daemon.kill()
            site.daemon = None
            staged = os.path.join(site.inbox, ".rtun-part", site.staged()[0], "tree", "big.bin")
            flips = result.random.randrange(1, 6)
            with open(staged, "r+b") as file:
                for _ in range(flips):
                    place = result.random.randrange(48 * MIB)
                    file.seek(place)
                    byte = file.read(1) or b"\0"
                    file.seek(place)
                    file.write(bytes([byte[0] ^ 1 << result.random.randrange(8)]))
            site.start()
            outcome = site.run("big.bin", "--compress", "none")
            oracles.delivered(result, site, outcome, f"{flips} bits turned", "big.bin")
            result.check(outcome.had > 0, f"{flips} bits turned: everything travelled again")
            oracles.nothing_left(result, site, "rot")
            result.count("bits turned", flips)


@case("growing", "T47", "a log that grows while it is sent: its size at open arrives, exit 0")
def growing(rig, result):
    with rig.site() as site:
        site.start()
        for size in (200_000, 24 * MIB):
            site.make_file("log", size, result.random)
            with open(site.path("log"), "rb") as file:
                before = file.read()
            with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
                def grow(_):
                    with open(site.path("log"), "ab", buffering=0) as file:
                        file.write(b"one more line\n")
                relay.on_up = grow
                outcome = site.run("--compress", "none", "log", socket_path=relay.path)
            result.check(outcome.status == 0, f"O5 {size}: {outcome}")
            if outcome.status == 0:
                with open(site.arrived("log"), "rb") as file:
                    data = file.read()
                result.check(data.startswith(before) and len(data) <= os.path.getsize(site.path("log")),
                             f"O4: {len(data)} bytes of a log of {size} that grew")
            site.clear_inbox()
            result.count("growing files")


@case("random-trees", "T62", "random trees, every codec, with and without one random fault", quick=True)
def random_trees(rig, result):
    with rig.site() as site:
        for number in range(rig.pick(6, 120, 500)):
            site.ensure_daemon()
            site.clear_inbox()
            if os.path.exists(site.path()):
                shutil.rmtree(site.path())
            files = result.random.randrange(1, 60)
            site.make_tree(result.random, budget=result.random.choice([10_000, 300_000, 6 * MIB]), files=max(files, 2))
            for size in result.random.sample([1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB, 24 * MIB],
                                             result.random.randrange(3)):
                site.make_file(f"tree/edge {size}", size, result.random)
            codec = result.random.choice(["zstd", "zlib", "none", "zstd:9", "auto"])
            fault = result.random.choice(["none", "none", "cut", "kill daemon", "kill sender"])
            when = f"tree {number}, {codec}, {fault}"
            with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
                if fault == "cut":
                    relay.cut_at = result.random.randrange(200, trees.total(site.path()) + 400)
                sender = site.send("-r", "tree", "--compress", codec, wait="60s", socket_path=relay.path)
                if fault.startswith("kill"):
                    sender.wait(result.random.uniform(0, 0.15))
                    if fault == "kill daemon":
                        site.daemon.kill_worker()
                        wait_for(10, "a daemon", lambda: not site.daemon.is_running() or site.daemon.answers())
                        site.ensure_daemon()
                    else:
                        sender.signal(signal.SIGKILL)
                outcome = sender.finish()
                if outcome.status != 0:
                    codes = (-signal.SIGKILL,) if fault == "kill sender" else (3, 4)
                    result.check(outcome.status in codes, f"O5 {when}: {outcome}")
                    oracles.whole_or_absent(result, site, when)
                    outcome = site.run("-r", "tree", "--compress", codec, socket_path=relay.path)
            oracles.delivered(result, site, outcome, when)
            result.check(site.names() == ["tree"], f"O4 {when}: {site.names()}")
            result.count("trees")
            result.count("faults", fault != "none")
        oracles.nothing_outside(result, site, "at the end")


@case("soak", "T69", "mixed operations without end: memory and descriptors of the daemon stay", long=True)
def soak(rig, result):
    minutes = rig.pick(0.2, 5, 120)
    with rig.site() as site:
        daemon = site.start()
        worker = daemon.worker()
        end = time.monotonic() + minutes * 60
        samples = []
        while time.monotonic() < end:
            if os.path.exists(site.path()):
                shutil.rmtree(site.path())
            site.clear_inbox()
            site.make_tree(result.random, budget=2 * MIB, files=30)
            with Relay(os.path.join(site.base, "relay"), site.daemon_socket, watch=False) as relay:
                relay.cut_at = result.random.choice([None, None, result.random.randrange(1, MIB)])
                outcome = site.run("-r", "tree", wait="60s", socket_path=relay.path)
                result.check(outcome.status in (0, 3), f"O5: {outcome}")
                if outcome.status == 0:
                    oracles.same(result, site, "soak")
            result.count("operations")
            samples.append((status_field(worker, "VmRSS"), len(os.listdir(f"/proc/{worker}/fd"))))
        result.check(daemon.worker() == worker, "O2: the daemon died")
        third = max(1, len(samples) // 3)
        early = sorted(value for value, _ in samples[third:2 * third] or samples)
        late = sorted(value for value, _ in samples[-third:])
        early, late = early[len(early) // 2], late[len(late) // 2]
        growth = late - early
        result.figure(f"{len(samples)} operations in {minutes} minutes: memory {early / 1024:.1f} MiB, then "
                      f"{late / 1024:.1f} MiB; descriptors {samples[0][1]}, then {samples[-1][1]}")
        result.check(growth < 4096, f"memory grew by {growth} kB")
        result.check(samples[-1][1] <= samples[0][1] + 4, f"descriptors: {samples[0][1]}, then {samples[-1][1]}")


@case("deep-tree", "T68", "10,000 folders inside one another, of 255 bytes each: refused in time, not a crash")
def deep_tree(rig, result):
    with rig.site() as site:
        site.start()
        os.mkdir(site.path("deep"))
        with open(site.path("deep/beside"), "w") as file:
            file.write("beside")
        here = os.open(site.path("deep"), os.O_RDONLY)
        try:
            for name in ["n" * 255] * 10_000:
                os.mkdir(name, 0o700, dir_fd=here)
                below = os.open(name, os.O_RDONLY, dir_fd=here)
                os.close(here)
                here = below
        finally:
            os.close(here)
        outcome = site.run("-r", "deep")
        result.count("levels", 10_000)
        result.check(outcome.status == 5, f"O5: {outcome}")
        result.check(bool(outcome.problems), f"O5: what is too deep is not listed: {outcome}")
        result.check(outcome.peak <= oracles.PEAK, f"O3: {outcome.peak // MIB} MiB at the server")
        with open(site.arrived("deep/beside")) as file:
            result.check(file.read() == "beside", "O4: what is not too deep did not arrive whole")
        result.figure(f"{outcome.seconds:.1f} s, {len(outcome.problems)} listed")
        oracles.honest_send(result, site, "behind it")
        # Python's own removal would go as deep as the tree.
        subprocess.run(["rm", "-rf", site.path("deep")], check=True)
