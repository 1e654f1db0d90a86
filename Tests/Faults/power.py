# SPDX-License-Identifier: MIT
"""A power cut: the inbox on an ext4 of its own that stops without flushing (FS_IOC_SHUTDOWN), is mounted again."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess

import oracles
from cases import Skip, case
from programs import wait_for
from relay import Relay
from rig import MIB

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
CLONE_NEWNS = 0x20000


def own_mounts():
    """Mounts made from here on are seen by this process and its children alone, and end with them."""
    if os.geteuid() != 0:
        raise Skip("mounting needs root")
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS) != 0:
        raise Skip("no mount namespace of one's own")
    if library.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) != 0:
        raise Skip("mounts cannot be made private")


def run(*command):
    if shutil.which(command[0]) is None:
        raise Skip(f"there is no {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f"{command[0]}: {done.stderr.strip()[:100]}")


@contextlib.contextmanager
def mounted(rig, kind, options):
    own_mounts()
    place = os.path.join(rig.scratch, kind)
    os.makedirs(place, exist_ok=True)
    run("mount", "-t", kind, "-o", options, kind, place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=False)


class Disk:
    """An ext4 in a file; `cut_power` loses everything that was not synced."""

    def __init__(self, rig, megabytes, options="defaults", making=()):
        own_mounts()
        self.image = os.path.join(rig.scratch, "disk.img")
        self.place = os.path.join(rig.scratch, "disk")
        self.options = options
        os.makedirs(self.place, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(megabytes * MIB)
        run("mkfs.ext4", "-q", "-F", "-m", "0", *making, self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop," + self.options, self.image, self.place)

    def cut_power(self):
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def lose(self, how):
        """Takes it away from its path, or makes it read-only as ext4 does behind an error, while files are open."""
        if how == "unmounted":
            run("umount", "-l", self.place)
        else:
            run("mount", "-o", "remount,abort", self.place)

    def come_back(self):
        """Unmounts what is dead and mounts it anew, which replays ext4's journal."""
        def is_unmounted():
            return not os.path.ismount(self.place) or \
                subprocess.run(["umount", self.place], capture_output=True, check=False).returncode == 0
        wait_for(20, "the disk to be unmounted", is_unmounted)
        # Behind a lazy unmount it lives until its last file is closed.
        wait_for(20, "the disk to be let go", lambda: not subprocess.run(
            ["losetup", "-j", self.image], capture_output=True, text=True, check=False).stdout)
        self.mount()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.place], check=False)
        os.unlink(self.image)


@case("power-cut", "power", "power cuts of the laptop at random times and behind acks, then the rest is sent",
      quick=True)
def power_cut(rig, result):
    rounds = rig.pick(2, 40, 200)
    size = rig.pick(32, 96) * MIB
    with Disk(rig, 700) as disk:
        inbox = os.path.join(disk.place, "inbox")
        with rig.site(inbox=inbox) as site:
            site.make_tree(result.random, budget=8 * MIB, files=40)
            site.make_file("tree/big.bin", size, result.random)
            check_the_cut(result, disk)
            took = 0.5
            for number in range(rounds):
                site.clear_inbox()
                took = one_cut(rig, result, site, disk, number, took)
            oracles.nothing_outside(result, site, "at the end")


def check_the_cut(result, disk):
    """The rig's own test: what nobody synced is lost, what somebody synced is not."""
    path = os.path.join(disk.place, "synced")
    for name in ("synced", "not synced"):
        with open(os.path.join(disk.place, name), "wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            if name == "synced":
                os.fsync(file.fileno())
    os.rename(path, path + " and renamed")
    disk.cut_power()
    disk.come_back()
    found = {name: os.path.getsize(os.path.join(disk.place, name)) for name in os.listdir(disk.place)
             if "synced" in name}
    kept = max(found.get("synced", 0), found.get("synced and renamed", 0))
    result.check(kept == 4096 and not found.get("not synced"), f"the rig's power cut cuts nothing: {found}")


def one_cut(rig, result, site, disk, number, took):
    """One power cut; returns how long a whole send takes, for the next random time."""
    site.start()
    with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
        sender = site.send("-r", "tree", "--compress", "none", socket_path=relay.path)
        if number % 4 == 0:
            # Right behind an ack: what it promised must be there.
            wanted = result.random.randrange(1, 40 * MIB)
            wait_for(60, "acks", lambda: not sender.is_running() or relay.durable_bytes >= wanted)
        else:
            sender.wait(result.random.uniform(0, took * 1.1))
        acked = relay.durable_bytes
        ended = not sender.is_running()
        disk.cut_power()
        site.daemon.kill()
        outcome = sender.finish()
        # What was acked while the cut was being made is promised too, but not counted on here.
    site.daemon = None
    disk.come_back()
    result.count("power cuts")
    when = f"power cut {number}, {acked // MIB} MiB acked"
    if ended and outcome.status == 0:
        # The sender had its OK before the power went.
        oracles.same(result, site, when + ", behind OK")
        result.count("of them behind OK")
        took = outcome.seconds
    oracles.whole_or_absent(result, site, when)
    had_name = bool(site.names())
    site.start()
    again = site.run("-r", "tree", "--compress", "none")
    oracles.delivered(result, site, again, when + ", again")
    oracles.nothing_left(result, site, when + ", again")
    result.check(site.names() == ["tree"], f"O4 {when}: {site.names()}")
    if not had_name:
        result.check(again.had >= acked, f"{when}: only {again.had:,} of {acked:,} acked bytes are there")
    site.daemon.stop()
    site.daemon = None
    return took


@case("power-cut-ok", "power", "the power goes in the moment the sender says OK: nothing that was renamed is lost")
def power_cut_ok(rig, result):
    with Disk(rig, 300) as disk, rig.site(inbox=os.path.join(disk.place, "inbox")) as site:
        site.make_tree(result.random, budget=4 * MIB)
        for number in range(rig.pick(2, 30, 100)):
            site.clear_inbox()
            site.start()
            outcome = site.run("-r", "tree")
            disk.cut_power()
            site.daemon.kill()
            site.daemon = None
            disk.come_back()
            result.count("power cuts")
            oracles.delivered(result, site, outcome, f"power cut {number} behind OK")
            site.start()
            again = site.run("-r", "tree")
            result.check(again.status == 0 and site.names() == ["tree"], f"sent again: {again} {site.names()}")
            result.check(again.summary.get("wire_bytes", 1 << 60) < 64 << 10, f"receipts were lost: {again.summary}")
            site.daemon.stop()
            site.daemon = None
