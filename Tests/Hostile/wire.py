#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second speaker of the rtun protocol, written from docs/protocol.md and docs/archive-format.md alone.

It shares no code with the program under test and checks nothing that it is told to send: whatever a hostile peer
could say, it can say. `wire.py RTUN_BINARY` is its self-test: one honest send, compared with what lands in the inbox.
"""

import base64
import hashlib
import os
import socket
import struct
import sys
import time
import zlib

HELLO, WELCOME, REFUSED = 0x01, 0x02, 0x03
ECHO, ECHOED, NOTIFY, NOTIFIED = 0x10, 0x11, 0x12, 0x13
OPEN, OPENED, ATTACH, ATTACHED = 0x20, 0x21, 0x22, 0x23
RECORDS, FRAME, COMMIT = 0x30, 0x31, 0x32
HAVE, WITHDRAW, RECEIVED, DURABLE, REJECT, COMMITTED = 0x40, 0x41, 0x42, 0x43, 0x44, 0x45
HEARTBEAT, ABORT = 0x50, 0x51

PROTOCOL, BUSY, POLICY, DISK_FULL, READ_ONLY, INPUT_OUTPUT, INTEGRITY, UNKNOWN = 1, 2, 3, 4, 5, 6, 7, 8
VERSION, INTERNAL, INTERRUPTED, STOPPING, QUOTA, TIMEOUT = 9, 10, 11, 12, 13, 14

FOLDER, FILE, SYMLINK, HARD_LINK = 1, 2, 3, 4
STORED, ZLIB, ZSTD = 0, 1, 2
MIB = 1 << 20


class Closed(Exception):
    """The daemon closed the connection."""


# Numbers and byte strings (archive-format.md section 1)

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def svarint(value):
    return varint((value << 1) ^ (value >> 63))


def byte_string(value):
    return varint(len(value)) + value


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


# Messages (protocol.md section 3)

def message(kind, body=b"", length=None, reserved=b"\0\0\0"):
    return struct.pack("<IB", len(body) if length is None else length, kind) + reserved + body


def fields(*pairs):
    """Pairs of tag and value; an integer becomes a varint."""
    out = b""
    for tag, value in pairs:
        out += varint(tag) + byte_string(varint(value) if isinstance(value, int) else value)
    return out


def parse_fields(body):
    found = {}
    at = 0
    while at < len(body):
        tag, at = read_varint(body, at)
        length, at = read_varint(body, at)
        found.setdefault(tag, []).append(body[at:at + length])
        at += length
    return found


def number_field(body, tag):
    values = parse_fields(body).get(tag)
    return None if not values else read_varint(values[0], 0)[0]


def hello(version=1, codecs=7, extra=()):
    return message(HELLO, fields((1, version), (2, codecs), (3, b"wire.py"), *extra))


def open_request(transfer, secret, purpose=0, destination=()):
    return message(OPEN, fields((1, transfer), (2, secret), (3, purpose), *[(4, name) for name in destination]))


def attach_request(transfer, secret, epoch):
    return message(ATTACH, fields((1, transfer), (2, secret), (3, epoch)))


# Records (archive-format.md section 3)

def record(kind, body):
    return bytes([kind]) + byte_string(body)


def header(version=1, minimum=524_288, average=2_097_152, maximum=4_194_304):
    return record(1, varint(version) + varint(minimum) + varint(average) + varint(maximum))


def entry(number, kind, name, parent=None, flags=0, mode=0o644, seconds=1_700_000_000, nanoseconds=0, size=0,
          target=b"", link=0, raw_parent=None, trailer=b""):
    if isinstance(name, str):
        name = name.encode()
    above = raw_parent if raw_parent is not None else 0 if parent is None else parent + 1
    body = varint(number) + bytes([kind, flags]) + varint(above) + byte_string(name)
    body += varint(mode) + svarint(seconds) + varint(nanoseconds)
    if kind == FILE:
        body += varint(size)
    elif kind == SYMLINK:
        body += byte_string(target)
    elif kind == HARD_LINK:
        body += varint(link)
    return record(2, body + trailer)


def chunk_item(data_or_length, digest=None):
    if isinstance(data_or_length, int):
        return varint(data_or_length << 1) + digest
    return varint(len(data_or_length) << 1) + (digest or hashlib.sha256(data_or_length).digest())


def hole_item(length):
    return varint(length << 1 | 1)


def chunks(number, *items, last=True, flags=None):
    return record(3, varint(number) + bytes([int(last) if flags is None else flags]) + b"".join(items))


def retract(number, reason=1):
    return record(4, varint(number) + bytes([reason]))


def file_records(number, name, data, parent=None, **more):
    """ENTRY and CHUNKS of a file that is one chunk, or none where it is empty."""
    out = entry(number, FILE, name, parent, size=len(data), **more)
    return out + (chunks(number, chunk_item(data)) if data else b"")


# What travels (protocol.md section 5, archive-format.md section 4)

def records_body(batch, codec=STORED, raw_size=None, payload=None):
    if payload is None:
        payload = zlib.compress(batch) if codec == ZLIB else batch
    return struct.pack("<BBHI", codec, 0, 0, len(batch) if raw_size is None else raw_size) + payload


def frame_body(number, runs, data, codec=STORED, payload=None, run_count=None):
    if payload is None:
        payload = zlib.compress(data) if codec == ZLIB else data
    out = struct.pack("<QBBH", number, codec, 0, len(runs) if run_count is None else run_count)
    for first, count in runs:
        out += struct.pack("<QI", first, count)
    return out + payload


class Connection:
    """One connection to the daemon; every wait has a deadline."""

    def __init__(self, path, timeout=8.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        end = time.monotonic() + timeout
        while True:
            try:
                self.socket.connect(path)
                break
            except BlockingIOError:
                # The daemon's backlog is full for now.
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.buffer = b""
        self.answer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """True if everything was taken; a daemon that has closed already is no failure here."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed()
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def receive(self):
        """The next message: its type and its body."""
        while len(self.buffer) < 8:
            self.more()
        length, kind = struct.unpack("<IB", self.buffer[:5])
        if self.buffer[5:8] != b"\0\0\0" or length > 5 * MIB:
            raise ValueError("no message: %r" % self.buffer[:40])
        while len(self.buffer) < 8 + length:
            self.more()
        body = self.buffer[8:8 + length]
        self.buffer = self.buffer[8 + length:]
        return kind, body

    def greet(self, request=b"", greeting=None):
        """Shakes hands; returns the answer to the request, or REFUSED, or None."""
        text = base64.urlsafe_b64encode((hello() if greeting is None else greeting) + request).rstrip(b"=")
        self.send(b"XCAPS 1 " + text + b"\r\nPING\r\n")
        return self.read_welcome()

    def read_welcome(self):
        line = self.line()
        if not line.startswith(b"XCAPS 1 "):
            raise ValueError("no greeting: %r" % line[:80])
        text = line[8:]
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        parts = []
        while data:
            length, kind = struct.unpack("<IB", data[:5])
            parts.append((kind, data[8:8 + length]))
            data = data[8 + length:]
        if self.line() != b"OK PONG":
            raise ValueError("the greeting does not end with OK PONG")
        self.answer = parts
        return parts[-1] if parts[0][0] == REFUSED or len(parts) > 1 else None

    def drain(self, until=(COMMITTED, ABORT, REFUSED)):
        """Reads until one of these messages or the end; returns (type, body) or (None, b"")."""
        try:
            while True:
                kind, body = self.receive()
                if kind in until:
                    return kind, body
        except Closed:
            return None, b""


class Transfer(Connection):
    """A send: keeps the manifest, numbers frames, and says anything that it is told to."""

    def __init__(self, path, destination=(), purpose=0, timeout=8.0, transfer=None, is_open=True):
        super().__init__(path, timeout)
        self.transfer = transfer or os.urandom(8)
        self.secret = os.urandom(32)
        self.manifest = hashlib.sha256()
        self.record_count = 0
        self.frame_count = 0
        self.ordinal = 0
        self.rejected = []
        self.opened = self.greet(open_request(self.transfer, self.secret, purpose, destination)) if is_open else None
        self.epoch = number_field(self.opened[1], 1) if self.opened and self.opened[0] == OPENED else None

    def records(self, *parts, codec=STORED):
        batch = b"".join(parts)
        self.manifest.update(batch)
        at = 0
        while at < len(batch):
            try:
                length, start = read_varint(batch, at + 1)
            except IndexError:
                break
            self.record_count += 1
            at = start + length
        return self.send(message(RECORDS, records_body(batch, codec)))

    def frame(self, data, count=1, codec=STORED, payload=None, runs=None, number=None, on=None):
        runs = [(self.ordinal, count)] if runs is None else runs
        body = frame_body(self.frame_count if number is None else number, runs, data, codec, payload)
        self.frame_count += 1
        self.ordinal += count
        return (on or self).send(message(FRAME, body))

    def file(self, number, name, data, parent=None, codec=STORED, **more):
        self.records(file_records(number, name, data, parent, **more))
        if data:
            self.frame(data, codec=codec)

    def commit(self, records=None, frames=None, digest=None):
        body = struct.pack(
            "<QQ",
            self.record_count if records is None else records,
            self.frame_count if frames is None else frames,
        )
        return self.send(message(COMMIT, body + (self.manifest.digest() if digest is None else digest)))

    def end(self):
        """Reads to the end of the transfer: (COMMITTED, names), (ABORT, code) or (None, None)."""
        try:
            while True:
                kind, body = self.receive()
                if kind == REJECT:
                    self.rejected.append((number_field(body, 1), number_field(body, 2)))
                elif kind == COMMITTED:
                    return kind, [name.decode() for name in parse_fields(body).get(1, [])]
                elif kind in (ABORT, REFUSED):
                    self.abort_body = body
                    return kind, number_field(body, 1)
        except Closed:
            return None, None


def honest_send(path, name, data, codec=STORED, piece=MIB):
    """Sends one file whole, in chunks of `piece`; returns its final name."""
    with Transfer(path, timeout=20) as transfer:
        if transfer.epoch is None:
            raise RuntimeError("an honest send was refused: %r" % (transfer.opened,))
        pieces = [data[at:at + piece] for at in range(0, len(data), piece)]
        transfer.records(header(), entry(0, FILE, name, size=len(data)),
                         chunks(0, *[chunk_item(part) for part in pieces]) if pieces else b"")
        for part in pieces:
            packed = zlib.compress(part) if codec == ZLIB else None
            shrinks = packed is not None and len(packed) < len(part)
            transfer.frame(part, codec=ZLIB if shrinks else STORED)
        transfer.commit()
        kind, names = transfer.end()
        if kind != COMMITTED:
            raise RuntimeError("an honest send ended with %r %r" % (kind, names))
        return names[0]


def self_test(binary):
    import subprocess
    import tempfile
    base = tempfile.mkdtemp(prefix="rtun-wire-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    inbox = os.path.join(base, "inbox")
    environment = dict(os.environ, RTUN_DIR=os.path.join(base, "state"))
    path = os.path.join(base, "state", "rtun.sock")
    subprocess.run([binary, "server", "-d", "-D", inbox], env=environment, check=True, timeout=30)
    try:
        # What the specification says is encoded as the specification says.
        assert varint(300) == b"\xac\x02" and svarint(-1) == b"\x01" and varint(2**64 - 1).hex() == "ff" * 9 + "01"
        with Connection(path) as connection:
            assert connection.greet(message(ECHO, b"hello")) == (ECHOED, b"hello")
        data = os.urandom(3 * MIB) + b"rtun " * 700_000
        for codec in (STORED, ZLIB):
            name = honest_send(path, "honest-%d.bin" % codec, data, codec)
            with open(os.path.join(inbox, name), "rb") as file:
                assert file.read() == data, "the inbox does not hold what was sent"
        with Transfer(path) as transfer:
            transfer.records(header(), entry(0, FOLDER, "tree", mode=0o755), codec=STORED)
            transfer.file(1, "empty", b"", 0)
            transfer.file(2, "small", b"abc" * 100, 0, codec=ZLIB)
            transfer.records(entry(3, SYMLINK, "link", 0, target=b"small"),
                             entry(4, HARD_LINK, "again", 0, link=2))
            transfer.commit()
            ended = transfer.end()
            assert ended == (COMMITTED, ["tree"]), (ended, transfer.rejected, getattr(transfer, "abort_body", None))
        assert os.readlink(os.path.join(inbox, "tree/link")) == "small"
        assert os.stat(os.path.join(inbox, "tree/again")).st_nlink == 2
        assert open(os.path.join(inbox, "tree/small"), "rb").read() == b"abc" * 100
        for _ in range(40):
            if not os.path.exists(os.path.join(inbox, ".rtun-part")):
                break
            time.sleep(0.05)
        assert sorted(n for n in os.listdir(inbox) if not n.startswith(".rtun-inbox")) \
            == ["honest-0.bin", "honest-1.bin", "tree"]
    finally:
        subprocess.run([binary, "server", "--stop"], env=environment, timeout=30)
        import shutil
        shutil.rmtree(base, ignore_errors=True)
    print("wire.py: the self-test passed")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: wire.py RTUN_BINARY")
    self_test(os.path.abspath(sys.argv[1]))
