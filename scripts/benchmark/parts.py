# SPDX-License-Identifier: MIT
"""The parts of the benchmark. What they keep is the raw numbers of every round."""

import os
import subprocess
import sys
import time

import data
import measure
import syscalls
from rig import Link, compare, empty_folder, wait_for

PEERS = ["scp", "rsync", "rsync-z1", "rsync-z3", "tar", "tar-zstd1"]


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


class Bench:
    """Runs parts; `keep(part, table)` and `keep(part, **numbers)` store what they found as soon as it is known."""

    def __init__(self, rig, options, folders, keep):
        self.rig, self.options, self.folders, self.keep = rig, options, folders, keep
        self.rounds = options.rounds
        self.workloads = data.Workloads(options.size, options.data, folders)
        self.size = data.SIZES[options.size]
        self.failures, self.failed = [], []
        self.retires, self.retired = False, os.path.join(folders["disk"], "old")
        self.copied = None

    def table(self, workload, place, contenders, limit=900):
        """Rounds of one workload: everyone once in each, in an order that moves on by one from round to round."""
        source = workload["path"]
        contenders = [name for name in contenders if name not in self.options.without]
        rounds = []
        self.retires = place == "disk" and self.has_room(workload, len(contenders) * self.rounds)
        for number in range(self.rounds):
            offset = number % len(contenders)
            measured = {}
            for contender in contenders[offset:] + contenders[:offset]:
                try:
                    measured[contender] = self.once(contender, source, place, limit)
                except measure.TROUBLE as trouble:
                    self.failures.append(f"{workload['name']}, {place}, {contender}: {trouble}")
                    say("FAILED " + self.failures[-1])
            rounds.append(measured)
            say(f"  round {number + 1}: " + ", ".join(
                f"{name} {measured[name]['seconds']:.2f}" for name in contenders if name in measured))
        self.retires = False
        data.remove(self.retired)
        table = {"workload": data.describe(workload), "place": place, "rounds": rounds, "failures": self.failures}
        self.failed += self.failures
        self.failures = []
        return table

    def once(self, contender, source, place, limit):
        """One run from a clean start; what arrived is compared and removed, neither of which is timed."""
        rig = self.rig
        destination = os.path.join(self.folders[place], "dst")
        is_rtun = contender.startswith("rtun")
        if is_rtun:
            rig.start_daemon(destination)
        else:
            empty_folder(destination)
        self.settle(place)
        try:
            result, arrived = rig.run(contender, source, destination, limit)
            compare(source, arrived, rig.memory, rig.plain)
        finally:
            if is_rtun:
                rig.stop_daemon()
            self.retire(destination)
        return result

    def has_room(self, workload, runs):
        """Whether the disk can hold the results of all runs, with as much again to spare."""
        free = os.statvfs(self.folders["disk"])
        return (free.f_bavail * free.f_frsize > 2 * runs * workload["bytes"]
                and free.f_favail > 4 * runs * workload["files"])

    def retire(self, destination):
        """Results on disk stay until the table is done: ext4 is slow to make files where many were just removed,
        which would favour whoever comes first."""
        if self.retires and os.path.exists(destination):
            os.makedirs(self.retired, exist_ok=True)
            os.rename(destination, os.path.join(self.retired, str(len(os.listdir(self.retired)))))
        data.remove(destination)

    def settle(self, place):
        """Nothing that went before is still on its way to the disk."""
        if place == "disk":
            subprocess.run(["sync", "-f", self.folders["disk"]], check=True, timeout=300)

    def login(self):
        """Seconds that a new ssh connection takes, which every peer makes and rtun does not: median of five."""
        command = self.rig.ssh() + ["rtun-loop", "true"]
        runs = [measure.run(command, self.rig.plain, self.rig.memory).require_success("ssh") for _ in range(5)]
        return round(measure.median([outcome.seconds for outcome in runs]), 3)

    # The parts

    def local(self):
        """Over a real ssh on this machine, in memory and on disk."""
        rig = self.rig
        rig.start_tunnel(with_quick=True)
        login = self.login()
        for name in self.options.only or ["tree", "text", "packed"]:
            for place in self.options.places:
                workload = self.workloads.get(name, place)
                say(f"local: {name} ({workload['files']} files, {workload['bytes'] >> 20} MiB), {place}")
                self.keep("local", self.table(workload, place, ["rtun", "rtun-quick"] + PEERS + ["cp"]), login=login)
                if place == "disk":
                    self.workloads.drop(name, place)
        sample = data.in_child(data.make_tree, empty_folder(os.path.join(rig.memory, "sample")),
                               data.SIZES["small"], self.options.data)
        inbox = os.path.join(self.folders["disk"], "dst")
        rig.start_daemon(inbox)
        counted = syscalls.inspect(rig, sample["path"])
        if "skipped" not in counted:
            compare(sample["path"], os.path.join(inbox, "tree"), rig.memory, rig.plain)
        rig.stop_daemon()
        data.remove(inbox)
        self.keep("local", syscalls={"files": sample["files"], "bytes": sample["bytes"], **counted})

    def latency(self):
        """What the user waits for at the prompt, in milliseconds of the whole process."""
        rig = self.rig
        runs = max(20, self.rounds)
        picture = os.path.join(rig.memory, "plot.png")
        data.in_child(data.make_png, picture)
        inbox = os.path.join(self.folders["memory"], "dst")
        rig.start_tunnel()
        rig.start_daemon(inbox)
        series = {}

        def time_series(name, arguments, socket, shows=False, restart_after=None):
            series[name], seen = [], []
            for number in range(runs):
                # The laptop shows ten notifications a minute, then a summary; a new daemon has a new budget.
                if restart_after and number and number % restart_after == 0:
                    rig.start_daemon(inbox)
                    run([rig.binary, "ping"], socket)
                reached = []

                def watch(start=time.perf_counter()):
                    rig.wait_until_opened()
                    reached.append(time.perf_counter() - start)

                outcome = run(arguments, socket, watch if shows else None)
                series[name].append(round(outcome.seconds * 1000, 3))
                seen += [round(seconds * 1000, 3) for seconds in reached]
            if shows:
                series[name + ", until it is on the screen"] = seen
            say(f"  {name}: median {measure.median(series[name]):.1f} ms"
                + (f", on the screen after {measure.median(seen):.1f} ms" if seen else ""))

        def run(arguments, socket, on_start=None):
            environment = {**rig.on_server, "RTUN_SOCK": socket} if socket else rig.plain
            return measure.run(arguments, environment, rig.memory, 30, on_start).require_success(arguments[-1])

        say("latency")
        run([rig.binary, "ping"], rig.remote)
        time_series("an empty process (true)", ["true"], None)
        time_series("rtun --version", [rig.binary, "--version"], None)
        time_series("ping, direct socket", [rig.binary, "ping"], rig.socket)
        time_series("ping, ssh -R", [rig.binary, "ping"], rig.remote)
        time_series("notify, ssh -R", [rig.binary, "notify", "done"], rig.remote, True, 8)
        time_series("view of a 200 KB PNG, ssh -R", [rig.binary, "view", picture], rig.remote, True)
        rig.stop_daemon()
        data.remove(inbox)
        self.keep("latency", milliseconds=series, binary=self.binary())

    def binary(self):
        """How large the program is without its symbols, and whether it is one static file."""
        stripped = os.path.join(self.rig.memory, "stripped")
        size = os.path.getsize(self.rig.binary)
        try:
            subprocess.run(["strip", "-o", stripped, self.rig.binary], check=True, timeout=60)
            size = os.path.getsize(stripped)
            os.remove(stripped)
        except (OSError, subprocess.SubprocessError):
            pass
        listing = subprocess.run(["readelf", "-l", self.rig.binary], capture_output=True, text=True, timeout=60).stdout
        return {"stripped_bytes": size, "static": bool(listing) and "INTERP" not in listing}

    def memory(self):
        """The most memory that either side has at once."""
        rig = self.rig
        with open("/proc/meminfo") as file:
            available = {line.split(":")[0]: int(line.split()[1]) << 10 for line in file}["MemAvailable"]
        place = "memory" if available > 3 * self.size["huge"] else "disk"
        say(f"memory: a file of {self.size['huge'] >> 20} MiB, {place}")
        text = self.workloads.get("text", "memory")
        path = os.path.join(self.folders[place], "huge.bin")
        data.in_child(data.make_huge, path, self.size["huge"], text["path"])
        rig.start_tunnel()
        try:
            for workload, where in (
                ({"name": "huge", "path": path, "files": 1, "bytes": self.size["huge"],
                  "description": "one file, half text and half random bytes"}, place),
                (self.workloads.get("tree", "memory"), "memory"),
            ):
                result = self.once("rtun", workload["path"], where, 1800)
                self.keep("memory", {"workload": data.describe(workload), "place": where, "rounds": [{"rtun": result}]},
                          floor_kib=measure.own_peak_kib())
                say(f"  {workload['name']}: client {result['peak_client_kib'] >> 10} MiB, "
                    f"daemon {result['peak_daemon_kib'] >> 10} MiB, {result['seconds']:.1f} s")
        finally:
            data.remove(path)

    def scale(self):
        """Whether the time per file stays as it is when there are ten times as many."""
        rig = self.rig
        rig.start_tunnel()
        folder = os.path.join(self.folders["memory"], "many")
        for count in self.size["scale"]:
            data.in_child(data.make_many, empty_folder(folder), count)
            say(f"scale: {count} files")
            workload = {"name": f"scale-{count}", "path": folder, "files": count, "bytes": 0,
                        "description": "files of one line"}
            rounds = []
            for _ in range(max(1, self.rounds // 2)):
                rounds.append({"rtun": self.once("rtun", folder, "memory", 1800)})
                result = rounds[-1]["rtun"]
                say(f"  {result['seconds']:.2f} s, client {result['peak_client_kib'] >> 10} MiB, "
                    f"daemon {result['peak_daemon_kib'] >> 10} MiB")
            self.keep("scale", {"workload": data.describe(workload), "place": "memory", "rounds": rounds})
        data.remove(folder)

    def copy_tree(self):
        """A copy of the tree to be changed; made before other parts, so that it need not be waited for."""
        source = dict(self.workloads.get("tree", "memory"))
        folder = empty_folder(os.path.join(self.folders["memory"], "again"))
        subprocess.run(["cp", "-a", source["path"], os.path.join(folder, "tree")], check=True, timeout=900)
        self.copied = source, folder, time.time()

    def old_tree(self):
        """The copy, with times that have settled: rtun reads files again whose times are under ten minutes old, since
        a file system's clock does not tell two writes in one of its ticks apart."""
        if self.copied is None:
            self.copy_tree()
        source, folder, made = self.copied
        rest = made + 605 - time.time()
        if rest > 0:
            say(f"again: waiting {rest:.0f} s, until the files are ten minutes old")
            time.sleep(rest)
        return source, folder

    def again(self):
        """The same tree once more, after one per cent of its files has changed."""
        rig = self.rig
        source, folder = self.old_tree()
        path = os.path.join(folder, "tree")
        rig.start_tunnel()
        inbox, mirror = (os.path.join(self.folders["memory"], name) for name in ("dst", "mirror"))
        rounds = []
        say("again: 1 % of the files changed")
        for number in range(self.rounds):
            rig.start_daemon(inbox)
            empty_folder(mirror)
            first, _ = rig.run("rtun", path, inbox)
            rig.run("rsync", path, mirror)
            changed = data.in_child(data.change_some, path, 0.01, number + 1)
            measured = {}
            for contender in ("rtun", "rsync") if number % 2 == 0 else ("rsync", "rtun"):
                result, arrived = rig.run(contender, path, inbox if contender == "rtun" else mirror)
                if contender == "rtun":
                    # Until the product merges, what comes again gets a name of its own.
                    result["merged"] = not os.path.exists(arrived + " (2)")
                    result["first_seconds"] = first["seconds"]
                    arrived = arrived if result["merged"] else arrived + " (2)"
                compare(path, arrived, rig.memory, rig.plain)
                measured[contender] = result
            rounds.append(measured)
            say(f"  round {number + 1}: {changed} changed, rtun {measured['rtun']['seconds']:.2f}, "
                f"rsync {measured['rsync']['seconds']:.2f}"
                + ("" if measured["rtun"]["merged"] else " (rtun sent everything again, to a new name)"))
            rig.stop_daemon()
        for used in (folder, inbox, mirror):
            data.remove(used)
        self.keep("again", {"workload": data.describe(source), "place": "memory", "rounds": rounds})

    def resume(self):
        """The tunnel is killed when nine tenths stand at the laptop, and comes back two seconds later."""
        rig = self.rig
        size = self.size["resume"]
        path = os.path.join(self.folders["memory"], "resume.bin")
        inbox = os.path.join(self.folders["memory"], "dst")
        data.in_child(data.make_noise, path, size)
        say(f"resume: a file of {size >> 20} MiB, interrupted at 90 %")
        rounds = []
        for number in range(self.rounds):
            link = Link(rig, 0, 0)
            rig.start_tunnel(link)
            rig.start_daemon(inbox)
            with open(os.path.join(rig.memory, "resume.err"), "w+") as errors:
                sender = subprocess.Popen([rig.binary, "send", path], env={**rig.on_server, "RTUN_SOCK": rig.remote},
                                          stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
                try:
                    wait_for(300, "nine tenths", lambda: link.bytes() >= 0.9 * size or sender.poll() is not None)
                    rig.break_tunnel()
                    time.sleep(2)
                    crossed, read = link.bytes(), measure.read_bytes(sender.pid)
                    rig.mend_tunnel()
                    start = time.perf_counter()
                    wait_for(60, "the first new byte", lambda: link.bytes() - crossed > 256 << 10
                             or sender.poll() is not None)
                    first = time.perf_counter() - start
                    last_read = read
                    while sender.poll() is None:
                        last_read = max(last_read, measure.read_bytes(sender.pid))
                        time.sleep(0.01)
                    if sender.returncode != 0:
                        errors.seek(0)
                        raise measure.Failure(f"exit {sender.returncode}: {errors.read()[-400:].strip()}")
                finally:
                    if sender.poll() is None:
                        sender.kill()
                    sender.wait()
            compare(path, os.path.join(inbox, "resume.bin"), rig.memory, rig.plain)
            rounds.append({"rtun": {
                "again_bytes": max(0, link.bytes() - size), "first_seconds": round(first, 3),
                "read_bytes": last_read - read, "left_bytes": size - min(size, crossed)}})
            result = rounds[-1]["rtun"]
            say(f"  round {number + 1}: {result['again_bytes'] >> 20} MiB sent again, first byte after {first:.2f} s, "
                f"{result['read_bytes'] >> 20} MiB read for {result['left_bytes'] >> 20} MiB that were left")
            rig.stop()
        data.remove(path)
        data.remove(inbox)
        workload = {"name": "resume", "files": 1, "bytes": size, "description": "one file of random bytes"}
        self.keep("resume", {"workload": workload, "place": "memory", "rounds": rounds})

    def over_link(self, name, workload, contenders, rate, round_trip):
        rig = self.rig
        rig.start_tunnel(Link(rig, rate, round_trip))
        say(f"{name}: {workload['name']} ({workload['bytes'] >> 20} MiB) at {rate} Mbit/s, {round_trip} ms")
        login = self.login()
        table = self.table(workload, "memory", contenders, 1800)
        table["link"] = {"mbit": rate, "round_trip_ms": round_trip, "login": login}
        rig.stop_tunnel()
        self.keep(name, table)

    def slow(self):
        """A home line: 100 Mbit/s, 50 ms."""
        self.over_link("slow", self.workloads.get("tree", "memory"),
                       ["rtun", "rsync-z1", "rsync-z3", "tar-zstd1", "tar-zstd9"], 100, 50)

    def far(self):
        """A fast line to another continent: 1 Gbit/s, 100 ms."""
        self.over_link("far", self.workloads.get("packed", "memory"), ["rtun", "scp", "rsync", "tar"], 1000, 100)


PARTS = ["local", "latency", "memory", "again", "resume", "slow", "far", "scale"]
