#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills the daemon while it publishes and while it recovers: `publication.py RTUN_BINARY [--quick | --edited] [CALL…]`.

For each system call that changes names or makes them durable, and for each n: a folder that was delivered before is
sent again, changed, and strace kills the daemon at its n-th such call. The next daemons are killed at their first,
second, third … call until one lives; then, without the sender, the folder must be wholly old or wholly new. The sender
comes back with the same transfer id: the end is the new tree, the user's own edits beside it, and nothing left over.

With `--edited` nothing is killed: strace holds the daemon between its last look at a delivered file and the exchange
that replaces it, and the user edits the file in between.
"""

import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import *  # noqa: E402,F403

CALLS = ["renameat2", "unlinkat", "fsync", "mkdirat", "linkat", "pwrite64", "write", "fchmod", "utimensat", "flock"]
KEY = hashlib.sha256(b"publication.py").digest()


class Laptop:
    """An inbox whose daemon process is started without its supervisor, on sockets that this process keeps."""

    def __init__(self, binary):
        self.binary = binary
        self.base = tempfile.mkdtemp(prefix="rtun-publication-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.inbox = os.path.join(self.base, "inbox")
        self.path = os.path.join(self.base, "peers")
        self.control = os.path.join(self.base, "control")
        os.makedirs(os.path.join(self.base, "state"), 0o700)
        os.mkdir(self.inbox, 0o700)
        self.sockets = [self.listen(self.path), self.listen(self.control)]
        self.process = None

    @staticmethod
    def listen(path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(64)
        return listener

    def start(self, call=None, count=0, trace=()):
        """True once it serves; false where strace has killed it before."""
        mine, theirs = socket.socketpair()
        wanted = [self.sockets[0].fileno(), self.sockets[1].fileno(), theirs.fileno()]
        if call is not None:
            # No --seccomp-bpf: with it strace 6.1 does not count.
            trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
                     "-e", "inject=%s:signal=SIGKILL:when=%d" % (call, count)]

        def place():
            # Copies above, so that none of the targets is overwritten before it was copied.
            high = [os.dup2(number, 60 + at) for at, number in enumerate(wanted)]
            for at, number in enumerate(high):
                os.dup2(number, 3 + at)

        self.process = subprocess.Popen(
            list(trace) + [self.binary, "server", "--worker", "--socket", self.path,
                     "--dir", self.inbox, "--log", os.path.join(self.base, "log")],
            preexec_fn=place, pass_fds=(3, 4, 5), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, RTUN_DIR=os.path.join(self.base, "state"), RTUN_SINGLE_THREADED="1",
                     SWIFT_BACKTRACE="enable=no"))
        theirs.close()
        self.link = mine
        mine.settimeout(30)
        try:
            ready = mine.recv(1) == b"\x01"
        except ConnectionResetError:
            ready = False
        if not ready:
            self.process.wait()
        return ready

    def end(self):
        """Stops it as the death of its supervisor would; it may be dead already."""
        self.link.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            # strace, when its only tracee is stuck in a call.
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the daemon does not end")

    def is_dead(self):
        """Whether strace has killed it, or does within a second."""
        try:
            self.process.wait(1)
            return True
        except subprocess.TimeoutExpired:
            return False


class KnownSend(Transfer):
    """A send of a source that is known: what the daemon has does not travel."""

    def __init__(self, path, transfer, secret):
        Connection.__init__(self, path, 10)
        self.transfer, self.secret = transfer, secret
        self.manifest, self.record_count, self.frame_count = hashlib.sha256(), 0, 0
        self.ordinal, self.answered, self.had, self.rejected = 0, 0, set(), []
        self.opened = self.greet(open_request(transfer, secret), hello(extra=[(4, KEY)]))
        self.known = number_field(self.answer[0][1], 7) == 1

    def tree(self, root, tree):
        """Sends {path: bytes, None for a folder, ("link", target)}; folders stand before what is in them."""
        numbers = {}
        self.records(header())
        for number, path in enumerate([root] + [root + "/" + name for name in sorted(tree)]):
            numbers[path] = number
            parent, name = (path.rsplit("/", 1) if "/" in path else (None, path))
            parent = numbers.get(parent)
            content = None if path == root else tree[path[len(root) + 1:]]
            if content is None:
                self.records(entry(number, FOLDER, name, parent, mode=0o755))
            elif isinstance(content, tuple) and content[0] == "link":
                self.records(entry(number, SYMLINK, name, parent, target=content[1].encode()))
            elif isinstance(content, tuple):
                self.records(entry(number, HARD_LINK, name, parent, link=numbers[root + "/" + content[1]]))
            else:
                self.records(file_records(number, name, content, parent))
                if content:
                    self.offer(content)

    def offer(self, content):
        while self.known and self.answered <= self.ordinal:
            kind, body = self.receive()
            if kind == HAVE:
                self.answered = struct.unpack("<Q", body[:8])[0]
                for at in range(8, len(body), 12):
                    first, count = struct.unpack("<QI", body[at:at + 12])
                    self.had.update(range(first, first + count))
            elif kind in (ABORT, REFUSED):
                raise Closed()
        if self.ordinal in self.had:
            self.ordinal += 1
        else:
            self.frame(content)


def read_tree(folder):
    """{path: bytes, None for a folder, ("link", target)} of what stands below a folder."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[key] = None
            else:
                with open(path, "rb") as file:
                    found[key] = file.read()
    return found


OLD = {
    "changed": b"old", "changed too": b"old too", "edited": b"delivered", "gone": b"gone", "same": b"same",
    "link": ("link", "same"), "becomes a folder": b"file", "sub": None, "sub/changed": b"old below",
    "sub/same": b"same below", "twin": b"twin", "twin's other name": ("hard", "twin"),
}
NEW = {
    "changed": b"new", "changed too": b"new too", "edited": b"sent again", "same": b"same", "link": ("link", "new"),
    "becomes a folder": None, "becomes a folder/inside": b"inside", "sub": None, "sub/changed": b"new below",
    "sub/same": b"same below", "new": b"fresh", "whole": None, "whole/one": b"1", "whole/two": b"2",
    "twin": b"twin two", "twin's other name": ("hard", "twin"), "same, linked": ("hard", "same"),
    "users": b"the user's",
}


def plain(tree):
    return {path: tree[content[1]] if isinstance(content, tuple) and content[0] == "hard" else content
            for path, content in tree.items()}


def attempt(laptop, root, transfer, secret, tree):
    """COMMITTED, OPENED where it was cut off, or what the daemon refused with."""
    try:
        with KnownSend(laptop.path, transfer, secret) as send:
            if send.opened is None or send.opened[0] != OPENED:
                return (send.opened or (None,))[0]
            send.tree(root, tree)
            send.commit()
            kind, names = send.end()
            if kind == ABORT:
                raise RuntimeError("aborted with %r" % names)
            return OPENED if kind is None else kind
    except (Closed, ConnectionResetError, BrokenPipeError, TimeoutError):
        # It may have been killed before it accepted: the socket is this process's.
        return OPENED


def one_round(laptop, root, call, count, deaths):
    """One life: true where the daemon was killed at its n-th call."""
    assert laptop.start(), "the daemon does not start"
    kind = attempt(laptop, root, os.urandom(8), os.urandom(32), OLD)
    assert kind == COMMITTED, "the first send ended with %r" % kind
    folder = os.path.join(laptop.inbox, root)
    with open(os.path.join(folder, "edited"), "wb") as file:
        file.write(b"the user's edit")
    with open(os.path.join(folder, "users"), "wb") as file:
        file.write(b"the user's")
    old = dict(plain(OLD), edited=b"the user's edit", users=b"the user's")
    new = dict(old, **dict(plain(NEW), edited=b"the user's edit"))
    new["edited (2)"] = b"sent again"
    assert read_tree(folder) == old
    laptop.end()

    transfer, secret = os.urandom(8), os.urandom(32)
    was_killed = True
    if laptop.start(call, count):
        kind = attempt(laptop, root, transfer, secret, NEW)
        was_killed = kind != COMMITTED or laptop.is_dead()
        laptop.end()
    # The recovery is killed as well, each time a little later.
    for nth in range(1, 11):
        if not was_killed or laptop.start(call, nth):
            break
        deaths[0] += 1
        laptop.process.wait()
    if was_killed:
        laptop.end()
    assert laptop.start(), "the daemon does not recover"
    found = read_tree(folder)
    assert found in (old, new), "neither old nor new: %r" % sorted(set(found.items()) ^ set(new.items()))
    with KnownSend(laptop.path, transfer, secret) as again:
        kind, body = again.opened
        if kind == COMMITTED:
            assert found == new, "finished, and not complete"
            assert parse_fields(body).get(1, []) == [root.encode()], "another name than at first"
        else:
            assert kind == OPENED, "the same id is refused: %r" % kind
            again.tree(root, NEW)
            again.commit()
            ended = again.end()
            assert ended == (COMMITTED, [root]), "the second attempt ended with %r" % (ended,)
    found = read_tree(folder)
    assert found == new, "not the new tree: %r" % sorted(set(found.items()) ^ set(new.items()))
    # Once more, under a new id: nothing is doubled, and nothing needs to travel.
    with KnownSend(laptop.path, os.urandom(8), os.urandom(32)) as third:
        third.tree(root, NEW)
        third.commit()
        assert third.end() == (COMMITTED, [root])
        assert third.frame_count <= 2, "%d frames travelled again" % third.frame_count
    assert read_tree(folder) == dict(new), "the third send changed something"
    laptop.end()
    left = [name for name in os.listdir(laptop.inbox) if name.startswith(".rtun-part")]
    assert not left or not os.listdir(os.path.join(laptop.inbox, left[0])), "staging was left behind"
    return was_killed


RENAMEAT2, RENAME_EXCHANGE = {"x86_64": 316, "aarch64": 276}.get(os.uname().machine), 2


def is_exchanging(parent):
    """Whether a thread of the process that strace has started stands before an exchange."""
    for task in os.listdir("/proc/%d/task" % parent):
        with open("/proc/%d/task/%s/children" % (parent, task)) as file:
            for child in file.read().split():
                for thread in os.listdir("/proc/%s/task" % child):
                    with open("/proc/%s/task/%s/syscall" % (child, thread)) as file:
                        words = file.read().split()
                    if words[0] == str(RENAMEAT2) and int(words[5], 16) == RENAME_EXCHANGE:
                        return True
    return False


def edit_behind_the_look(laptop):
    """The edit stays under its name, and what was sent stands beside it."""
    hold = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", "inject=renameat2:delay_enter=1500000"]
    assert laptop.start(), "the daemon does not start"
    assert attempt(laptop, "d", os.urandom(8), os.urandom(32), {"f": b"old"}) == COMMITTED, "the first send"
    laptop.end()
    assert laptop.start(trace=hold), "the daemon does not start under strace"
    ended = []
    sender = threading.Thread(target=lambda: ended.append(attempt(
        laptop, "d", os.urandom(8), os.urandom(32), {"f": b"sent again"})))
    sender.start()
    end = time.monotonic() + 60
    while not is_exchanging(laptop.process.pid):
        assert time.monotonic() < end and sender.is_alive(), "nothing was exchanged: %r" % ended
    with open(os.path.join(laptop.inbox, "d", "f"), "wb") as file:
        file.write(b"the user's edit")
    sender.join()
    found = read_tree(os.path.join(laptop.inbox, "d"))
    assert found == {"f": b"the user's edit", "f (2)": b"sent again"}, "%r stands there: %r" % (found, ended)
    laptop.end()


def main():
    arguments = sys.argv[1:]
    is_quick = "--quick" in arguments
    if "--edited" in arguments:
        laptop = Laptop(os.path.abspath(arguments[0]))
        try:
            edit_behind_the_look(laptop)
        finally:
            laptop.process.kill()
            laptop.process.wait()
            shutil.rmtree(laptop.base)
        return
    calls = [word for word in arguments[1:] if word != "--quick"] or (CALLS[:3] if is_quick else CALLS)
    laptop = Laptop(os.path.abspath(arguments[0]))
    kills, deaths = 0, [0]
    try:
        for call in calls:
            count = 1
            while one_round(laptop, "%s %d" % (call, count), call, count, deaths):
                kills += 1
                count += 4 if is_quick else 1
            print("%-10s killed up to call %d" % (call, count), flush=True)
        print("%d kills while publishing, %d while recovering" % (kills, deaths[0]))
    except (AssertionError, RuntimeError, OSError, ValueError) as error:
        print("FAILED at %s %d: %s" % (call, count, error))
        print("kept: " + laptop.base)
        laptop.process.kill()
        sys.exit(1)
    shutil.rmtree(laptop.base)


if __name__ == "__main__":
    main()
