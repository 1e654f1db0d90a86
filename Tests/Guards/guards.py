#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes each guard of table.py out of a copy of the tree, and asks the tests that are named for it to fail.

The copy is built once: an environment variable says which guard is out. With none out all those tests must pass.
Prints a row of the table of docs/threat-model.md for each guard; exit 0 only if every removal was noticed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from table import GUARDS  # noqa: E402

VARIABLE = "RTUN_GUARD_OFF"
HELPER = """// SPDX-License-Identifier: MIT

#if canImport(Darwin)
internal import Darwin
#else
internal import Glibc
#endif

/// Whether this guard is out.
%s func off(_ name: String) -> Bool {
    guard let value = unsafe getenv("RTUN_GUARD_OFF") else { return false }
    return unsafe String(cString: value) == name
}
"""
# Every swift process of a test gets an environment of its own making.
ENVIRONMENT = ("Tests/TestSupport/DaemonUnderTest.swift", '"LANG": "C.UTF-8",',
               '"LANG": "C.UTF-8", "RTUN_GUARD_OFF": ProcessInfo.processInfo.environment["RTUN_GUARD_OFF"] ?? "",')


def change(tree, file, old, new):
    path = os.path.join(tree, file)
    with open(path) as source:
        text = source.read()
    if text.count(old) != 1:
        sys.exit("guards: %s holds this %d times, not once: %s" % (file, text.count(old), old))
    with open(path, "w") as source:
        source.write(text.replace(old, new))


def take_out(tree):
    """Makes every guard of the tree one that can be switched off."""
    for module, access in (("Descriptors", "package"), ("Codecs", "internal")):
        with open(os.path.join(tree, "Sources", module, "GuardSwitch.swift"), "w") as source:
            source.write(HELPER % access)
    files = set()
    for _, name, _, file, changes, _ in GUARDS:
        for old, new in changes:
            change(tree, os.path.join("Sources", file), old, new)
        files.add(file)
    for file in files:
        path = os.path.join(tree, "Sources", file)
        with open(path) as source:
            text = source.read()
        module = file.split("/")[0]
        if module not in ("Descriptors", "Codecs") and not re.search(r"^.*import Descriptors$", text, re.M):
            with open(path, "w") as source:
                source.write(text.replace("// SPDX-License-Identifier: MIT\n", "// SPDX-License-Identifier: MIT\n\nprivate import Descriptors\n", 1))
    change(tree, *ENVIRONMENT)


FAILED = re.compile(r"Test (?!case |run )(?:\"(.+?)\"|(\w+\(.*?\))).*? (?:failed after|recorded an issue)")


def run_swift(tree, filters, name):
    """The built tests themselves: `swift test` takes many times as long to begin."""
    environment = dict(os.environ, SWIFT_BACKTRACE="enable=no", NO_COLOR="1", **{VARIABLE: name})
    arguments = [os.path.join(tree, ".build/debug/rtunPackageTests.xctest"), "--testing-library", "swift-testing"]
    for one in filters:
        arguments += ["--filter", one]
    with subprocess.Popen(arguments, cwd=tree, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        # Without its guard a test may never end.
        timer = threading.Timer(300, process.kill)
        timer.start()
        output = process.stdout.read().decode(errors="replace")
        timer.cancel()
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    failed = list(dict.fromkeys(found.group(1) or found.group(2) for found in FAILED.finditer(output)))
    if process.returncode and not failed:
        failed = ["(the tests did not end, or died)"]
    return process.returncode, failed, output


def run_hostile(tree, binary, part, name):
    environment = dict(os.environ, RTUN_STOP_AT_FIRST="1", **{VARIABLE: name})
    ended = subprocess.run([sys.executable, os.path.join(tree, "Tests/Hostile/hostile.py"), binary, part],
                           env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    failed = ["hostile.py " + line[5:63].strip() for line in ended.stdout.splitlines() if line.startswith("FAIL")]
    return ended.returncode, failed, ended.stdout


def main():
    parser = argparse.ArgumentParser(prog="guards", description=__doc__)
    parser.add_argument("--tree", help="a copy of the project to change and to build in, in place of a new one")
    parser.add_argument("--built", action="store_true", help="that copy is changed and built already")
    parser.add_argument("--log", help="a folder for what each run said")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests with every guard in its place")
    parser.add_argument("--all", action="store_true", help="ask the hostile peer also where a test has noticed already")
    parser.add_argument("names", nargs="*", help="guards; all if none")
    options = parser.parse_args()
    root = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    tree = options.tree
    if tree is None:
        tree = os.path.join(root, ".build-guards")
        for folder in ("Sources", "Tests", "Fixtures", "scripts"):
            shutil.rmtree(os.path.join(tree, folder), ignore_errors=True)
            shutil.copytree(os.path.join(root, folder), os.path.join(tree, folder), symlinks=True)
        for file in ("Package.swift", "Package.resolved"):
            shutil.copy(os.path.join(root, file), tree)
    if not options.built:
        take_out(tree)
        if subprocess.run(["swift", "build", "--build-tests"], cwd=tree, stdout=sys.stderr).returncode:
            sys.exit("guards: the copy does not build")
    binary = os.path.join(tree, ".build/debug/rtun")
    chosen = [one for one in GUARDS if not options.names or one[1] in options.names]

    def say(name, output):
        if options.log:
            os.makedirs(options.log, exist_ok=True)
            with open(os.path.join(options.log, name), "a") as file:
                file.write(output)

    missed = []
    if not options.no_baseline:
        tests = sorted({test for one in chosen for test in one[5]})
        code, failed, output = run_swift(tree, [test for test in tests if not test.startswith("hostile:")], "")
        say("baseline", output)
        if code:
            missed.append("with every guard in its place: %s" % failed)
        for test in tests:
            if test.startswith("hostile:"):
                code, failed, output = run_hostile(tree, binary, test[8:], "")
                say("baseline", output)
                if code:
                    missed.append("with every guard in its place: %s" % failed)
        print("with every guard in its place: %s" % (missed or "all pass"), flush=True)
    for never, name, what, _, _, tests in chosen:
        noticed, started = [], time.monotonic()
        filters = [test for test in tests if not test.startswith("hostile:")]
        if filters:
            _, failed, output = run_swift(tree, filters, name)
            noticed += failed
            say(name, output)
        for test in tests:
            if test.startswith("hostile:") and (options.all or not noticed):
                _, failed, output = run_hostile(tree, binary, test[8:], name)
                noticed += failed
                say(name, output)
        if not noticed:
            missed.append(name)
        print("| %s | %s (`%s`) | %s | %.0f s" % (never, what, name, "; ".join(noticed) or "**nothing**",
                                             time.monotonic() - started), flush=True)
    if missed:
        sys.exit("guards: not noticed: " + ", ".join(missed))


if __name__ == "__main__":
    main()
