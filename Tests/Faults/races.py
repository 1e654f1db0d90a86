# SPDX-License-Identifier: MIT
"""Two at once, and sources that change: during a send, and between an interruption and the next attempt."""

import hashlib
import os
import shutil
import signal

import oracles
import trees
from cases import case
from programs import wait_for
from relay import Relay
from rig import MIB, Site


@case("two-sends", "T48", "two sends of different things under one name, from two servers, at once", quick=True)
def two_sends(rig, result):
    with rig.site() as one:
        one.start()
        other = Site(rig)
        try:
            for number in range(rig.pick(3, 50)):
                one.clear_inbox()
                is_tree = number % 2 == 1
                for site in (one, other):
                    shutil.rmtree(site.source)
                    os.mkdir(site.source)
                    if is_tree:
                        site.make_tree(result.random, "thing", budget=MIB, files=16)
                    else:
                        site.make_file("thing", result.random.randrange(1, 12 * MIB), result.random)
                relay = Relay(os.path.join(other.base, "relay"), one.daemon_socket, watch=False)
                sends = [one.send("-r", "thing"), other.send("-r", "thing", socket_path=relay.path)]
                outcomes = [send.finish() for send in sends]
                relay.stop()
                when = f"pair {number}, {'trees' if is_tree else 'files'}"
                for outcome in outcomes:
                    result.check(outcome.status == 0, f"O5 {when}: {outcome}")
                names = one.names()
                result.check(len(names) == 2, f"{when}: {names}")
                for site in (one, other):
                    whole = [name for name in names if not trees.differences(site.path("thing"), one.arrived(name))]
                    result.check(len(whole) == 1, f"O4 {when}: one of them is whole under {whole}")
                result.count("pairs of sends")
            oracles.nothing_left(result, one, "at the end")
        finally:
            other.__exit__()


@case("two-resumes", "T48", "the same send is resumed twice at once, behind a killed sender")
def two_resumes(rig, result):
    with rig.site() as site:
        site.start()
        site.make_tree(result.random, budget=4 * MIB)
        site.make_file("tree/big.bin", 48 * MIB, result.random)
        for number in range(rig.pick(2, 30)):
            site.clear_inbox()
            first = site.send("-r", "tree")
            wait_for(60, "a journal", lambda: site.journal_bytes() > 64 or not first.is_running())
            first.signal(signal.SIGKILL)
            first.finish()
            sends = [site.send("-r", "tree", wait="60s") for _ in range(2)]
            outcomes = [send.finish() for send in sends]
            when = f"pair {number}"
            for outcome in outcomes:
                # One owner; the other may say that it is busy.
                result.check(outcome.status in (0, 4), f"O5 {when}: {outcome}")
                result.count(f"ended with {outcome.status}")
            result.check(any(outcome.status == 0 for outcome in outcomes), f"{when}: neither arrived")
            oracles.same(result, site, when)
            names = site.names()
            result.check(names == ["tree"], f"{when}: {names}")
            for name in names:
                result.check(not trees.differences(site.path(), site.arrived(name)), f"O4 {when}: {name} is not whole")
            result.count("pairs of resumes")
        again = site.run("-r", "tree")
        oracles.delivered(result, site, again, "at the end")
        oracles.nothing_left(result, site, "at the end")


class Mutator:
    """Changes files of a source, each change in one write, and knows every state that they had."""

    def __init__(self, site, random, files):
        self.random = random
        self.paths, self.states, self.removed = {}, {}, set()
        for number in range(files):
            name = f"file {number:03}"
            size = random.choice([1000, 60_000, 700_000, 3 * MIB, 6 * MIB if number % 7 == 0 else 5000])
            self.paths[name] = site.path("tree/" + name)
            with open(self.paths[name], "wb") as file:
                file.write(random.randbytes(size))
            self.note(name)
        self.changed = set()

    def note(self, name):
        with open(self.paths[name], "rb") as file:
            self.states.setdefault(name, set()).add(hashlib.sha256(file.read()).digest())

    def change(self):
        name = self.random.choice(sorted(set(self.paths) - self.removed))
        path, kind = self.paths[name], self.random.randrange(5)
        status = os.stat(path)
        self.changed.add(name)
        if kind == 0:
            with open(path, "ab", buffering=0) as file:
                file.write(self.random.randbytes(self.random.randrange(1, 100_000)))
        elif kind == 1:
            os.truncate(path, self.random.randrange(status.st_size + 1))
        elif kind == 2:
            # The same size and the same time: only ctime tells.
            with open(path, "r+b", buffering=0) as file:
                file.write(self.random.randbytes(status.st_size))
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
        elif kind == 3:
            with open(path + ".new", "wb") as file:
                file.write(self.random.randbytes(self.random.randrange(1, 500_000)))
            os.replace(path + ".new", path)
        else:
            os.unlink(path)
            self.removed.add(name)
            return
        self.note(name)


@case("mutated", "T50", "files change while they are sent, paced by what has left: each arrives as it once was",
      quick=True)
def mutated(rig, result):
    for number in range(rig.pick(3, 60, 100)):
        with rig.site() as site:
            site.start()
            os.mkdir(site.path())
            mutator = Mutator(site, result.random, 30)
            changes = iter(sorted(result.random.randrange(20 * MIB) for _ in range(12)))
            pace = [next(changes)]

            def passed(relay):
                # In the relay's thread: nothing more leaves until the file has changed.
                while pace and relay.up >= pace[0]:
                    mutator.change()
                    result.count("changes during a send")
                    pace[:] = [value for value in [next(changes, None)] if value is not None]

            with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
                relay.on_up = passed
                outcome = site.run("-r", "tree", "--compress", "none", socket_path=relay.path)
            when = f"tree {number}"
            if not result.check(outcome.status in (0, 5), f"O5 {when}: {outcome}"):
                continue
            listed = {os.path.basename(problem.get("path", "")): problem for problem in outcome.problems}
            # One that only grew is told of, and no fault.
            faults = [name for name, problem in listed.items() if not problem.get("reason", "").startswith("grew")]
            result.check(bool(faults) == (outcome.status == 5), f"O5 {when}: {outcome.status} and {listed}")
            for name in mutator.paths:
                arrived = site.arrived("tree/" + name)
                if os.path.exists(arrived):
                    with open(arrived, "rb") as file:
                        digest = hashlib.sha256(file.read()).digest()
                    result.check(digest in mutator.states[name], f"O4 {when}: {name} arrived as it never was")
                else:
                    result.check(name in listed or name in mutator.removed, f"{when}: {name} did not arrive")
                    result.check(name in mutator.changed, f"{when}: {name}, which nobody changed, did not arrive")
            result.count("trees")
            result.count("files reported", len(listed))


def other_bytes(site, random):
    """In a chunk that is acked."""
    with open(site.path("tree/a big.bin"), "r+b") as file:
        file.seek(3 * MIB)
        file.write(random.randbytes(100_000))


def appended(site, random):
    with open(site.path("tree/a big.bin"), "ab") as file:
        file.write(random.randbytes(2 * MIB))


def shrunk(site, random):
    os.truncate(site.path("tree/a big.bin"), 17 * MIB + 5)


def file_for_folder(site, random):
    shutil.rmtree(site.path("tree/folder 0"))
    trees.write_random(site.path("tree/folder 0"), 5000, random)
    os.unlink(site.path("tree/a big.bin"))
    os.mkdir(site.path("tree/a big.bin"))
    trees.write_random(site.path("tree/a big.bin/inside"), 5000, random)


def renamed(site, random):
    os.rename(site.path("tree/a big.bin"), site.path("tree/z renamed.bin"))


def added_removed(site, random):
    trees.write_random(site.path("tree/0 added"), 700_000, random)
    os.unlink(site.path("tree/b small"))


CHANGES = [("other bytes", other_bytes, 6), ("appended", appended, 8), ("shrunk", shrunk, 13),
           ("file for folder", file_for_folder, None), ("renamed", renamed, 4), ("added, removed", added_removed, 3)]


@case("changed-between", "T51", "the source changes between an interruption and the next attempt, in six ways")
def changed_between(rig, result):
    for number in range(rig.pick(1, 8)):
        for what, change, again_mib in CHANGES:
            with rig.site() as site:
                site.start()
                site.make_tree(result.random, budget=MIB, files=16)
                site.make_file("tree/a big.bin", 24 * MIB, result.random)
                trees.write_random(site.path("tree/b small"), 9000, result.random)
                # More than may be under way at the cut, so that it cannot arrive as a whole.
                trees.write_random(site.path("tree/y big.bin"), 96 * MIB, result.random)
                with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
                    sender = site.send("-r", "tree", "--compress", "none", socket_path=relay.path)
                    wait_for(60, "acks", lambda: relay.durable_bytes >= 26 * MIB or not sender.is_running())
                    result.check(sender.is_running(), f"{what}: it was over before")
                    relay.go_down()
                    sender.finish()
                    wait_for(20, "the daemon to notice", site.has_noticed)
                    change(site, result.random)
                    relay.come_back()
                    before = relay.frame_bytes
                    durable = relay.durable_bytes
                    outcome = site.run("-r", "tree", "--compress", "none", socket_path=relay.path)
                oracles.delivered(result, site, outcome, what)
                oracles.nothing_left(result, site, what)
                result.check(site.names() == ["tree"], f"O4 {what}: {site.names()}")
                again = relay.frame_bytes - before
                total = trees.total(site.path())
                if again_mib is not None:
                    # What was not acked, what differs, and chunks on their edges.
                    bound = total - durable + again_mib * MIB
                    result.check(again <= max(bound, 0), f"{what}: {again / MIB:.1f} MiB travelled of "
                                 f"{total / MIB:.1f}, {durable / MIB:.1f} were acked")
                result.count("changed sources")
                if number == 0:
                    result.figure(f"{what}: {again / MIB:.1f} of {total / MIB:.1f} MiB travelled, {durable / MIB:.1f} "
                                  f"MiB were acked before")
