# SPDX-License-Identifier: MIT
"""The order of a daemon's calls, read off an strace log: nothing is acked, and nothing is OK, before it is durable."""

import os
import re
import struct

import oracles
import trace
from cases import case
from programs import BareWorker
from relay import COMMITTED, DURABLE, Relay
from rig import MIB

CALLS = "pwrite64,pread64,fchmod,utimensat,syncfs,fsync,fdatasync,renameat2,renameat,write,writev,sendmsg,sendto"
DESCRIPTOR = re.compile(r"\((\d+)<([^>]*)>")


class Order:
    """Follows the calls of one daemon that receives one tree, single-threaded; notes what comes too early.

    `frames` are the payload bytes of each frame, which are raw bytes: nothing was compressed.
    """

    def __init__(self, complain, inbox, frames):
        self.complain, self.inbox, self.frames = complain, inbox, frames
        self.part = os.path.join(inbox, ".rtun-part") + "/"
        # What was done to each staged file since the last sync.
        self.steps = {}
        self.is_dirty = False
        # Bytes of the tree that were written; of them synced, in the journal, in the synced journal, acknowledged.
        self.written = self.synced = self.noted = self.durable = self.acked = 0
        self.unsynced_folders = set()
        self.has_receipt = False
        self.acks = self.syncs = self.renames = 0

    def wrong(self, text):
        self.complain(text)

    def take(self, name, text):
        match = DESCRIPTOR.search(text)
        # One with other than ASCII is printed in hexadecimal from end to end.
        path = unescaped(match.group(2)).decode("utf-8", "replace") if match else ""
        if name in ("write", "writev", "sendmsg", "sendto") and ("socket:" in path or "UNIX" in path):
            for kind, body in messages(text):
                self.say(kind, body)
        elif " = -1 " in text:
            return
        elif "/tree" in path and path.startswith(self.part) and name in ("pwrite64", "fchmod", "utimensat", "pread64"):
            self.touch(name, path, text)
        elif name == "syncfs":
            self.sync()
        elif path.endswith("/journal") and name in ("write", "pwrite64"):
            self.noted = self.synced
        elif path.endswith("/journal") and name in ("fsync", "fdatasync"):
            self.durable = self.noted
        elif name in ("renameat2", "renameat"):
            self.rename(text)
        elif "/.rtun-receipts/" in path and name in ("write", "pwrite64"):
            if self.unsynced_folders:
                self.wrong(f"the receipt was written before {self.unsynced_folders} was synced")
            self.has_receipt = False
        elif name in ("fsync", "fdatasync"):
            self.has_receipt = self.has_receipt or "/.rtun-receipts/" in path
            self.unsynced_folders.discard(path)

    def touch(self, name, path, text):
        done = self.steps.setdefault(path, [])
        if name == "pwrite64":
            self.written += int(text.rsplit("= ", 1)[-1])
        if name == "pread64" and "pwrite64" in done and done[-1] not in ("utimensat", "pread64"):
            self.wrong(f"{path}: read back before mode and time were set ({done[-3:]})")
        self.is_dirty = self.is_dirty or name != "pread64"
        done.append(name)

    def sync(self):
        self.syncs += 1
        self.synced = self.written
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
        self.unsynced_folders.update(re.findall(r"\d+<([^>]*)>", text)[:2])

    def say(self, kind, body):
        if kind == DURABLE:
            self.acks += 1
            for at in range(0, len(body) - 11, 12):
                first, count = struct.unpack_from("<QI", body, at)
                self.acked += sum(self.frames.get(number, 0) for number in range(first, first + count))
            if self.acked > self.durable:
                self.wrong(f"{self.acked:,} bytes were acknowledged when {self.durable:,} were in the synced journal, "
                           f"{self.noted:,} in the journal, {self.synced:,} synced, {self.written:,} written")
        elif kind == COMMITTED:
            if not self.renames:
                self.wrong("COMMITTED was said before anything was published")
            if self.unsynced_folders:
                self.wrong(f"COMMITTED was said before {self.unsynced_folders} was synced")
            if not self.has_receipt:
                self.wrong("COMMITTED was said before the receipt was written and synced")


def unescaped(text):
    return text.encode().decode("unicode_escape").encode("latin-1", "replace")


def messages(text):
    """Kind and, as far as it was logged, body of the messages that begin the buffers of a write."""
    for buffer in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
        data = unescaped(buffer)
        if len(data) >= 8 and data[5:8] == b"\0\0\0":
            yield data[4], data[8:8 + struct.unpack_from("<I", data)[0]]


@case("order", "T31", "the order of writes, syncs, journal, acks, renames and OK in the daemon's calls", quick=True)
def order(rig, result):
    with rig.site() as site:
        site.make_tree(result.random, budget=8 * MIB, files=100)
        site.make_file("tree/big.bin", rig.pick(24, 80) * MIB, result.random)
        for number in range(rig.pick(1, 5)):
            site.clear_inbox()
            log = os.path.join(site.base, "calls")
            worker = BareWorker(site, trace.logging(CALLS, log, 128))
            with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
                outcome = site.run("-r", "tree", "--compress", "none", socket_path=relay.path)
            worker.stop()
            oracles.delivered(result, site, outcome, "under strace")
            calls = list(trace.calls(log))
            watch = follow(calls, lambda text: result.check(False, text), site.inbox, relay.sent_frames)
            result.count("calls checked", len(calls))
            result.count("acks", watch.acks)
            sent = sum(relay.sent_frames.values())
            result.check(watch.acked == sent, f"{watch.acked:,} of {sent:,} bytes were acknowledged")
            result.check(watch.acks >= 1 and watch.syncs >= 2 and watch.renames == 1 and watch.has_receipt,
                         f"the log does not show what it must: {watch.acks} acks, {watch.syncs} syncs, "
                         f"{watch.renames} renames")
            check_the_oracle(result, calls, site.inbox, relay.sent_frames)


def follow(calls, complain, inbox, frames, leaving_out=lambda name, text: False):
    watch = Order(complain, inbox, frames)
    for _, _, name, text in calls:
        if not leaving_out(name, text):
            watch.take(name, text)
    return watch


def check_the_oracle(result, calls, inbox, frames):
    """The oracle's own test: a daemon that left out a step would not pass."""
    for what, leaves_out in {
        "no sync": lambda name, text: name == "syncfs",
        "no journal": lambda name, text: "/journal>" in text and name == "write",
        "a journal that is not synced": lambda name, text: "/journal>" in text and name in ("fsync", "fdatasync"),
        "no read-back": lambda name, text: name == "pread64",
        "folders that are not synced": lambda name, text: name == "fsync" and f"<{inbox}>" in text,
        "receipts that are not synced": lambda name, text: name == "fsync" and "/.rtun-receipts" in text,
    }.items():
        complaints = []
        follow(calls, complaints.append, inbox, frames, leaves_out)
        result.check(complaints, f"the oracle does not notice {what}")
