# SPDX-License-Identifier: MIT
"""A link between two sockets that can be cut, frozen, slowed to single bytes and mangled; it knows what it saw."""

import os
import selectors
import socket
import struct
import threading
import time

RECORDS, FRAME, DURABLE, COMMITTED = 0x30, 0x31, 0x43, 0x45
PIECE = 256 << 10


class Meter:
    """Follows the messages (docs/protocol.md section 3) of one direction of one connection."""

    def __init__(self, greeting_lines):
        self.lines = greeting_lines
        self.pending = b""
        self.skip = 0

    def take(self, data):
        """Yields (kind, length, first bytes of the body) of each message that begins in the data."""
        view = data
        if self.lines:
            self.pending += view
            while self.lines:
                end = self.pending.find(b"\n")
                if end < 0:
                    return
                self.pending = self.pending[end + 1:]
                self.lines -= 1
            view, self.pending = self.pending, b""
        if self.pending:
            view = self.pending + view
            self.pending = b""
        at = 0
        while at < len(view):
            if self.skip:
                step = min(self.skip, len(view) - at)
                self.skip -= step
                at += step
                continue
            # The header, and of a body what holds the number of a frame.
            if len(view) - at < 8:
                self.pending = view[at:]
                return
            length, kind = struct.unpack_from("<IB", view, at)
            wanted = length if kind == DURABLE else min(length, 12)
            if len(view) - at < 8 + wanted:
                self.pending = view[at:]
                return
            yield kind, length, view[at + 8:at + 8 + wanted]
            at += 8 + wanted
            self.skip = length - wanted


class Pair:
    """One connection through the relay: what waits to be written to either side."""

    def __init__(self, near, far):
        self.ends = (near, far)
        self.waiting = [b"", b""]          # by direction: 0 up (from the sender), 1 down
        self.has_ended = [False, False]
        self.meters = (Meter(2), Meter(2))


class Relay:
    """Listens at `path`, passes connections on to `target`; both are paths of UNIX sockets, or TCP ports.

    A thread of its own moves the bytes. Switches (`freeze`, `cut`, …) take effect at once.
    """

    def __init__(self, path, target, watch=True):
        self.path, self.target, self.watch = path, target, watch
        self.up = self.down = 0
        self.connections = 0
        self.piece = PIECE
        self.mangle_at = None
        self.cut_at = None
        self.is_refusing = False
        self.is_frozen = False
        self.first_frame = None            # time.monotonic() of the first FRAME since `mark`
        self.sent_frames = {}              # (connection, number): payload bytes
        self.frame_bytes = 0
        self.durable_bytes = 0
        self.kinds = {}
        self.on_up = None
        self.lock = threading.Lock()
        self.pairs = []
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = os.pipe()
        os.set_blocking(self.wake_write, False)
        os.set_blocking(self.wake_read, False)
        self.listener = None
        self.is_ended = False
        self.selector.register(self.wake_read, selectors.EVENT_READ)
        self.listen()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    # What a case does

    def mark(self):
        """Forgets the first frame that was seen, so that the next one is the first."""
        self.first_frame = None

    def freeze(self):
        """Nothing moves any more and nothing ends; connections still open, as with a half-dead sshd."""
        self.is_frozen = True
        self.wake()

    def thaw(self):
        self.is_frozen = False
        self.wake()

    def cut(self):
        """Ends every connection at once; new ones are taken."""
        with self.lock:
            for pair in self.pairs:
                self.close(pair)
            self.pairs = []

    def go_down(self):
        """Cuts, and refuses every new connection as a socket that sshd left behind does."""
        if self.listener is not None:
            with self.lock:
                if self.listener in self.selector.get_map():
                    self.selector.unregister(self.listener)
                self.listener.close()
                self.listener = None
        self.cut()

    def come_back(self):
        if isinstance(self.path, str) and os.path.exists(self.path):
            os.unlink(self.path)
        self.listen()
        self.wake()

    def stop(self):
        self.is_ended = True
        self.wake()
        self.thread.join(5)
        self.go_down()
        if isinstance(self.path, str) and os.path.exists(self.path):
            os.unlink(self.path)
        os.close(self.wake_read)
        os.close(self.wake_write)
        self.selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # What the thread does

    def listen(self):
        listener = socket.socket(socket.AF_UNIX if isinstance(self.path, str) else socket.AF_INET)
        if not isinstance(self.path, str):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.path if isinstance(self.path, str) else ("127.0.0.1", self.path))
        if isinstance(self.path, str):
            os.chmod(self.path, 0o600)
        else:
            self.path = listener.getsockname()[1]
        listener.listen(64)
        listener.setblocking(False)
        with self.lock:
            self.listener = listener
            self.selector.register(listener, selectors.EVENT_READ)

    def wake(self):
        try:
            os.write(self.wake_write, b"x")
        except OSError:
            pass

    def work(self):
        while not self.is_ended:
            events = {}
            with self.lock:
                self.arrange()
            for key, mask in self.selector.select(1):
                events[key.fileobj] = mask
            if self.wake_read in events:
                try:
                    os.read(self.wake_read, 4096)
                except BlockingIOError:
                    pass
            with self.lock:
                if self.listener is not None and self.listener in events and not self.is_frozen:
                    self.accept()
                for pair in list(self.pairs):
                    if pair in self.pairs:
                        self.move(pair, events)

    def arrange(self):
        """Tells the selector what is wanted of every socket."""
        if self.listener is not None:
            is_registered = self.listener in self.selector.get_map()
            if self.is_frozen and is_registered:
                self.selector.unregister(self.listener)
            elif not self.is_frozen and not is_registered:
                self.selector.register(self.listener, selectors.EVENT_READ)
        for pair in self.pairs:
            for side in (0, 1):
                wanted = 0
                if not self.is_frozen:
                    if not pair.waiting[side] and not pair.has_ended[side]:
                        wanted |= selectors.EVENT_READ
                    if pair.waiting[1 - side]:
                        wanted |= selectors.EVENT_WRITE
                end = pair.ends[side]
                known = self.selector.get_map().get(end)
                if known is None and wanted:
                    self.selector.register(end, wanted)
                elif known is not None and not wanted:
                    self.selector.unregister(end)
                elif known is not None and known.events != wanted:
                    self.selector.modify(end, wanted)

    def accept(self):
        near, _ = self.listener.accept()
        far = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
        try:
            if self.is_refusing:
                raise ConnectionRefusedError
            far.connect(self.target if isinstance(self.target, str) else ("127.0.0.1", self.target))
        except OSError:
            # As sshd does: the connection opened, and ends.
            near.close()
            far.close()
            return
        near.setblocking(False)
        far.setblocking(False)
        self.connections += 1
        self.pairs.append(Pair(near, far))

    def move(self, pair, events):
        for side in (0, 1):
            source, sink = pair.ends[side], pair.ends[1 - side]
            try:
                if events.get(source, 0) & selectors.EVENT_READ and not pair.waiting[side]:
                    data = source.recv(self.piece)
                    if not data:
                        pair.has_ended[side] = True
                        sink.shutdown(socket.SHUT_WR)
                    else:
                        pair.waiting[side] = self.seen(pair, side, data)
                if pair.waiting[side]:
                    sent = sink.send(pair.waiting[side])
                    pair.waiting[side] = pair.waiting[side][sent:]
            except BlockingIOError:
                continue
            except OSError:
                self.close(pair)
                if pair in self.pairs:
                    self.pairs.remove(pair)
                return
        if all(pair.has_ended) and not any(pair.waiting):
            self.close(pair)
            self.pairs.remove(pair)
        elif self.cut_at is not None and self.up >= self.cut_at:
            self.cut_at = None
            for other in self.pairs:
                self.close(other)
            self.pairs = []

    def seen(self, pair, side, data):
        if side == 1:
            self.down += len(data)
        else:
            if self.mangle_at is not None and self.up <= self.mangle_at < self.up + len(data):
                place = self.mangle_at - self.up
                data = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1:]
                self.mangle_at = None
            self.up += len(data)
        if self.watch:
            for kind, length, body in pair.meters[side].take(data):
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
                if side == 0 and kind == FRAME:
                    if self.first_frame is None:
                        self.first_frame = time.monotonic()
                    runs = struct.unpack_from("<H", body, 10)[0]
                    payload = length - 12 - 12 * runs
                    self.frame_bytes += payload
                    self.sent_frames[struct.unpack_from("<Q", body)[0]] = payload
                elif side == 1 and kind == DURABLE:
                    for at in range(0, len(body), 12):
                        first, count = struct.unpack_from("<QI", body, at)
                        self.durable_bytes += sum(self.sent_frames.get(n, 0) for n in range(first, first + count))
        if side == 0 and self.on_up is not None:
            self.on_up(self)
        return data

    def close(self, pair):
        for end in pair.ends:
            if end in self.selector.get_map():
                self.selector.unregister(end)
            end.close()
