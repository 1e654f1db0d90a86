# SPDX-License-Identifier: MIT
"""Cut at 90 %: what travels again, how soon the first new byte leaves, and what the server reads again."""

import os
import time

import oracles
import trace
from cases import case
from programs import wait_for
from relay import Relay
from rig import MIB
from tunnel import Tunnel

# Bytes of each file of the tree: a tenth of 100,000 of them is more than may be under way at once.
SMALL = 8 << 10


def source_bytes_read(log, source):
    """Bytes that calls of a log have read from files below a folder."""
    read = 0
    for _, _, name, text in trace.calls(log):
        if source in text and name in ("read", "pread64"):
            count = text.rsplit("= ", 1)[-1].split(" ")[0]
            read += int(count) if count.isdigit() else 0
    return read


def one_cut(rig, result, name, size, how, what):
    """Sends over ssh, kills ssh when 90 % is durable, brings it back.

    `how`: "living", the sender waits; "new", it ends and is started anew; "strace", so too, and its reads are logged,
    which makes it slow.
    """
    living = how == "living"
    with rig.site() as site:
        make(site, result, name, size)
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
                logging = trace.logging("read,pread64", log, 0) if how == "strace" else ()
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
                      f"{reread / MIB:.0f} MiB read at the server behind the cut")
        result.check(first - connected <= 1.0 or how == "strace",
                     f"{what}: the first new byte came after {first - connected:.2f} s")
        result.check(reread <= size - durable + 64 * MIB + 8 * MIB,
                     f"{what}: {reread // MIB} MiB were read at the server, of which "
                     f"{(size - durable) // MIB} MiB were not durable")


def read_by(pid):
    with open(f"/proc/{pid}/io") as file:
        return int(file.readline().split()[1])


def make(site, result, name, size):
    if name == "big.bin":
        site.make_file(name, size, result.random)
        return
    # A tree of small files of one size.
    os.makedirs(site.path(name))
    count = size // SMALL
    for folder in range(100):
        os.mkdir(site.path(f"{name}/{folder:03}"))
    for number in range(count):
        with open(site.path(f"{name}/{number % 100:03}/{number:06}"), "wb") as file:
            file.write(result.random.randbytes(SMALL))


HOWS = {"living": "living sender", "new": "new process", "strace": "new process under strace"}


@case("cut-90", "done when", "ssh dies at 90 % of 1 GiB; the sender lives on, is started anew, so too under strace")
def cut_90(rig, result):
    for how, text in HOWS.items():
        one_cut(rig, result, "big.bin", rig.pick(64, 1024) * MIB, how, f"1 file, {text}")


@case("cut-90-tree", "done when", "the same for a tree of 100,000 files")
def cut_90_tree(rig, result):
    files = rig.pick(20_000, 100_000)
    for how, text in HOWS.items():
        one_cut(rig, result, "many", files * SMALL, how, f"{files:,} files, {text}")
