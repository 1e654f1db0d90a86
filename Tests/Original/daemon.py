#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An independent imitation of the original tool's daemon, made from docs/protocol.md section 9 alone.

It shares nothing with Sources/. What ends the process of the original ends this one, with exit code 2. Each request is
a line of JSON in the log, so that a test sees what was said.

usage: daemon.py SOCKET FOLDER LOG [--full]     --full: every OK becomes ERROR 105, as on a full disk
"""
import hashlib
import json
import os
import posixpath
import socket
import sys
import threading


class Ended(Exception):
    """The connection is closed."""


class Dialogue:
    def __init__(self, connection, folder, log, is_full):
        self.file = connection.makefile("rwb")
        self.connection = connection
        self.folder, self.log, self.is_full = folder, log, is_full

    def run(self):
        try:
            while line := self.file.readline():
                self.answer(line.rstrip(b"\n").rstrip(b"\r"))
        except (Ended, OSError):
            pass
        try:
            # The file too, or the descriptor stays: what is unread takes the connection down hard, as in the original.
            self.file.close()
        except OSError:
            pass
        self.connection.close()

    def say(self, text):
        self.file.write(text)
        self.file.flush()

    def fail(self, text):
        self.say(text + b"\r\n")
        raise Ended

    def answer(self, line):
        with self.log:
            self.log.write(line)
        if line.startswith(b"PING"):
            self.say(b"OK PONG\r\n")
        elif line.startswith(b"PID"):
            self.say(b"OK PID %d, saveDir %s\r\n" % (os.getpid(), os.fsencode(self.folder)))
        elif line.startswith(b"SHUTDOWN"):
            self.say(b"OK Shutting down server...\r\n")
            os._exit(0)
        elif line.startswith(b"ECHO "):
            self.say(b"OK " + line[5:] + b"\r\n")
        elif line.startswith(b"NOTIFY "):
            self.say(b"OK\r\n")
        elif line.startswith((b"SEND ", b"VIEW ")):
            self.receive(line)
        else:
            self.say(b"ERROR 100 Unknown command: " + line)

    def receive(self, line):
        verb, size, name = line.split(b" ", 2)
        try:
            size = int(size)
        except ValueError:
            self.fail(b'ERROR 101 strconv.Atoi: parsing "%s": invalid syntax' % size)
        if verb == b"VIEW":
            target = None
            if len(posixpath.basename(name)) > 240:
                os._exit(2)
        else:
            target = self.place(name)
        self.say(b"READY\r\n")
        data = self.file.read(size)
        if len(data) != size:
            self.fail(b"ERROR 106 expected %d bytes, got %d bytes" % (size, len(data)))
        said = self.file.readline().rstrip(b"\r\n")
        digest = hashlib.sha256(data).hexdigest().encode()
        if said != digest:
            self.fail(b"ERROR 107 expected %s, got %s" % (said, digest))
        if self.is_full:
            self.fail(b"ERROR 105 write: no space left on device")
        if target is not None:
            with open(target, "wb") as file:
                file.write(data)
        self.say(b"OK\r\n")

    def place(self, name):
        clean = posixpath.normpath(name)
        while True:
            if len(clean) < 3:
                os._exit(2)
            if not clean.startswith(b"../"):
                break
            clean = posixpath.normpath(clean[3:])
        target = os.path.join(os.fsencode(self.folder), clean.lstrip(b"/"))
        if os.path.isdir(target):
            self.fail(b"ERROR 103 Cannot write to file: " + target)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except OSError as error:
            self.fail(b"ERROR  102 stat %s: %s" % (target, error.strerror.encode()))
        if len(os.path.basename(target)) > 244:
            self.fail(b"ERROR 104 open %s: file name too long" % target)
        return target


class Log:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()

    def write(self, line):
        self.file.write(json.dumps(line.decode("utf-8", "backslashreplace")) + "\n")
        self.file.flush()


def main():
    path, folder, log = sys.argv[1:4]
    listener = socket.socket(socket.AF_UNIX)
    os.umask(0o077)
    listener.bind(path)
    listener.listen(64)
    print("listening", file=sys.stderr, flush=True)
    shared = Log(log)
    while True:
        connection, _ = listener.accept()
        dialogue = Dialogue(connection, folder, shared, "--full" in sys.argv)
        threading.Thread(target=dialogue.run, daemon=True).start()


main()
