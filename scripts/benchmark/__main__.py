# SPDX-License-Identifier: MIT
"""`scripts/bench` calls this once a private sshd runs and the scratch folders are there."""

import argparse
import datetime
import json
import os
import shlex
import signal
import subprocess
import sys

import measure
import report
from parts import PARTS, Bench, say
from rig import LABELS, Rig


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench", add_help=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", choices=["small", "full"], default="full")
    parser.add_argument("--data")
    parser.add_argument("--disk")
    parser.add_argument("--output")
    parser.add_argument("--without", action="append", default=[], choices=[name for name in LABELS if name != "rtun"])
    parser.add_argument("--only", action="append", choices=["tree", "text", "packed"])
    parser.add_argument("--place", dest="places", action="append", choices=["memory", "disk"])
    parser.add_argument("parts", nargs="*", metavar="PART")
    options = parser.parse_args(arguments)
    options.places = options.places or ["memory", "disk"]
    options.parts = options.parts or PARTS
    unknown = [part for part in options.parts if part not in PARTS + ["report"]]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; the parts are: {' '.join(PARTS)} report")
    return options


def output_folder(options, root):
    """Full runs go into the documentation, small ones must not stand there."""
    folder = options.output or os.path.join(root, "docs" if options.size == "full" else ".build/bench")
    os.makedirs(os.path.join(folder, "benchmarks"), exist_ok=True)
    return folder


def text_of(command):
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return outcome.stdout.strip().splitlines()[0] if outcome.returncode == 0 and outcome.stdout.strip() else ""


def versions(binary):
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, timeout=30).stderr.strip()
    rsync = text_of(["rsync", "--version"]).split()
    return {"rtun": "rtun " + text_of([binary, "--version"]), "ssh": ssh.split(",")[0], "rsync": " ".join(rsync[:3]),
            "zstd": text_of(["zstd", "--version"]).strip("* ").split(",")[0],
            "tar": text_of(["tar", "--version"])}


class Results:
    """The results file. Parts, and the tables within them, that are not measured now stay as they were."""

    def __init__(self, path, size):
        self.path, self.size = path, size
        self.all = {"format": 1, "parts": {}}
        if os.path.exists(path):
            with open(path) as file:
                self.all = json.load(file)

    def keep(self, part, circumstances, table=None, **numbers):
        kept = self.all["parts"].setdefault(part, {})
        if kept.get("size") != self.size:
            kept.clear()
        kept.update(size=self.size, **numbers)
        if numbers:
            kept["circumstances"] = circumstances
        if table:
            table["circumstances"] = circumstances
            key = table["workload"]["name"], table["place"]
            tables = kept.setdefault("tables", [])
            kept["tables"] = [old for old in tables if (old["workload"]["name"], old["place"]) != key] + [table]
        with open(self.path + ".new", "w") as file:
            json.dump(self.all, file, indent=1, sort_keys=True)
            file.write("\n")
        os.replace(self.path + ".new", self.path)


def command_line(options, part):
    """What gives one part again."""
    words = ["scripts/bench"]
    for name in ("rounds", "size", "data", "disk"):
        value = getattr(options, name)
        if value is not None and (name, value) not in (("rounds", 5), ("size", "full")):
            words += ["--" + name, str(value)]
    for name in options.without:
        words += ["--without", name]
    return shlex.join(words + [part])


def measure_parts(options, parts, root, results):
    """Runs the parts; returns what failed."""
    changed = text_of(["git", "-C", root, "status", "--porcelain", "--", "Sources", "Package.swift"])
    commit = text_of(["git", "-C", root, "rev-parse", "--short", "HEAD"]) + (" with changes" if changed else "")
    rig = Rig(os.environ)
    circumstances = {}
    bench = Bench(
        rig, options, {"memory": os.environ["BENCH_MEMORY"], "disk": os.environ["BENCH_DISK"]},
        lambda part, table=None, **numbers: results.keep(part, dict(circumstances), table, **numbers))
    used = versions(rig.binary)
    try:
        if "again" in parts:
            bench.copy_tree()
        for part in parts:
            circumstances.update(
                date=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
                command=command_line(options, part), rounds=options.rounds, machine=measure.machine(),
                versions=used, commit=commit)
            try:
                getattr(bench, part)()
            except measure.TROUBLE as trouble:
                say(f"FAILED {part}: {trouble}")
                bench.failed.append(f"{part}: {trouble}")
            finally:
                rig.stop()
    finally:
        rig.stop()
    return bench.failed


def main():
    options = parse(sys.argv[1:])
    root = os.environ["BENCH_ROOT"]
    folder = output_folder(options, root)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = Results(os.path.join(folder, "benchmarks", "results.json"), options.size)
    parts = [part for part in options.parts if part != "report"]
    failed = measure_parts(options, parts, root, results) if parts else []
    report.write(folder, results.all)
    say(f"report: {os.path.join(folder, 'benchmarks.md')}")
    if failed:
        say(f"{len(failed)} FAILED")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
