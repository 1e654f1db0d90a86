#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the order of system calls of one send of 100 files off an strace log: `order.py RTUN_BINARY`.

Before a chunk is acknowledged: bytes written → mode, time → read back → file system synced → journal written → journal
synced. Before the send is answered: last journal synced → file system synced → plan written and synced → renamed
without replacing → both folders synced → receipts written and synced. Each arrow is an end before a beginning.
"""

import os
import re
import shutil
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from publication import Laptop, KnownSend  # noqa: E402
from wire import *  # noqa: E402,F403

FILES = 100
# More than are synced one by one.
FOLDERS = 12
CALLS = "pwrite64,pread64,write,writev,sendmsg,sendto,fchmod,utimensat,fsync,fdatasync,syncfs,renameat2"
CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)")


def readable(path):
    return "<" + bytes.fromhex(path.group(1).replace("\\x", "")).decode() + ">"


class Log:
    """Calls that succeeded, with the lines on which they began and ended."""

    def __init__(self, path):
        self.calls = []
        open_calls = {}
        with open(path) as file:
            for at, line in enumerate(file):
                thread, text = line.split(None, 1)
                text = text.rstrip("\n")
                begun = at
                if text.endswith("<unfinished ...>"):
                    open_calls[thread] = (at, text[:-len("<unfinished ...>")])
                    continue
                resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
                if resumed:
                    begun, head = open_calls.pop(thread)
                    text = head + resumed.group(1)
                found = CALL.match(text)
                if found and int(found.group(3)) >= 0:
                    # -xx writes paths like data: they are made readable, data stays.
                    arguments = re.sub(r"<((?:\\x[0-9a-f]{2})+)>", readable, found.group(2))
                    self.calls.append((begun, at, found.group(1), arguments))

    def find(self, name, *words, after=-1, before=1 << 60):
        """(begin, end) of the first such call that began behind `after` and ended ahead of `before`."""
        for begun, ended, call, arguments in self.calls:
            if call == name and begun > after and ended < before and all(word in arguments for word in words):
                return begun, ended
        raise AssertionError("no %s %r between %d and %d" % (name, words, after, before))

    def messages(self):
        """(line where its write began, type, body) of what was sent to the peer behind the greeting."""
        stream, found, is_greeted = b"", [], False
        for begun, _, call, arguments in self.calls:
            if call not in ("write", "writev", "sendto", "sendmsg") or "socket:" not in arguments.split(",")[0] \
                    and "UNIX" not in arguments.split(",")[0]:
                continue
            for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments):
                stream += bytes.fromhex(text.replace("\\x", ""))
            if not is_greeted:
                if b"OK PONG\r\n" not in stream:
                    continue
                stream, is_greeted = stream.split(b"OK PONG\r\n", 1)[1], True
            while len(stream) >= 8 and len(stream) >= 8 + struct.unpack("<I", stream[:4])[0]:
                length = struct.unpack("<I", stream[:4])[0]
                found.append((begun, stream[4], stream[8:8 + length]))
                stream = stream[8 + length:]
        return found


def hexed(text):
    return "".join("\\x%02x" % byte for byte in text.encode())


def check(log):
    messages = log.messages()
    acknowledged = {}
    for line, kind, body in messages:
        for at in range(0, len(body), 12) if kind == DURABLE else ():
            first, count = struct.unpack("<QI", body[at:at + 12])
            acknowledged.update((frame, line) for frame in range(first, first + count))
    assert len(acknowledged) == FILES, "%d frames were acknowledged" % len(acknowledged)
    # The last acknowledgement may be on its way while publication begins: it is what it promises that counts.
    settled = 0
    for frame, acknowledgement in sorted(acknowledged.items()):
        file = "/tree/ordered/f%03d>" % frame
        _, written = log.find("pwrite64", file)
        _, moded = log.find("fchmod", file, after=written)
        _, timed = log.find("utimensat", file, after=written)
        _, read = log.find("pread64", file, after=max(moded, timed))
        _, synced = log.find("syncfs", after=read)
        _, journalled = log.find("write", "/journal>", hexed("ordered/f%03d" % frame), after=synced)
        _, kept = log.find("fsync", "/journal>", after=journalled, before=acknowledgement)
        settled = max(settled, kept)
    committed = [line for line, kind, _ in messages if kind == COMMITTED]
    assert len(committed) == 1, "%d answers" % len(committed)
    _, synced = log.find("syncfs", after=settled)
    _, planned = log.find("write", "/publication>", after=synced)
    _, planned = log.find("fsync", "/publication>", after=planned)
    _, planned = log.find("fsync", "/.rtun-part/", after=planned)
    _, renamed = log.find("renameat2", hexed("ordered"), "RENAME_NOREPLACE", after=planned)
    _, target = log.find("fsync", "/inbox>", after=renamed)
    _, source = log.find("fsync", "/tree>", after=renamed)
    _, noted = log.find("pwrite64", "/.rtun-receipts/", hexed("ordered/f099"), after=max(target, source))
    log.find("fsync", "/.rtun-receipts/", after=noted, before=committed[0])
    first = log.find("renameat2", hexed("ordered"))[0]
    assert first > planned, "renamed before the plan was durable"


def check_merge(log):
    """Of many merged folders that were changed all are synced, by one call, before what was done is written down."""
    exchanged = [ended for _, ended, call, arguments in log.calls
                 if call == "renameat2" and "RENAME_EXCHANGE" in arguments]
    assert len(exchanged) == FOLDERS, "%d files were exchanged" % len(exchanged)
    _, synced = log.find("syncfs", after=max(exchanged))
    log.find("pwrite64", "/.rtun-receipts/", after=synced)
    early = [call for begun, _, call, arguments in log.calls
             if call == "pwrite64" and "/.rtun-receipts/" in arguments and max(exchanged) < begun < synced]
    assert not early, "receipts before the folders were durable"


def merge(laptop):
    for _ in range(2):
        with KnownSend(laptop.path, os.urandom(8), os.urandom(32)) as send:
            tree = {}
            for number in range(FOLDERS):
                tree["d%02d" % number] = None
                tree["d%02d/a" % number] = os.urandom(1_000)
            send.tree("merged", tree)
            send.commit()
            assert send.end() == (COMMITTED, ["merged"])


def trace_of(work):
    laptop = Laptop(os.path.abspath(sys.argv[1]))
    trace = os.path.join(laptop.base, "trace")
    laptop.start(trace=["strace", "-f", "-y", "-qq", "-xx", "-s", "20000", "-o", trace, "-e", "trace=" + CALLS])
    work(laptop)
    laptop.end()
    return laptop, trace


def order(laptop):
    with KnownSend(laptop.path, os.urandom(8), os.urandom(32)) as send:
        send.tree("ordered", {"f%03d" % number: os.urandom(10_000) for number in range(FILES)})
        send.commit()
        assert send.end() == (COMMITTED, ["ordered"])


def main():
    for work, judge in ((order, check), (merge, check_merge)):
        laptop, trace = trace_of(work)
        try:
            judge(Log(trace))
        except AssertionError as error:
            print("FAILED: %s\nkept: %s" % (error, laptop.base))
            sys.exit(1)
        shutil.rmtree(laptop.base)
    print("the order of %d files and %d merged folders is kept" % (FILES, FOLDERS))


if __name__ == "__main__":
    main()
