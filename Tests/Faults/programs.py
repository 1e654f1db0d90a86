# SPDX-License-Identifier: MIT
"""The programs under test as processes: senders, the daemon as users run it, and its worker alone."""

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

from cases import Failure

PATIENCE = 240


def wait_for(seconds, what, condition):
    """Asks again until it holds; Failure when the time is over."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = condition()
            if answer:
                return answer
        except OSError:
            pass
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.003)


def children(pid):
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def end_tree(pid):
    """Ends a process and what it started, by their ids; the parent first, or it would start others."""
    below = children(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for child in below:
        end_tree(child)


def status_field(pid, key):
    """A number of /proc/PID/status, in its unit (kB for memory)."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


class Outcome:
    """How a send ended."""

    def __init__(self, status, out, err, wire, seconds, peak):
        self.status, self.err, self.wire, self.seconds, self.peak = status, err, wire, seconds, peak
        self.summary, self.problems = {}, []
        for line in out.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if value.get("message_type") == "summary":
                self.summary = value
            elif value.get("message_type") == "error":
                self.problems.append(value)

    @property
    def had(self):
        return self.summary.get("had_bytes", 0)

    def __str__(self):
        return f"exit {self.status}: {self.err.strip()[-300:]}"


class Send:
    """A running `rtun send --json`."""

    def __init__(self, site, arguments, wait="0", trace=(), socket_path=None, environment=None, stdin=None):
        command = [*trace, site.rig.binary, "send", "--json", "--wait", wait]
        if socket_path is not False:
            command += ["-s", socket_path or site.socket]
        self.outcome = None
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command + list(arguments), cwd=site.source, env={**site.server_environment, **(environment or {})},
            stdin=stdin or subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        """Without reaping it, so that its counters can still be read."""
        return self.process.returncode is None and \
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def wait(self, seconds):
        """True once it has ended, False when the time is over; waits for the event."""
        if self.process.returncode is not None:
            return True
        handle = os.pidfd_open(self.pid)
        try:
            return bool(select.select([handle], [], [], max(0, seconds))[0])
        finally:
            os.close(handle)

    def signal(self, number):
        if self.process.returncode is None:
            os.kill(self.pid, number)

    def said(self):
        self.err.flush()
        return os.pread(self.err.fileno(), 1 << 20, 0).decode(errors="replace")

    def finish(self, seconds=PATIENCE):
        """Waits for its end; one that never ends is ended, and its status says so."""
        if self.outcome is not None:
            return self.outcome
        process = self.process
        status = wire = None
        peak = 0
        if process.returncode is None:
            if self.wait(seconds):
                # Its counters are read before it is gone for good.
                wire = written(process.pid)
                _, code, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(code)
                peak = usage.ru_maxrss * 1024
            else:
                end_tree(process.pid)
                process.wait()
                status = "no end"
        if status is None:
            status = process.returncode
        self.out.seek(0)
        self.err.seek(0)
        out, err = (file.read().decode(errors="replace") for file in (self.out, self.err))
        self.outcome = Outcome(status, out, err, wire, time.monotonic() - self.started, peak)
        self.out.close()
        self.err.close()
        return self.outcome


def written(pid):
    """Bytes that a process has given to write(2) and the like: a sender writes to its sockets and little else."""
    with open(f"/proc/{pid}/io") as file:
        for line in file:
            if line.startswith("wchar:"):
                return int(line.split()[1])
    return 0


class Daemon:
    """The daemon as users run it: a supervisor and its worker."""

    def __init__(self, site, environment=None, trace=()):
        self.site = site
        self.errors = open(os.path.join(site.base, "daemon.err"), "ab")
        self.process = subprocess.Popen(
            [*trace, site.rig.binary, "server", "-D", site.inbox, "-s", site.daemon_socket, "-l", site.log],
            env={**site.laptop_environment, **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.errors, start_new_session=True)
        wait_for(20, "the daemon to listen", lambda: self.answers() or self.process.poll() is not None)
        if self.process.poll() is not None:
            with open(self.errors.name) as file:
                said = file.read()[-200:].strip()
            raise Failure(f"the daemon ended with {self.process.returncode}: {said}")

    def answers(self):
        """Whether a worker answers a ping of the original's protocol."""
        try:
            with socket.socket(socket.AF_UNIX) as end:
                end.settimeout(3)
                end.connect(self.site.daemon_socket)
                end.sendall(b"PING\r\n")
                return end.recv(64).startswith(b"OK")
        except OSError:
            return False

    def worker(self):
        """The process behind the supervisor, None while there is none."""
        found = children(self.process.pid)
        return found[0] if found else None

    def is_running(self):
        return self.process.poll() is None

    def kill_worker(self):
        worker = self.worker()
        if worker is not None:
            os.kill(worker, signal.SIGKILL)
        return worker

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                end_tree(self.process.pid)
                self.process.wait()
        self.errors.close()

    def kill(self):
        """Everything at once, as when the machine stops."""
        end_tree(self.process.pid)
        self.process.wait()
        wait_for(10, "the daemon to be gone", self.refuses)
        self.errors.close()

    def refuses(self):
        """Nobody holds the listening socket any more: a killed process may still be busy with a last call."""
        with socket.socket(socket.AF_UNIX) as end:
            return end.connect_ex(self.site.daemon_socket) != 0


class BareWorker:
    """The daemon's worker without its supervisor, so that it can be traced from its first call on.

    One thread does all its blocking work: `strace` counts calls by thread.
    """

    def __init__(self, site, trace=(), single=True):
        self.site = site
        peers = self.listen(site.daemon_socket)
        control = self.listen(os.path.join(site.laptop, "ctl.sock"))
        self.link, theirs = socket.socketpair()
        numbers = [end.fileno() for end in (peers, control, theirs)]
        with open(os.path.join(site.base, "daemon.err"), "ab") as errors:
            self.process = subprocess.Popen(
                ["bash", "-c", 'exec "${@:4}" 3<&"$1" 4<&"$2" 5<&"$3"', "bash", *map(str, numbers), *trace,
                 site.rig.binary, "server", "--worker", "-D", site.inbox, "-s", site.daemon_socket, "-l", site.log],
                env={**site.laptop_environment, **({"RTUN_SINGLE_THREADED": "1"} if single else {})},
                pass_fds=numbers, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                start_new_session=True)
        for end in (peers, control, theirs):
            end.close()
        self.link.settimeout(30)
        try:
            self.is_listening = self.link.recv(1) == b"\x01"
        except OSError:
            self.is_listening = False

    @staticmethod
    def listen(path):
        if os.path.exists(path):
            os.unlink(path)
        end = socket.socket(socket.AF_UNIX)
        end.bind(path)
        os.chmod(path, 0o600)
        end.listen(128)
        return end

    def is_running(self):
        return self.process.poll() is None

    def worker(self):
        found = children(self.process.pid)
        return found[0] if found else self.process.pid

    def stop(self):
        """The end of the link is its order to stop."""
        self.link.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            end_tree(self.process.pid)
            self.process.wait()

    def kill(self):
        self.link.close()
        end_tree(self.process.pid)
        self.process.wait()
