# SPDX-License-Identifier: MIT
"""Cut at 90 %: what travels again, how soon the first new byte leaves, and what the server reads again."""

import os
import tempfile
import time

import oracles
import trace
import trees
from cases import case
from programs import wait_for
from relay import Relay
from rig import MIB
from tunnel import Tunnel

# Bytes of each file of the tree: a tenth of 100,000 of them is more than may be under way at once.
SMALL = 8 << 10


# Seconds after which the times of a file count as past (docs/archive-format.md section 10), and some more.
SETTLED = 605


def source_bytes_read(log, source):
    """Bytes below a folder that a log's calls have read, each counted once."""
    ranges = {}
    for _, _, name, text in trace.calls(log):
        if name == "pread64" and source in text:
            path = text.split("<", 1)[1].split(">", 1)[0]
            arguments, _, count = text.rpartition(" = ")
            if count.split(" ")[0].isdigit():
                offset = int(arguments.rstrip(" )").rsplit(", ", 1)[1])
                ranges.setdefault(path, []).append((offset, offset + int(count.split(" ")[0])))
    read = 0
    for found in ranges.values():
        end = 0
        for first, last in sorted(found):
            read += max(0, last - max(first, end))
            end = max(end, last)
    return read


def one_cut(rig, result, name, size, how, what, settled=None):
    """Sends over ssh, kills ssh when 90 % is durable, brings it back.

    `how`: "living", the sender waits; "new", it ends and is started anew; "strace", so too, and its reads are logged,
    which makes it slow. `settled` is a folder in which the source stands and is old enough to be believed.
    """
    living = how == "living"
    with rig.site(source=settled) as site:
        if not settled:
            make(site.source, result, name, size)
        walk = site.run("-n", "-q", "-r", name).seconds
        site.start()
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay, \
                Tunnel(site, target=relay.path) as tunnel:
            log = os.path.join(site.base, "calls")
            arguments = ("-r", name, "--compress", "none")
            sender = site.send(*arguments, wait="1h" if living else "0", socket_path=False)
            wait_for(240, "90 % to be durable", lambda: not sender.is_running() or relay.durable_bytes >= 0.9 * size)
            if not result.check(sender.is_running(), f"{what}: it was over before the cut"):
                return
            durable = relay.durable_bytes
            sent = relay.frame_bytes
            tunnel.kill_ssh()
            if living:
                wait_for(10, "the sender to notice", lambda: "waiting for it" in sender.said())
                already_read = read_by(sender.pid)
            else:
                already_read = 0
                outcome = sender.finish(60)
                result.check(outcome.status == 4, f"{what}: {outcome}")
            wait_for(20, "the daemon to notice", site.has_noticed)
            relay.mark()
            connections = relay.connections
            tunnel.up()
            up = time.monotonic()
            if not living:
                logging = trace.logging("pread64", log, 0) if how == "strace" else ()
                sender = site.send(*arguments, wait="0", socket_path=False, trace=logging)
            wait_for(60, "a connection", lambda: relay.connections > connections)
            connected = time.monotonic()
            wait_for(300, "the first new byte", lambda: relay.first_frame is not None or not sender.is_running())
            first = relay.first_frame or time.monotonic()
            sender.wait(240)
            reread = source_bytes_read(log, site.source) if how == "strace" else read_by(sender.pid) - already_read
            outcome = sender.finish()
            again = relay.frame_bytes - durable
        result.count("cuts at 90 %")
        oracles.delivered(result, site, outcome, what, name)
        oracles.nothing_left(result, site, what)
        result.check(again <= size - durable + 64 * MIB, f"{what}: {again // MIB} MiB travelled behind the cut")
        overhead = max(0, again - (size - durable))
        result.figure(f"{what}: cut with {durable / MIB:.0f} of {size / MIB:.0f} MiB durable and {sent / MIB:.0f} "
                      f"sent; {overhead / MIB:.1f} MiB travelled again; first new byte {first - connected:.2f} s "
                      f"behind the new connection, {first - up:.2f} s behind the new tunnel; "
                      f"{reread / MIB:.0f} MiB read at the server behind the cut; a walk takes {walk:.2f} s")
        # A new process has to walk up to the first entry that was not sent, and to read again what is too new to be believed.
        if living or settled and how == "new":
            limit = 1.0 if living else 1.0 + walk
            result.check(first - connected <= limit,
                         f"{what}: the first new byte came after {first - connected:.2f} s (bound: {limit:.2f})")
            result.check(reread <= size - durable + 64 * MIB + 8 * MIB,
                         f"{what}: {reread // MIB} MiB were read at the server, of which "
                         f"{(size - durable) // MIB} MiB were not durable")
        if settled and how == "strace":
            had = outcome.had
            result.figure(f"{what}: {reread:,} of {size:,} bytes were read, the laptop had the other {had:,}")
            result.check(had >= durable, f"{what}: {durable - had:,} bytes that were acknowledged were not had")
            result.check(reread == size - had, f"{what}: {reread - (size - had):,} bytes too many were read")


def read_by(pid):
    with open(f"/proc/{pid}/io") as file:
        return int(file.readline().split()[1])


def make(source, result, name, size):
    if name == "big.bin":
        trees.write_random(os.path.join(source, name), size, result.random)
        return
    # A tree of small files of one size.
    for folder in range(100):
        os.makedirs(os.path.join(source, name, f"{folder:03}"))
    for number in range(size // SMALL):
        with open(os.path.join(source, name, f"{number % 100:03}", f"{number:06}"), "wb") as file:
            file.write(result.random.randbytes(SMALL))


HOWS = {"living": "living sender", "new": "new process", "strace": "new process under strace"}
# Bytes of the file and number of files of the tree, in a quick run and in others.
FILE, FILES = (64 * MIB, 1024 * MIB), (20_000, 100_000)


@case("cut-90", "done when", "ssh dies at 90 % of 1 GiB; the sender lives on, is started anew, so too under strace")
def cut_90(rig, result):
    for how, text in HOWS.items():
        one_cut(rig, result, "big.bin", rig.pick(*FILE), how, f"1 file, {text}")


@case("cut-90-tree", "done when", "the same for a tree of 100,000 files")
def cut_90_tree(rig, result):
    files = rig.pick(*FILES)
    for how, text in HOWS.items():
        one_cut(rig, result, "many", files * SMALL, how, f"{files:,} files, {text}")


@case("cut-90-settled", "done when", "both, of sources over ten minutes old: what was acked is not read again", long=True)
def cut_90_settled(rig, result):
    sizes = {"big.bin": rig.pick(*FILE), "many": rig.pick(*FILES) * SMALL}
    with tempfile.TemporaryDirectory(dir=rig.scratch) as temporary:
        folder = rig.settled or temporary
        os.makedirs(folder, exist_ok=True)
        for name, size in sizes.items():
            if not os.path.exists(os.path.join(folder, name)):
                make(folder, result, name, size)
        newest = max(os.lstat(os.path.join(folder, *names)).st_ctime for names in [("big.bin",), ("many", "099")])
        # There is no event to wait for: the rule is about age.
        time.sleep(max(0, newest + SETTLED - time.time()))
        for how in ("new", "strace"):
            for name, size in sizes.items():
                what = "1 file" if name == "big.bin" else f"{size // SMALL:,} files"
                one_cut(rig, result, name, size, how, f"{what}, settled, {HOWS[how]}", settled=folder)
