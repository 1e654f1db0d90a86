# SPDX-License-Identifier: MIT
"""Disks that are really full: of bytes, of inodes, and where the log is; and disks that are lost."""

import os

import oracles
import power
from cases import case
from programs import wait_for
from rig import MIB


@case("small-disk", "T42", "a full tmpfs: mid-way, filled by a neighbour, freed again")
def small_disk(rig, result):
    with power.mounted(rig, "tmpfs", "size=64m") as place, rig.site(inbox=os.path.join(place, "inbox")) as site:
        site.make_file("big.bin", 80 * MIB, result.random)
        site.start()
        outcome = site.run("big.bin")
        result.count("full disks")
        result.check(outcome.status == 7 and "disk is full" in outcome.err, f"O5: 80 MiB on 64 MiB: {outcome}")
        oracles.whole_or_absent(result, site, "80 MiB on 64 MiB", "big.bin")
        site.clear_inbox()
        site.make_file("small.bin", 40 * MIB, result.random)
        neighbour = os.path.join(place, "neighbour")
        with open(neighbour, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 40 * MIB)
        outcome = site.run("small.bin")
        result.count("full disks")
        result.check(outcome.status == 7 and "disk is full" in outcome.err, f"O5: filled by a neighbour: {outcome}")
        oracles.whole_or_absent(result, site, "filled by a neighbour", "small.bin")
        os.unlink(neighbour)
        again = site.run("small.bin")
        oracles.delivered(result, site, again, "room again", "small.bin")
        result.figure(f"with room again {again.had / MIB:.1f} of 40 MiB were there already")
        oracles.nothing_left(result, site, "room again")


@case("small-ext4", "T42", "a full ext4, where space is given out late: 80 MiB on 64 MiB")
def small_ext4(rig, result):
    with power.Disk(rig, 64) as disk, rig.site(inbox=os.path.join(disk.place, "inbox")) as site:
        site.make_file("big.bin", 80 * MIB, result.random)
        site.start()
        outcome = site.run("big.bin")
        result.count("full disks")
        result.check(outcome.status == 7 and "disk is full" in outcome.err, f"O5: 80 MiB on 64 MiB: {outcome}")
        oracles.whole_or_absent(result, site, "80 MiB on 64 MiB", "big.bin")


@case("no-inodes", "T43", "a disk without inodes for all files of a tree")
def no_inodes(rig, result):
    with power.Disk(rig, 64, making=["-N", "128"]) as disk, \
            rig.site(inbox=os.path.join(disk.place, "inbox")) as site:
        site.make_tree(result.random, budget=MIB, files=300)
        site.start()
        outcome = site.run("-r", "tree")
        result.count("full disks")
        result.check(outcome.status == 7 and "disk is full" in outcome.err, f"O5: no inodes: {outcome}")
        oracles.whole_or_absent(result, site, "no inodes")


@case("lost-disk", "T45", "the inbox's disk is unmounted, or becomes read-only, in the middle of a send")
def lost_disk(rig, result):
    for what in ("unmounted", "read-only"):
        with power.Disk(rig, 300) as disk:
            inbox = os.path.join(disk.place, "inbox")
            with rig.site(inbox=inbox) as site:
                site.make_file("big.bin", 120 * MIB, result.random)
                site.start()
                sender = site.send("big.bin", "--compress", "none", "--bwlimit", "20M")
                wait_for(60, "acks", lambda: site.journal_bytes() > 64 or not sender.is_running())
                disk.lose(what)
                outcome = sender.finish()
                result.count("lost disks")
                # What is held open of an unmounted disk goes on to work: then it ends only at its end.
                result.check(outcome.status == 7, f"O5 {what}: {outcome}")
                result.check(outcome.err.strip() and inbox not in outcome.err, f"O5 {what}: the cause: {outcome.err.strip()}")
                result.check(sorted(os.listdir(disk.place)) in ([], ["inbox", "lost+found"]),
                             f"{what}: something was made beside: {os.listdir(disk.place)}")
                oracles.nothing_outside(result, site, what)
                result.check(site.daemon.answers(), f"O2 {what}: the daemon does not answer")
                refused = site.run("big.bin")
                result.check(refused.status == 7, f"O5 {what}, again: {refused}")
                site.daemon.kill()
                site.daemon = None
                disk.come_back()
                oracles.whole_or_absent(result, site, what, "big.bin")
                site.start()
                again = site.run("big.bin", "--compress", "none")
                oracles.delivered(result, site, again, what + ", back again", "big.bin")
                # Of an inbox that is gone from its path what was staged is dropped, by the folders that are held.
                result.check(again.had > 0 or what == "unmounted", f"{what}: nothing was there when it came back")


@case("full-log", "T43", "the log's disk is full: transfers go on")
def full_log(rig, result):
    with power.mounted(rig, "tmpfs", "size=1m") as place, rig.site() as site:
        site.log = os.path.join(place, "daemon.log")
        handle = os.open(os.path.join(place, "full"), os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(handle, bytes(4096))
        except OSError:
            os.close(handle)
        site.make_tree(result.random, budget=8 * MIB)
        site.start()
        oracles.delivered(result, site, site.run("-r", "tree"), "a full log")
        result.count("full disks")
