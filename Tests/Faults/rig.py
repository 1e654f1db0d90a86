# SPDX-License-Identifier: MIT
"""Both ends on one machine: a laptop with its daemon and the world around its inbox, and a server that sends."""

import os
import shutil
import stat
import tempfile

import trees
from programs import PATIENCE, Daemon, Send

MIB = 1 << 20


class Site:
    """Folders of a laptop and of a server. `daemon_socket` is the daemon's, `socket` what senders are given.

    `source` is a folder of sources that outlives the site.
    """

    def __init__(self, rig, inbox=None, source=None):
        self.rig = rig
        self.base = tempfile.mkdtemp(prefix="s", dir=rig.scratch)
        self.laptop, self.server = os.path.join(self.base, "l"), os.path.join(self.base, "s")
        self.source = source or os.path.join(self.base, "src")
        self.world = os.path.join(self.base, "w")
        for folder in (self.laptop, self.server, self.source, self.world):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self.inbox = inbox or os.path.join(self.world, "inbox")
        os.makedirs(self.inbox, mode=0o700, exist_ok=True)
        self.daemon_socket = os.path.join(self.laptop, "rtun.sock")
        self.socket = self.daemon_socket
        self.log = os.path.join(self.base, "daemon.log")
        plain = {key: value for key, value in os.environ.items()
                 if not key.startswith(("RTUN", "XDG")) and key not in ("DISPLAY", "WAYLAND_DISPLAY")}
        plain["SWIFT_BACKTRACE"] = "enable=no"
        # The disks of these tests are small: none of their space is kept free.
        settings = os.path.join(self.laptop, "config")
        os.makedirs(os.path.join(settings, "rtun"), exist_ok=True)
        with open(os.path.join(settings, "rtun", "config.toml"), "w") as file:
            file.write("[limits]\nfloor = 0\n")
        self.laptop_environment = {
            **plain, "HOME": self.laptop, "RTUN_DIR": self.laptop, "XDG_CONFIG_HOME": settings}
        self.server_environment = {**plain, "HOME": self.server, "RTUN_DIR": self.server}
        self.daemon = None
        self.make_world()
        self.before = self.snapshot()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.daemon is not None:
            self.daemon.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    # O1: what lies outside the inbox

    def make_world(self):
        for name in [".ssh/authorized_keys", ".zshrc", "Library/LaunchAgents/x.plist"] \
                + [f"d{n % 10}/f{n}" for n in range(197)]:
            path = os.path.join(self.world, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write("sentinel " + name)
            os.utime(path, (10**9, 10**9))

    def snapshot(self):
        seen = {}
        for folder, folders, files in os.walk(self.world):
            if folder == self.world and "inbox" in folders:
                folders.remove("inbox")
            for name in folders + files:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                text = open(path, "rb").read() if stat.S_ISREG(status.st_mode) else b""
                seen[path] = (status.st_mode, status.st_nlink, status.st_size, status.st_mtime_ns, text)
        return seen

    # Processes

    def start(self, **more):
        self.daemon = Daemon(self, **more)
        return self.daemon

    def ensure_daemon(self):
        """Starts it again where its supervisor has given up: five deaths in a minute, as documented."""
        if self.daemon is None or not self.daemon.is_running():
            self.daemon = None
            self.start()
            return True
        return False

    def send(self, *arguments, **more):
        return Send(self, arguments, **more)

    def run(self, *arguments, seconds=PATIENCE, **more):
        return Send(self, arguments, **more).finish(seconds)

    # The inbox

    def arrived(self, name="tree"):
        return os.path.join(self.inbox, name)

    def names(self):
        """Final names; the daemon's own folders are left out."""
        return sorted(name for name in os.listdir(self.inbox) if not name.startswith(".rtun-"))

    def staged(self):
        """Names of staging folders."""
        try:
            return sorted(os.listdir(os.path.join(self.inbox, ".rtun-part")))
        except FileNotFoundError:
            return []

    def journal_bytes(self):
        """Of all unfinished transfers: more than a header means that something is durable."""
        found = 0
        for name in self.staged():
            try:
                found += os.path.getsize(os.path.join(self.inbox, ".rtun-part", name, "journal"))
            except OSError:
                pass
        return found

    def has_noticed(self):
        """Whether the daemon has seen a link break or a transfer end since it was started.

        One that had everything when its link broke is published, and ends like any other.
        """
        with open(self.log) as file:
            return any(line.endswith(": received\n") or "ended" in line or "a link broke" in line for line in file)

    def clear_inbox(self, keeps_identity=True):
        for name in os.listdir(self.inbox):
            path = os.path.join(self.inbox, name)
            if name == ".rtun-inbox" and keeps_identity or name == "lost+found":
                continue
            if name.startswith(".rtun-") and os.path.isdir(path):
                # The folders themselves are the daemon's, which may hold them open.
                for inner in os.scandir(path):
                    if inner.is_dir(follow_symlinks=False):
                        shutil.rmtree(inner.path, ignore_errors=True)
                    else:
                        os.unlink(inner.path)
            elif os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    def path(self, name="tree"):
        return os.path.join(self.source, name)

    def make_tree(self, random, name="tree", **more):
        trees.make(self.path(name), random, **more)

    def make_file(self, name, size, random):
        trees.write_random(self.path(name), size, random)
        os.utime(self.path(name), ns=(15 * 10**17, 15 * 10**17))


class Rig:
    """What all cases share: the program, where its data lies, how much is done."""

    def __init__(self, binary, scratch, root, amount, settled=None):
        self.binary, self.root = binary, root
        self.settled = settled              # folder of sources that are over ten minutes old, kept for the next run
        self.scratch = tempfile.mkdtemp(prefix="f", dir=scratch)
        self.amount = amount                # "quick", "normal" or "full"
        self.sshd = None

    def pick(self, quick, normal, full=None):
        return {"quick": quick, "normal": normal, "full": normal if full is None else full}[self.amount]

    def site(self, **more):
        return Site(self, **more)

    def end(self):
        if self.sshd is not None:
            self.sshd.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)
