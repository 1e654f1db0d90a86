# SPDX-License-Identifier: MIT
"""The order of a daemon's calls, read off an strace log: nothing is acked, and nothing is OK, before it is durable."""

import os
import re

import oracles
import trace
from cases import case
from programs import BareWorker
from relay import COMMITTED, DURABLE
from rig import MIB

CALLS = "pwrite64,pread64,fchmod,utimensat,syncfs,fsync,fdatasync,renameat2,renameat,write,writev,sendmsg,sendto"
DESCRIPTOR = re.compile(r"\((\d+)<([^>]*)>")


class Order:
    """Follows the calls of one daemon that receives one tree, single-threaded; notes what comes too early."""

    def __init__(self, result, inbox):
        self.result, self.inbox = result, inbox
        self.part = os.path.join(inbox, ".rtun-part") + "/"
        # What was done to a staged file since the last sync: which steps, in their order.
        self.steps = {}
        self.is_dirty = False
        self.journal_dirty = self.journal_written = False
        self.renamed = set()
        self.unsynced_folders = set()
        self.receipt_dirty = False
        self.has_receipt = False
        self.acks = self.syncs = self.renames = self.files = 0

    def wrong(self, text):
        self.result.check(False, text)

    def take(self, name, text):
        match = DESCRIPTOR.search(text)
        path = match.group(2) if match else ""
        if name in ("write", "writev", "sendmsg", "sendto") and ("socket:" in path or "UNIX" in path):
            for kind in kinds(text):
                self.say(kind)
        elif " = -1 " in text:
            return
        elif "/tree" in path and path.startswith(self.part) and name in ("pwrite64", "fchmod", "utimensat", "pread64"):
            self.touch(name, path)
        elif name == "syncfs":
            self.sync()
        elif path.endswith("/journal") and name in ("write", "pwrite64"):
            if self.is_dirty:
                self.wrong("the journal was written before the sync that covers its chunks")
            self.journal_dirty = self.journal_written = True
        elif path.endswith("/journal") and name in ("fsync", "fdatasync"):
            self.journal_dirty = False
        elif name in ("renameat2", "renameat"):
            self.rename(text)
        elif "/.rtun-receipts/" in path and name in ("write", "pwrite64"):
            if self.unsynced_folders:
                self.wrong(f"the receipt was written before {self.unsynced_folders} was synced")
            self.receipt_dirty = True
        elif name in ("fsync", "fdatasync"):
            if "/.rtun-receipts/" in path:
                self.receipt_dirty, self.has_receipt = False, True
            self.unsynced_folders.discard(path)

    def touch(self, name, path):
        done = self.steps.setdefault(path, [])
        if name == "pwrite64":
            self.files += path not in self.steps or not done
            self.is_dirty = True
            self.journal_written = False
        elif name == "pread64" and "pwrite64" in done and done[-1] not in ("utimensat", "pread64"):
            self.wrong(f"{path}: read back before mode and time were set ({done[-3:]})")
        elif name in ("fchmod", "utimensat"):
            self.is_dirty = True
        done.append(name)

    def sync(self):
        self.syncs += 1
        for path, done in self.steps.items():
            if "pwrite64" in done and "pread64" not in done[len(done) - done[::-1].index("pwrite64"):]:
                self.wrong(f"{path}: synced before it was read back")
        self.steps = {}
        self.is_dirty = False

    def rename(self, text):
        if self.part not in text or f"<{self.inbox}>" not in text or "/tree>" not in text:
            return
        self.renames += 1
        if self.is_dirty:
            self.wrong("a top-level name was published before everything was synced")
        if "RENAME_NOREPLACE" not in text:
            self.wrong("a top-level name was published without RENAME_NOREPLACE: " + text)
        folders = re.findall(r"\d+<([^>]*)>", text)
        self.unsynced_folders.update(folders[:2])

    def say(self, kind):
        if kind == DURABLE:
            self.acks += 1
            if self.is_dirty:
                self.wrong("DURABLE was said before the sync")
            if self.journal_dirty or not self.journal_written:
                self.wrong("DURABLE was said before the journal was written and synced")
        elif kind == COMMITTED:
            if not self.renames:
                self.wrong("COMMITTED was said before anything was published")
            if self.unsynced_folders:
                self.wrong(f"COMMITTED was said before {self.unsynced_folders} was synced")
            if self.receipt_dirty or not self.has_receipt:
                self.wrong("COMMITTED was said before the receipt was written and synced")


def kinds(text):
    """The kinds of the messages that begin the buffers of a write."""
    for buffer in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
        data = buffer.encode().decode("unicode_escape").encode("latin-1", "replace")
        if len(data) >= 8 and data[5:8] == b"\0\0\0":
            yield data[4]


@case("order", "T31", "the order of writes, syncs, journal, acks, renames and OK in the daemon's calls", quick=True)
def order(rig, result):
    with rig.site() as site:
        site.make_tree(result.random, budget=8 * MIB, files=100)
        site.make_file("tree/big.bin", rig.pick(24, 80) * MIB, result.random)
        for number in range(rig.pick(1, 5)):
            site.clear_inbox()
            log = os.path.join(site.base, "calls")
            worker = BareWorker(site, trace.logging(CALLS, log, 48))
            outcome = site.run("-r", "tree")
            worker.stop()
            oracles.delivered(result, site, outcome, "under strace")
            watch = Order(result, site.inbox)
            calls = 0
            for _, _, name, text in trace.calls(log):
                watch.take(name, text)
                calls += 1
            result.count("calls checked", calls)
            result.count("acks", watch.acks)
            result.check(watch.acks >= 1 and watch.syncs >= 2 and watch.renames == 1 and watch.has_receipt,
                         f"the log does not show what it must: {watch.acks} acks, {watch.syncs} syncs, "
                         f"{watch.renames} renames")
