# SPDX-License-Identifier: MIT
"""Links that cut, freeze, drip, mangle and crawl; tunnels with nobody behind them; stale sockets."""

import os
import signal
import socket
import subprocess
import sys
import time

import oracles
import trees
from cases import case
from programs import children, end_tree, wait_for
from relay import Relay
from rig import MIB
from tunnel import HOST, Sshd, Tunnel

IDLE = 45


def rtun(site, *arguments, seconds=60, **environment):
    """Runs another command on the server; returns (exit code, output, errors, seconds)."""
    started = time.monotonic()
    done = subprocess.run([site.rig.binary, *arguments], env={**site.server_environment, **environment},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - started


@case("nobody-there", "T39", "no daemon behind the tunnel, a half-dead tunnel, no tunnel: exit 3 in 5 s", quick=True)
def nobody_there(rig, result):
    with rig.site() as site:
        site.make_file("f", 9 * MIB, result.random)
        with Tunnel(site) as tunnel:
            for command in (["ping"], ["send", site.path("f")], ["notify", "hello"]):
                code, _, errors, seconds = rtun(site, *command, RTUN_SOCK=tunnel.socket)
                told(result, f"{command[0]} without a daemon", code, errors, seconds)
            tunnel.freeze()
            code, _, errors, seconds = rtun(site, "ping")
            told(result, "ping through a frozen ssh", code, errors, seconds)
            tunnel.thaw()
        code, _, errors, seconds = rtun(site, "ping")
        told(result, "ping behind a dead ssh", code, errors, seconds)
        left = [name for name in os.listdir(site.server) if name.startswith("rtun.sock")]
        result.check(not left, f"a socket that is certainly dead was left: {left}")
        code, _, errors, seconds = rtun(site, "send", site.path("f"))
        told(result, "send without any socket", code, errors, seconds)


def told(result, what, code, errors, seconds):
    result.count("dead tunnels")
    result.check(code == 3, f"{what}: exit {code}: {errors.strip()}")
    result.check(seconds <= 5, f"{what}: {seconds:.1f} s")
    result.check("rtun server" in errors, f"{what}: does not say what to do: {errors.strip()}")


@case("stale-sockets", "T40", "5 stale sockets, a busy one and a foreign file beside the live one", quick=True)
def stale_sockets(rig, result):
    with rig.site() as site:
        site.start()
        for number in range(5):
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(os.path.join(site.server, f"rtun.sock.stale{number}"))
        busy = socket.socket(socket.AF_UNIX)
        busy.bind(os.path.join(site.server, "rtun.sock.busy"))
        busy.listen(8)
        with open(os.path.join(site.server, "rtun.sock.txt"), "w") as file:
            file.write("mine")
        with Relay(os.path.join(site.server, "rtun.sock.live"), site.daemon_socket):
            os.utime(os.path.join(site.server, "rtun.sock.busy"))
            code, output, errors, seconds = rtun(site, "ping")
            result.check(code == 0 and output.startswith("OK PONG\n"), f"ping: {code} {output} {errors}")
            result.check(seconds <= 2.5, f"ping took {seconds:.1f} s")
            left = sorted(name for name in os.listdir(site.server) if name.startswith("rtun.sock"))
            result.check(left == ["rtun.sock.busy", "rtun.sock.live", "rtun.sock.txt"], f"left: {left}")
            result.count("stale sockets", 5)
            result.figure(f"the live one was found in {seconds:.2f} s")
        busy.close()


@case("link-cuts", "T35", "the link is cut again and again under one send, which goes on by itself", quick=True)
def link_cuts(rig, result):
    cuts = rig.pick(4, 60)
    size = rig.pick(48, 512) * MIB
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", size, result.random)
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
            sender = site.send("big.bin", wait="1h", socket_path=relay.path)
            done = 0
            while done < cuts:
                relay.mark()
                wait_for(60, "frames", lambda: relay.first_frame is not None or not sender.is_running())
                if not sender.is_running():
                    break
                sender.wait(result.random.uniform(0, 0.2))
                if result.random.random() < 0.3:
                    relay.go_down()
                    sender.wait(result.random.uniform(0, 0.3))
                    relay.come_back()
                else:
                    relay.cut()
                done += 1
            outcome = sender.finish()
            oracles.delivered(result, site, outcome, f"{done} cuts", "big.bin")
            oracles.nothing_left(result, site, f"{done} cuts")
            result.count("cuts", done)
            result.check(relay.frame_bytes <= size + done * 64 * MIB, f"{relay.frame_bytes // MIB} MiB of frames")
            result.figure(f"{size // MIB} MiB, {done} cuts: {max(0, relay.frame_bytes - size) / MIB:.1f} MiB again")


@case("frozen-link", "T35", "a link that freezes without ending: noticed on both sides in 45 s, then goes on")
def frozen_link(rig, result):
    with rig.site() as site:
        daemon = site.start()
        site.make_file("big.bin", 128 * MIB, result.random)
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket) as relay:
            # A short freeze is nothing at all.
            sender = site.send("big.bin", wait="0", socket_path=relay.path)
            wait_for(60, "acks", lambda: relay.durable_bytes > 8 * MIB or not sender.is_running())
            relay.freeze()
            sender.wait(5)
            relay.thaw()
            oracles.delivered(result, site, sender.finish(), "a freeze of 5 s", "big.bin")
            result.count("freezes")
            site.clear_inbox()
            sender = site.send("big.bin", wait="0", socket_path=relay.path)
            start = relay.durable_bytes
            wait_for(60, "acks", lambda: relay.durable_bytes > start + 8 * MIB or not sender.is_running())
            relay.freeze()
            frozen = time.monotonic()
            sender.wait(IDLE + 20)
            took = time.monotonic() - frozen
            outcome = sender.finish(5)
            result.check(outcome.status == 4 and took <= IDLE + 3, f"the sender: {outcome} after {took:.0f} s")
            wait_for(20, "the daemon to give up", site.has_noticed)
            result.figure(f"noticed by the sender after {took:.1f} s, by the daemon after "
                          f"{time.monotonic() - frozen:.1f} s at most")
            result.count("freezes")
            wait_for(10, "descriptors to go", lambda: len(os.listdir(f"/proc/{daemon.worker()}/fd")) < 40)
            relay.thaw()
            again = site.run("big.bin", socket_path=relay.path)
            oracles.delivered(result, site, again, "behind the freeze", "big.bin")
            result.check(again.had > 0, "nothing was there behind the freeze")
            oracles.nothing_left(result, site, "behind the freeze")


@case("frozen-ssh", "T35", "the laptop's ssh stopped for some seconds in the middle, as by a short sleep")
def frozen_ssh(rig, result):
    with rig.site() as site, rig_relay(site) as relay, Tunnel(site, target=relay.path) as tunnel:
        site.make_file("big.bin", 200 * MIB, result.random)
        for _ in range(rig.pick(1, 3)):
            site.clear_inbox()
            sender = site.send("big.bin", wait="0", socket_path=False)
            start = relay.durable_bytes
            wait_for(60, "acks", lambda: relay.durable_bytes > start + 16 * MIB or not sender.is_running())
            tunnel.freeze()
            sender.wait(result.random.uniform(1, 8))
            tunnel.thaw()
            oracles.delivered(result, site, sender.finish(), "a frozen ssh", "big.bin")
            result.count("freezes")


@case("laptop-sleeps", "T35", "daemon and ssh of the laptop stop for a minute and go on: the send finishes")
def laptop_sleeps(rig, result):
    with rig.site() as site, rig_relay(site) as relay, Tunnel(site, target=relay.path) as tunnel:
        site.make_file("big.bin", 256 * MIB, result.random)
        sender = site.send("big.bin", wait="1h", socket_path=False)
        wait_for(60, "acks", lambda: relay.durable_bytes > 32 * MIB or not sender.is_running())
        laptop = [site.daemon.process.pid, site.daemon.worker(), tunnel.process.pid]
        for pid in laptop:
            os.kill(pid, signal.SIGSTOP)
        relay.freeze()
        sender.wait(60)
        result.check(sender.is_running(), "the sender gave up")
        for pid in laptop:
            os.kill(pid, signal.SIGCONT)
        relay.thaw()
        woken = time.monotonic()
        outcome = sender.finish()
        oracles.delivered(result, site, outcome, "a laptop that slept", "big.bin")
        result.figure(f"finished {time.monotonic() - woken:.1f} s after it woke")
        oracles.nothing_left(result, site, "a laptop that slept")
        result.count("freezes")


@case("laptop-wakes", "done when", "the laptop sleeps under a send and loses its login; rtun ssh --keep logs in again")
def laptop_wakes(rig, result):
    size = 256 * MIB
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", size, result.random)
        sshd = Sshd(rig, "sshd-keep", [f"SetEnv RTUN_DIR={site.server}"])
        said = os.path.join(site.base, "keep.err")
        try:
            with open(said, "w") as errors:
                kept = subprocess.Popen(
                    [rig.binary, "ssh", "--keep", "--no-install", "-F", sshd.configuration, HOST],
                    env=site.laptop_environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                    start_new_session=True)
            wait_for(30, "the tunnel", lambda: open(said).read().count("is up") == 1)
            sender = site.send("big.bin", "--bwlimit", "32M", wait="1h", socket_path=False)
            wait_for(60, "a journal", lambda: journal_of_host(site) > 4096 or not sender.is_running())
            result.check(sender.is_running(), "it was over before the laptop slept")
            laptop = [kept.pid, site.daemon.process.pid, site.daemon.worker(), *descendants(kept.pid)]
            for pid in laptop:
                os.kill(pid, signal.SIGSTOP)
            # The server gives the login up: its end of the connection is gone when the laptop wakes.
            for session in children(sshd.pid):
                end_tree(session)
            sender.wait(60)
            result.check(sender.is_running(), "the sender gave up")
            for pid in laptop:
                os.kill(pid, signal.SIGCONT)
            woken = time.monotonic()
            wait_for(60, "the next tunnel", lambda: open(said).read().count("is up") == 2)
            back = time.monotonic() - woken
            outcome = sender.finish()
            result.figure(f"a tunnel {back:.1f} s behind the waking, finished {time.monotonic() - woken:.1f} s behind it")
            result.check(outcome.status == 0, f"O5: {outcome}")
            arrived = site.arrived(f"{HOST}/big.bin")
            result.check(os.path.exists(arrived) and trees.same_bytes(site.path("big.bin"), arrived), "O4: it differs")
            written = outcome.wire or 0
            result.check(written <= size + 64 * MIB + MIB, f"{written // MIB} MiB were written for {size // MIB}")
            result.count("sleeps")
            kept.terminate()
            kept.wait(20)
        finally:
            end_tree(kept.pid)
            sshd.stop()


def descendants(pid):
    return [found for child in children(pid) for found in [child, *descendants(child)]]


def journal_of_host(site):
    """Bytes of journals in the folder of the host whose login made the tunnel."""
    parts = os.path.join(site.inbox, HOST, ".rtun-part")
    return sum(os.path.getsize(os.path.join(parts, name, "journal")) for name in os.listdir(parts))


def rig_relay(site):
    site.start()
    return Relay(os.path.join(site.base, "relay"), site.daemon_socket)


@case("drip", "T41", "a link that passes single bytes, both ways", quick=True)
def drip(rig, result):
    with rig.site() as site, rig_relay(site) as relay:
        site.make_file("f", rig.pick(24, 256) << 10, result.random)
        relay.piece = 1
        outcome = site.run("f", socket_path=relay.path)
        oracles.delivered(result, site, outcome, "single bytes", "f")
        result.count("bytes passed one by one", relay.up + relay.down)


@case("signals", "T41", "1,000 signals a second (EINTR) at sender and daemon")
def signals(rig, result):
    with rig.site() as site:
        daemon = site.start()
        site.make_file("big.bin", 256 * MIB, result.random)
        plain = site.run("big.bin")
        oracles.delivered(result, site, plain, "without signals", "big.bin")
        site.clear_inbox()
        sender = site.send("big.bin")
        sent = 0
        # SIGWINCH is ignored by default and yet ends waits; SIGCONT likewise.
        while not sender.wait(0.001):
            for pid in (sender.pid, daemon.worker()):
                os.kill(pid, signal.SIGCONT if sent % 2 else signal.SIGWINCH)
            sent += 1
        oracles.delivered(result, site, sender.finish(), "with signals", "big.bin")
        result.count("signals", sent * 2)


@case("mangled", "T41", "one bit turned in the stream: never a wrong file, never a dead daemon", quick=True)
def mangled(rig, result):
    with rig.site() as site:
        site.make_tree(result.random, budget=2 * MIB)
        site.make_file("tree/big.bin", 5 * MIB, result.random)
        daemon = site.start()
        worker = daemon.worker()
        with Relay(os.path.join(site.base, "relay"), site.daemon_socket, watch=False) as relay:
            whole = site.run("-r", "tree", "--compress", "zstd:1", socket_path=relay.path)
            oracles.delivered(result, site, whole, "nothing mangled")
            length = relay.up
            for number in range(rig.pick(12, 150, 1000)):
                site.clear_inbox()
                # Half of them where the greeting and the records are.
                relay.mangle_at = relay.up + result.random.randrange(length if number % 2 else min(length, 6000))
                outcome = site.run("-r", "tree", "--compress", "zstd:1", socket_path=relay.path)
                relay.mangle_at = None
                if outcome.status == 0:
                    # A bit of a name, a time or a mode is nobody's business but the digest's of the manifest.
                    oracles.same(result, site, f"mangled no. {number}, which said OK")
                else:
                    result.check(outcome.status in (1, 3, 4, 5, 6, 8), f"O5 mangled no. {number}: {outcome}")
                    oracles.whole_or_absent(result, site, f"mangled no. {number}")
                result.count("mangled streams")
                result.count(f"of them exit {outcome.status}")
        result.check(daemon.worker() == worker, "O2: the daemon died")
        oracles.honest_send(result, site, "at the end")
        oracles.nothing_outside(result, site, "at the end")


@case("slow-link", "T37", "1 Mbit/s and 300 ms: no false timeout, 80 % of the line, a ping in 5 s meanwhile", long=True)
def slow_link(rig, result):
    seconds = rig.pick(20, 100, 600)
    rate = 1e6 / 8
    with rig.site() as site, rig_relay(site) as relay:
        site.make_file("big.bin", int(rate * seconds * 0.85), result.random)
        sshd = Tunnel(site, up=False).sshd
        slow = subprocess.Popen([sys.executable, os.path.join(rig.root, "scripts", "relay"), "--to",
                                 str(sshd.port), "--rate", "1", "--round-trip", "300"],
                                stdout=subprocess.PIPE, text=True)
        try:
            port = int(slow.stdout.readline())
            with Tunnel(site, target=relay.path, through=port) as tunnel:
                sender = site.send("--compress", "none", "big.bin", wait="0", socket_path=tunnel.socket)
                wait_for(60, "the first frame", lambda: relay.first_frame is not None or not sender.is_running())
                began = time.monotonic()
                pings = []
                while not sender.wait(5):
                    code, _, errors, took = rtun(site, "ping", RTUN_SOCK=tunnel.socket, seconds=120)
                    pings.append(took if code == 0 else float("inf"))
                took = time.monotonic() - began
                outcome = sender.finish()
        finally:
            slow.terminate()
            slow.wait()
        oracles.delivered(result, site, outcome, "a slow link", "big.bin")
        size = os.path.getsize(site.path("big.bin"))
        share = size / took / rate
        answered = [value for value in pings if value != float("inf")]
        result.count("pings", len(pings))
        result.figure(f"{size / 1e6:.1f} MB in {took:.0f} s: {share:.0%} of the line; {len(answered)} of {len(pings)} "
                      f"pings answered, slowest {max(answered, default=float('nan')):.1f} s")
        result.check(share >= 0.8, f"only {share:.0%} of the line")
        result.check(len(answered) == len(pings) and max(answered, default=0) < 5,
                     f"pings during the send: {[round(value, 1) for value in pings][:12]}")
