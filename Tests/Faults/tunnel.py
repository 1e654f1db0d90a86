# SPDX-License-Identifier: MIT
"""A real `ssh -R` through a private sshd on loopback, whose every process can be killed or frozen."""

import os
import signal
import subprocess

from cases import Failure, Skip
from programs import children, wait_for

HOST = "rtun-loop"


class Sshd:
    """One sshd for all cases (scripts/loopback-ssh); `lines` of configuration make it one for a single case."""

    def __init__(self, rig, name="sshd", lines=()):
        self.script = os.path.join(rig.root, "scripts", "loopback-ssh")
        self.folder = os.path.join(rig.scratch, name)
        status = subprocess.run([self.script, "start", self.folder, *lines], stdin=subprocess.DEVNULL,
                                check=False).returncode
        if status == 69:
            raise Skip("there is no sshd")
        if status != 0:
            raise Failure("sshd did not start")
        self.configuration = os.path.join(self.folder, "ssh_config")
        with open(os.path.join(self.folder, "loopback.pid")) as file:
            self.pid = int(file.read())

    @property
    def port(self):
        with open(self.configuration) as file:
            return int(next(line.split()[1] for line in file if line.split()[:1] == ["Port"]))

    def stop(self):
        subprocess.run([self.script, "stop", self.folder], check=False)


class Tunnel:
    """The laptop's ssh: `rtun.sock.N` in the server's state folder leads to `target` on the laptop.

    Each login makes a new socket, as operations.md advises. With `through` (a port) ssh goes over another relay.
    """

    def __init__(self, site, target=None, through=None, up=True):
        rig = site.rig
        if rig.sshd is None:
            rig.sshd = Sshd(rig)
        self.site, self.sshd, self.through = site, rig.sshd, through
        self.target = target or site.daemon_socket
        self.number = 0
        self.process = self.session = None
        if up:
            self.up()

    def up(self):
        self.number += 1
        self.socket = os.path.join(self.site.server, f"rtun.sock.{self.number}")
        before = set(children(self.sshd.pid))
        detour = []
        if self.through is not None:
            detour = ["-o", f"Port={self.through}", "-o", f"HostKeyAlias=[127.0.0.1]:{self.sshd.port}"]
        self.process = subprocess.Popen(
            ["ssh", *detour, "-F", self.sshd.configuration, "-N", "-o", "ExitOnForwardFailure=yes", "-R",
             f"{self.socket}:{self.target}", HOST],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(30, "ssh -R", lambda: os.path.exists(self.socket) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failure(f"ssh ended with {self.process.returncode}")
        new = set(children(self.sshd.pid)) - before
        self.session = new.pop() if new else None

    def kill_ssh(self):
        """The laptop's ssh dies; both ends see the end at once, the socket's file stays."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def kill_session(self):
        """The server's side of the session dies: sshd's process, not the one that listens."""
        if self.session is not None:
            for child in children(self.session):
                os.kill(child, signal.SIGKILL)
            try:
                os.kill(self.session, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.kill_ssh()
