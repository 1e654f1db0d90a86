# SPDX-License-Identifier: MIT
"""Both ends on one machine: the laptop's daemon, the tunnel to it through a real sshd, and the programs to compare."""

import os
import re
import select
import shlex
import socket
import struct
import subprocess
import sys
import time

import data
import measure
from measure import Failure

HOST = "rtun-loop"
# What `rtun ssh` offers first where the processor computes AES.
QUICK_CIPHER = "aes128-gcm@openssh.com"
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def wait_for(seconds, what, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.01)


class Link:
    """A relay between ssh and sshd, and the ssh configuration that leads through it."""

    def __init__(self, rig, rate, round_trip):
        self.rate, self.round_trip = rate, round_trip
        self.counters = os.path.join(rig.memory, "link")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(rig.scripts, "relay"), "--to", rig.port, "--rate", str(rate),
             "--round-trip", str(round_trip), "--counters", self.counters],
            stdout=subprocess.PIPE, text=True)
        port = self.process.stdout.readline().strip()
        if not port:
            raise Failure("the relay did not start")
        self.configuration = os.path.join(rig.memory, "ssh_link")
        with open(self.configuration, "w") as file:
            file.write(f"Host {HOST}\n    Port {port}\n    HostKeyAlias [127.0.0.1]:{rig.port}\n"
                       f"Include {rig.configuration}\n")

    def bytes(self):
        """What has crossed the link so far, both directions together."""
        with open(self.counters, "rb") as file:
            return sum(struct.unpack("<QQ", file.read(16)))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Rig:
    def __init__(self, environment):
        self.memory = environment["BENCH_MEMORY"]
        self.scripts = environment["BENCH_SCRIPTS"]
        self.binary = os.path.join(self.memory, "rtun")
        self.configuration = os.path.join(self.memory, "sshd", "ssh_config")
        self.port = measure.first_line(self.configuration, "    Port")
        with open(os.path.join(self.memory, "sshd", "loopback.pid")) as file:
            self.sshd = int(file.read())
        self.laptop = os.path.join(self.memory, "l")
        self.server = os.path.join(self.memory, "s")
        self.socket = os.path.join(self.laptop, "r", "rtun.sock")
        self.opened = os.path.join(self.memory, "opened")
        self.daemon = self.tunnel = self.quick_tunnel = self.link = None
        self.tunnel_number = 0
        clean = {key: value for key, value in os.environ.items()
                 if not key.startswith(("RTUN", "XDG", "BENCH")) and key not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self.plain = {**clean, "LC_ALL": "C.UTF-8"}
        self.on_laptop = {**self.plain, "HOME": self.laptop, "RTUN_DIR": os.path.join(self.laptop, "r"),
                          "PATH": os.path.join(self.memory, "bin") + ":" + clean.get("PATH", "/usr/bin:/bin")}
        self.on_server = {**self.plain, "HOME": self.server, "RTUN_DIR": os.path.join(self.server, "r")}
        self.make_desktop()

    def make_desktop(self):
        """An opener and a notifier that only say that they were started."""
        os.mkfifo(self.opened)
        self.opened_descriptor = os.open(self.opened, os.O_RDWR | os.O_NONBLOCK)
        os.mkdir(os.path.join(self.memory, "bin"))
        for name in ("xdg-open", "notify-send"):
            path = os.path.join(self.memory, "bin", name)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\necho >'{self.opened}'\n")
            os.chmod(path, 0o755)

    def wait_until_opened(self, seconds=20):
        if not select.select([self.opened_descriptor], [], [], seconds)[0]:
            raise Failure("nothing was opened or shown on the laptop")
        os.read(self.opened_descriptor, 4096)

    # The daemon, as new as after its installation: nothing known, nothing received.

    def start_daemon(self, inbox):
        self.stop_daemon()
        for folder in (self.laptop, self.server, inbox):
            data.remove(folder)
            os.makedirs(folder, mode=0o700)
        for environment in (self.on_laptop, self.on_server):
            os.mkdir(environment["RTUN_DIR"], 0o700)
        with open(os.path.join(self.memory, "daemon.err"), "wb") as errors:
            self.daemon = subprocess.Popen(
                [self.binary, "server", "-D", inbox], env=self.on_laptop, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
        wait_for(20, "the daemon", lambda: self.answers() or self.daemon.poll() is not None)
        if self.daemon.poll() is not None:
            raise Failure("the daemon ended: " + measure.first_line(errors.name))
        self.inbox = inbox

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as end:
                end.connect(self.socket)
        except OSError:
            return False
        return len(measure.children(self.daemon.pid)) > 0

    @property
    def worker(self):
        """The process of the daemon that serves peers."""
        return measure.children(self.daemon.pid)[0]

    def stop_daemon(self):
        if self.daemon is None:
            return
        daemon, self.daemon = self.daemon, None
        daemon.terminate()
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            measure.kill_group(daemon.pid)
            daemon.wait(15)
        # Nothing may write below the inbox any more; a daemon that stopped well has left nothing.
        measure.kill_group(daemon.pid)

    # The tunnel

    def ssh(self):
        return ["ssh", "-F", self.link.configuration if self.link else self.configuration]

    def start_tunnel(self, link=None, with_quick=False):
        """A plain `ssh -R`; `with_quick` also one with the cipher that `rtun ssh` offers first."""
        self.stop_tunnel()
        self.link = link
        self.tunnel_number += 1
        self.remote = os.path.join(self.memory, f"remote{self.tunnel_number}.sock")
        self.tunnel = self.start_ssh(self.remote)
        if with_quick:
            self.quick_remote = os.path.join(self.memory, f"quick{self.tunnel_number}.sock")
            self.quick_tunnel = self.start_ssh(self.quick_remote, ["-c", QUICK_CIPHER])

    def break_tunnel(self):
        """Kills ssh, as a lost laptop does; the link and the socket's file stay."""
        self.tunnel.kill()
        self.tunnel.wait(15)

    def mend_tunnel(self):
        """The same tunnel anew, at the same place."""
        if os.path.exists(self.remote):
            os.remove(self.remote)
        self.tunnel = self.start_ssh(self.remote)

    def start_ssh(self, remote, options=()):
        tunnel = subprocess.Popen(
            [*self.ssh(), *options, "-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{remote}:{self.socket}", HOST],
            env=self.plain, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for(30, "ssh -R", lambda: os.path.exists(remote) or tunnel.poll() is not None)
        if tunnel.poll() is not None:
            raise Failure("ssh -R ended")
        return tunnel

    def stop_tunnel(self):
        for tunnel in (self.tunnel, self.quick_tunnel):
            if tunnel is not None:
                tunnel.terminate()
                tunnel.wait(15)
        self.tunnel = self.quick_tunnel = None
        if self.link is not None:
            self.link.stop()
            self.link = None

    def stop(self):
        self.stop_tunnel()
        self.stop_daemon()

    # One run of one program

    def cpu(self):
        """CPU seconds so far: of the daemon, and of ssh and sshd with all that they carry."""
        daemon = measure.family_cpu(self.daemon.pid) if self.daemon else 0
        tunnels = sum(measure.family_cpu(each.pid) for each in (self.tunnel, self.quick_tunnel) if each)
        return daemon, tunnels + measure.family_cpu(self.sshd)

    def run(self, contender, source, destination, limit=900):
        """Sends `source`; returns what it took, and where the result is."""
        is_rtun = contender.startswith("rtun")
        if is_rtun:
            arguments = [self.binary, "send", "-r", source] if os.path.isdir(source) else [self.binary, "send", source]
            environment = {**self.on_server, "RTUN_SOCK": self.quick_remote if contender == "rtun-quick" else self.remote}
        else:
            command = peer_command(contender, shlex.join(self.ssh()), source, destination)
            arguments = ["bash", "-c", "set -o pipefail; " + command + " && sync -f " + shlex.quote(destination)]
            environment = self.plain
        members = len(measure.family(self.sshd))
        crossed = self.link.bytes() if self.link else 0
        before = self.cpu()
        outcome = measure.run(arguments, environment, self.memory, limit)
        outcome.require_success(contender)
        if not is_rtun:
            # sshd's part is known once it has waited for its children.
            deadline = time.monotonic() + 1
            while len(measure.family(self.sshd)) > members and time.monotonic() < deadline:
                time.sleep(0.01)
        after = self.cpu()
        result = {
            "seconds": round(outcome.seconds, 4),
            "cpu_client": round(outcome.cpu, 3),
            "cpu_ssh": round(after[1] - before[1], 3),
        }
        if self.link:
            time.sleep(self.link.round_trip / 1000)
            result["link_bytes"] = self.link.bytes() - crossed
        name = os.path.basename(source)
        if is_rtun:
            result["cpu_daemon"] = round(after[0] - before[0], 3)
            result["peak_client_kib"] = outcome.peak_kib
            result["peak_daemon_kib"] = measure.peak_kib(self.worker)
            told = re.search(r"([\d.]+) ([kMGT]?B) over the wire", outcome.output)
            if told:
                result["wire_bytes"] = int(float(told[1]) * UNITS[told[2]])
        return result, os.path.join(destination, name)


def peer_command(contender, ssh, source, destination):
    """The shell line that fetches `source` from the server's side into `destination`, as its user would write it."""
    parent, name = os.path.split(source)
    remote = shlex.quote(f"{HOST}:{source}")
    into = shlex.quote(destination)
    pack = f"tar -C {shlex.quote(parent)} -cf - {shlex.quote(name)}"
    through = {f"tar-zstd{level}": level for level in (1, 9)}
    if contender == "cp":
        return f"cp -r {shlex.quote(source)} {into}/"
    if contender == "scp":
        return f"scp -q -r{ssh[len('ssh'):]} {remote} {into}/"
    if contender.startswith("rsync"):
        level = contender[len("rsync-z"):]
        packing = f"-z --zc=zstd --zl={level} " if level else ""
        return f"rsync -a {packing}-e {shlex.quote(ssh)} {remote} {into}/"
    if contender == "tar":
        return f"{ssh} {HOST} {shlex.quote(pack)} | tar -C {into} -xf -"
    if contender in through:
        packed = f"{pack} | zstd -q -{through[contender]}"
        return f"{ssh} {HOST} {shlex.quote(packed)} | zstd -q -d | tar -C {into} -xf -"
    raise ValueError(contender)


LABELS = {
    "rtun": "rtun send",
    "rtun-quick": "rtun send, tunnel as by rtun ssh",
    "scp": "scp -r",
    "rsync": "rsync -a",
    "rsync-z1": "rsync -az, zstd 1",
    "rsync-z3": "rsync -az, zstd 3",
    "tar": "tar | ssh | tar",
    "tar-zstd1": "tar | zstd -1 | ssh | …",
    "tar-zstd9": "tar | zstd -9 | ssh | …",
    "cp": "cp -r (no network)",
}


def compare(source, result, scratch, environment):
    """`diff -r`, which knows nothing of how the result came about."""
    outcome = measure.run(["diff", "-r", source, result], environment, scratch)
    outcome.require_success(f"diff -r {os.path.basename(source)}")


def empty_folder(path):
    data.remove(path)
    os.makedirs(path)
    return path
