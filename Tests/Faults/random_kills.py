# SPDX-License-Identifier: MIT
"""SIGKILL at random times: of the sender, the daemon, the laptop's ssh and the server's sshd, under one transfer."""

import filecmp
import os
import signal
import subprocess
import time

import oracles
from cases import case
from programs import wait_for
from relay import Relay
from rig import MIB
from tunnel import Tunnel

VICTIMS = ["sender", "daemon", "ssh", "sshd"]


class Storm:
    """A send of one file or tree over ssh, through a relay that counts, with things dying under it."""

    def __init__(self, site, result, name, size):
        self.site, self.result, self.name, self.size = site, result, name, size
        self.relay = Relay(os.path.join(site.base, "relay"), site.daemon_socket)
        self.tunnel = Tunnel(site, target=self.relay.path)
        self.sender = None
        self.wire = 0
        self.most_staged = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.sender is not None:
            self.sender.signal(signal.SIGKILL)
            self.sender.finish()
        self.tunnel.__exit__()
        self.relay.stop()

    def send(self):
        self.sender = self.site.send("-r", self.name, wait="1h", socket_path=False)

    def wait_until_moving(self, extra=0):
        """True once a frame travels again (and `extra` bytes of frames more), False when the send has ended."""
        self.relay.mark()
        start = self.relay.frame_bytes
        wait_for(120, "the transfer to go on", lambda: not self.sender.is_running() or (
            self.relay.first_frame is not None and self.relay.frame_bytes >= start + extra))
        self.most_staged = max(self.most_staged, len(self.site.staged()))
        return self.sender.is_running()

    def strike(self, victim):
        """Kills it, and brings back what nobody else brings back."""
        self.result.count(f"kills of {victim}")
        if victim == "sender":
            self.sender.signal(signal.SIGKILL)
            self.collect()
            oracles.whole_or_absent(self.result, self.site, "behind a killed sender", self.name)
            self.send()
        elif victim == "daemon":
            self.site.daemon.kill_worker()
            if wait_for(10, "the supervisor to decide", lambda: not self.site.daemon.is_running()
                        or self.site.daemon.answers()):
                if self.site.ensure_daemon():
                    self.result.count("starts of a new supervisor")
        elif victim == "ssh":
            self.tunnel.kill_ssh()
            self.tunnel.up()
        else:
            self.tunnel.kill_session()
            self.tunnel.up()

    def collect(self):
        outcome = self.sender.finish()
        self.wire += outcome.wire or 0
        return outcome

    def finish(self, when):
        outcome = self.collect()
        while outcome.status == 3:
            # Nobody has answered within the 2 s of a first contact: the user types it again.
            self.result.count("first contacts without an answer")
            self.site.ensure_daemon()
            self.send()
            outcome = self.collect()
        self.sender = None
        oracles.delivered(self.result, self.site, outcome, when, self.name)
        oracles.nothing_left(self.result, self.site, when)
        return outcome


@case("kill-random", "T27 T28", "SIGKILL of sender, daemon, ssh and sshd at random times under one transfer")
def kill_random(rig, result):
    kills = rig.pick(4, 200)
    size = rig.pick(48, 768) * MIB
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", size, result.random)
        with Storm(site, result, "big.bin", size) as storm:
            done = in_this = 0
            storm.send()
            while done < kills:
                if not storm.wait_until_moving():
                    finish_one(storm, result, size, in_this)
                    in_this = 0
                    site.clear_inbox()
                    storm.send()
                    continue
                storm.sender.wait(result.random.uniform(0, rig.pick(0.1, 0.5)))
                storm.strike(result.random.choice(VICTIMS))
                done += 1
                in_this += 1
            finish_one(storm, result, size, in_this)
        site.ensure_daemon()
        oracles.nothing_outside(result, site, "at the end")
        oracles.honest_send(result, site, "at the end")


def finish_one(storm, result, size, kills):
    storm.finish(f"transfer with {kills} kills")
    result.count("transfers")
    result.check(storm.wire <= size + (kills + 1) * 64 * MIB,
                 f"{storm.wire // MIB} MiB written for {size // MIB} MiB and {kills} kills")
    result.figure(f"{size // MIB} MiB, {kills} kills: {storm.wire / MIB:.0f} MiB written to the tunnel, "
                  f"{max(0, storm.wire - size) / MIB / max(kills, 1):.1f} MiB again per kill")
    storm.wire = 0


@case("interrupt-30", "T33", "30 interruptions spread over one transfer")
def interrupt_30(rig, result):
    interruptions = rig.pick(4, 30)
    size = rig.pick(64, 1024) * MIB
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", size, result.random)
        with Storm(site, result, "big.bin", size) as storm:
            storm.send()
            done = 0
            for number in range(interruptions):
                if not storm.wait_until_moving(extra=size // (interruptions + 8)):
                    break
                storm.strike(VICTIMS[number % 4])
                done += 1
            storm.finish(f"{done} interruptions")
            result.check(done == interruptions, f"it was over after {done} interruptions")
            again = storm.wire - size
            result.check(again <= (done + 1) * 64 * MIB, f"{again // MIB} MiB again")
            result.check(storm.most_staged <= 2, f"{storm.most_staged} staging folders at once")
            result.figure(f"{size // MIB} MiB, {done} interruptions: {max(again, 0) / MIB:.1f} MiB written again, "
                          f"{max(again, 0) / MIB / max(done, 1):.1f} MiB each")
        oracles.nothing_outside(result, site, "at the end")


class PipedStorm(Storm):
    """The same for standard input, which nobody can read again."""

    source = None

    def send(self):
        # It ends when nobody reads it any more.
        self.source = subprocess.Popen(["cat", self.site.path(self.name)], stdout=subprocess.PIPE)
        self.sender = self.site.send("-", "--name", self.name, wait="1h", socket_path=False, stdin=self.source.stdout)
        self.source.stdout.close()

    def __exit__(self, *reason):
        super().__exit__(*reason)
        if self.source is not None:
            self.source.wait()


@case("stdin-kills", "T27 T35", "daemon, ssh and sshd die again and again under standard input, which goes on by itself")
def stdin_kills(rig, result):
    kills = rig.pick(3, 24)
    size = rig.pick(64, 768) * MIB
    with rig.site() as site:
        site.start()
        site.make_file("big.bin", size, result.random)
        with PipedStorm(site, result, "big.bin", size) as storm:
            storm.send()
            done = 0
            for number in range(kills):
                if not storm.wait_until_moving(extra=size // (kills + 8)):
                    break
                storm.strike(VICTIMS[1 + number % 3])
                done += 1
            outcome = storm.collect()
            result.check(done == kills, f"it was over after {done} kills: {outcome}")
            result.check(outcome.status == 0, f"O5: {outcome}")
            same = os.path.exists(site.arrived("big.bin")) and filecmp.cmp(
                site.path("big.bin"), site.arrived("big.bin"), shallow=False)
            result.check(same, "O4: what arrived is not what was piped")
            oracles.nothing_left(result, site, "at the end")
            # What the spool takes is written, too.
            again = storm.wire - 2 * size
            result.check(again <= (done + 1) * 64 * MIB, f"{again // MIB} MiB again")
            result.check(outcome.peak <= oracles.PEAK, f"{outcome.peak // MIB} MiB at the server")
            result.figure(f"{size // MIB} MiB, {done} kills: {max(again, 0) / MIB / max(done, 1):.1f} MiB again each, "
                          f"peak {outcome.peak // MIB} MiB at the server")
        oracles.nothing_outside(result, site, "at the end")


@case("four-sends", "T34", "the daemon traps under four sends of one server: all four go on by themselves")
def four_sends(rig, result):
    size = rig.pick(24, 160) * MIB
    with rig.site() as site:
        daemon = site.start()
        relays, sends = [], []
        try:
            for number in range(4):
                site.make_file(f"big {number}.bin", size, result.random)
                relays.append(Relay(os.path.join(site.base, f"relay{number}"), site.daemon_socket))
                sends.append(site.send(f"big {number}.bin", "--compress", "none", wait="1h",
                                       socket_path=relays[-1].path))
            for _ in range(rig.pick(1, 2)):
                for relay in relays:
                    relay.mark()
                wait_for(60, "frames of all", lambda: all(relay.first_frame for relay in relays)
                         or not any(send.is_running() for send in sends))
                worker = daemon.worker()
                os.kill(worker, signal.SIGILL)
                began = time.monotonic()
                wait_for(10, "a new daemon", lambda: daemon.worker() not in (None, worker) and daemon.answers())
                took = time.monotonic() - began
                result.check(took < 1, f"the daemon was back after {took:.2f} s")
                result.figure(f"the daemon was back after {took:.2f} s")
                result.count("traps")
            for number, send in enumerate(sends):
                oracles.delivered(result, site, send.finish(), f"send {number}", f"big {number}.bin")
                again = relays[number].frame_bytes - size
                result.check(again <= 2 * 64 * MIB, f"send {number}: {again // MIB} MiB travelled again")
                result.figure(f"send {number}: {max(0, again) / MIB:.1f} of {size / MIB:.0f} MiB travelled again")
            oracles.nothing_left(result, site, "at the end")
            result.check(not any("core" in name for name in site.names()), "a core file is in the inbox")
        finally:
            for send in sends:
                send.signal(signal.SIGKILL)
                send.finish()
            for relay in relays:
                relay.stop()
