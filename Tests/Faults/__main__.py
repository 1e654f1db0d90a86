# SPDX-License-Identifier: MIT
"""`scripts/faults` behind its shell part: chooses cases, runs them, tells what was survived."""

import argparse
import importlib
import os
import signal
import sys
import time
import traceback

from cases import CASES, Failure, Result, Skip
from rig import Rig

FAMILIES = ["kill_points", "random_kills", "injected", "full_disks", "order", "power", "cut", "links", "races",
            "endings", "scale"]


def main():
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("--quick", action="store_true", help="the quick selection, small (at most a minute)")
    parser.add_argument("--full", action="store_true", help="every case, every n, every seed")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--scratch", help="folder for data (default: /dev/shm)")
    parser.add_argument("--settled", help="folder that keeps the sources of cut-90-settled for the next run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases, by the start of their names")
    options = parser.parse_args()
    for family in FAMILIES:
        importlib.import_module(family)
    if options.list:
        for case in CASES.values():
            mark = "quick" if case.is_quick else "long" if case.is_long else ""
            print(f"{case.name:<22} {case.tests:<14} {mark:<6} {case.about}")
        return 0
    chosen = [case for case in CASES.values() if any(case.name.startswith(name) for name in options.names)] \
        if options.names else [case for case in CASES.values() if
                               (case.is_quick if options.quick else options.full or not case.is_long)]
    if not chosen:
        parser.error("no case of that name; see scripts/faults --list")
    scratch = options.scratch or ("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp")
    rig = Rig(os.environ["RTUN_BINARY"], scratch, os.environ["FAULTS_ROOT"],
              "quick" if options.quick else "full" if options.full else "normal", options.settled)
    # What was started is ended also when the loops are.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"faults: seed {options.seed}, {rig.amount}, {rig.binary}", flush=True)
    started = time.monotonic()
    failed = 0
    totals = {}
    try:
        for case in chosen:
            result = Result(case.name, options.seed)
            try:
                case.body(rig, result)
            except Skip as reason:
                print(f"skip {case.name:<22} {reason}", flush=True)
                continue
            except Failure as error:
                result.check(False, f"the rig: {error}")
            except Exception:  # noqa: BLE001
                traceback.print_exc()
                result.check(False, "the case itself failed; see above")
            for line in result.lines():
                print(line, flush=True)
            failed += bool(result.problems)
            for what, number in result.counts.items():
                totals[what] = totals.get(what, 0) + number
    finally:
        rig.end()
    counts = ", ".join(f"{number:,} {what}" for what, number in totals.items())
    print(f"faults: {len(chosen)} cases, {failed} failed, {time.monotonic() - started:.0f} s; survived: {counts}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
