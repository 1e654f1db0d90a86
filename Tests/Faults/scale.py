# SPDX-License-Identifier: MIT
"""Sizes and numbers at the limits: sparse files around 4 GiB and 1 TiB, a million files."""

import contextlib
import os
import signal

import oracles
import power
from cases import case
from programs import status_field, wait_for
from relay import Relay
from rig import MIB

GIB = 1 << 30


@case("sparse", "T66", "sparse files of 4 GiB - 1, 4 GiB + 1, 8 GiB and 1 TiB + 1, with data at their edges",
      quick=True)
def sparse(rig, result):
    sizes = {"4 GiB - 1": 4 * GIB - 1, "4 GiB + 1": 4 * GIB + 1, "8 GiB": 8 * GIB, "1 TiB + 1": 1024 * GIB + 1}
    with rig.site() as site:
        site.start()
        for what, size in sizes.items():
            site.clear_inbox()
            with open(site.path("f"), "wb") as file:
                file.truncate(size)
                for place in (0, 2 * GIB - 10, 4 * GIB - 100, size // 2, size - 50):
                    if 0 <= place < size:
                        file.seek(place)
                        file.write(result.random.randbytes(min(50, size - place)))
            os.truncate(site.path("f"), size)
            os.utime(site.path("f"), ns=(15 * 10**17, 15 * 10**17))
            before = os.lstat(site.path("f"))
            outcome = site.run("f")
            if oracles.delivered(result, site, outcome, what, "f"):
                used = os.lstat(site.arrived("f")).st_blocks * 512
                result.check(used < 4 * MIB, f"{what}: {used // MIB} MiB of disk")
                result.figure(f"{what}: {outcome.seconds:.2f} s, {outcome.wire:,} bytes to the tunnel, {used:,} on "
                              f"disk (source {before.st_blocks * 512:,}), peak {outcome.peak // MIB} MiB")
            result.count("sparse files")
        oracles.bounded(result, site.daemon.worker(), "daemon")


@contextlib.contextmanager
def many_site(rig, count):
    """A site on an ext4 of its own that keeps such small files in their inodes: in memory each would take a page."""
    options = ["-O", "inline_data", "-I", "256", "-N", str(int(count * 2.2) + 10_000)]
    with power.Disk(rig, 300 + count * 800 // MIB, making=options) as disk:
        whole, rig.scratch = rig.scratch, disk.place
        try:
            with rig.site() as site:
                yield site
        finally:
            rig.scratch = whole


def make_many(site, count, name="tree", folders=1000):
    """`count` files of 100 bytes each, all different."""
    root = site.path(name)
    os.mkdir(root)
    for folder in range(folders):
        os.mkdir(f"{root}/{folder:04}")
    for number in range(count):
        handle = os.open(f"{root}/{number % folders:04}/{number:07}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(handle, b"%0100d" % number)
        os.close(handle)


def compare_many(result, site, count, name="tree", folders=1000):
    """Cheaper than the general comparison: every file's bytes, and that there are no others."""
    found = wrong = 0
    for folder in os.scandir(site.arrived(name)):
        for entry in os.scandir(folder.path):
            handle = os.open(entry.path, os.O_RDONLY)
            data = os.read(handle, 200)
            os.close(handle)
            number = int(entry.name)
            wrong += data != b"%0100d" % number or number % folders != int(folder.name)
            found += 1
    result.check(found == count and wrong == 0, f"O4: {found:,} of {count:,} files, {wrong} wrong")


@case("many-files", "T67", "1,000,000 files of 100 bytes against 100,000: time, memory, and a resume from 50 %",
      long=True)
def many_files(rig, result):
    counts = rig.pick([2_000, 20_000], [100_000, 1_000_000])
    seconds = {}
    for count in counts:
        with many_site(rig, count) as site:
            make_many(site, count)
            daemon = site.start()
            outcome = site.run("-r", "tree", seconds=1800)
            result.check(outcome.status == 0, f"O5 {count:,}: {outcome}")
            if outcome.status != 0:
                return
            seconds[count] = outcome.seconds
            laptop = status_field(daemon.worker(), "VmHWM") / 1024
            compare_many(result, site, count)
            result.figure(f"{count:,} files: {outcome.seconds:.1f} s, {outcome.seconds / count * 1e6:.0f} µs a file, "
                          f"peak {outcome.peak // MIB} MiB at the server, {laptop:.0f} MiB at the laptop")
            limit = 256 if count > 100_000 else 128
            result.check(outcome.peak <= limit * MIB, f"{count:,}: {outcome.peak // MIB} MiB at the server")
            result.check(laptop <= limit, f"{count:,}: {laptop:.0f} MiB at the laptop")
            result.count("files", count)
    ratio = seconds[counts[1]] / counts[1] / (seconds[counts[0]] / counts[0])
    result.figure(f"time per file: {ratio:.2f} times that of {counts[0]:,}")
    result.check(ratio <= 1.2, f"time per file: {ratio:.2f} times that of {counts[0]:,}")
    resume_many(rig, result, counts[1])


@case("many-resume", "T67", "a send of very many files is killed at 50 %: when the next attempt sends its first byte",
      long=True)
def many_resume(rig, result):
    resume_many(rig, result, rig.pick(20_000, 300_000, 1_000_000))


def resume_many(rig, result, count):
    with many_site(rig, count) as site:
        make_many(site, count)
        daemon = site.start()
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
            sender = site.send("-r", "tree", "--compress", "none", socket_path=relay.path)
            wait_for(900, "half of it", lambda: relay.durable_bytes >= count * 50 or not sender.is_running())
            result.check(sender.is_running(), "it was over before half")
            sender.signal(signal.SIGKILL)
            sender.finish()
            wait_for(60, "the daemon to notice", site.has_noticed)
            durable, before = relay.durable_bytes, relay.frame_bytes
            relay.mark()
            again = site.send("-r", "tree", "--compress", "none", socket_path=relay.path)
            wait_for(900, "the first new byte", lambda: relay.first_frame is not None or not again.is_running())
            first = (relay.first_frame or float("inf")) - again.started
            outcome = again.finish(1800)
            travelled = relay.frame_bytes - before
        result.check(outcome.status == 0, f"O5: {outcome}")
        if outcome.status == 0:
            compare_many(result, site, count)
            oracles.nothing_left(result, site, "resumed")
        result.figure(f"{count:,} files, killed at {durable / (count * 100):.0%}: the first new byte left after "
                      f"{first:.1f} s, {travelled / MIB:.0f} MiB travelled of "
                      f"{(count * 100 - durable) / MIB:.0f} not acked")
        result.check(first <= 60, f"the first new byte left after {first:.1f} s")
        result.check(travelled <= count * 100 - durable + 64 * MIB, f"{travelled // MIB} MiB travelled")
        result.count("kills")
        oracles.bounded(result, daemon.worker(), "daemon", 256 * MIB)


@case("wide-folder", "T67", "200,000 entries in one folder", long=True)
def wide_folder(rig, result):
    count = rig.pick(5_000, 200_000)
    with many_site(rig, count) as site:
        make_many(site, count, folders=1)
        daemon = site.start()
        outcome = site.run("-r", "tree", seconds=900)
        result.check(outcome.status == 0, f"O5: {outcome}")
        if outcome.status == 0:
            compare_many(result, site, count, folders=1)
        result.figure(f"{count:,} in one folder: {outcome.seconds:.1f} s, peak {outcome.peak // MIB} MiB at the server")
        result.count("files", count)
        oracles.bounded(result, daemon.worker(), "daemon", 256 * MIB)
