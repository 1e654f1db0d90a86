# SPDX-License-Identifier: MIT
"""What a case is, what it counts, and how its result is told."""

import random
import time


class Failure(Exception):
    """The rig itself does not work; what was to be tested is not known."""


class Skip(Exception):
    """This machine lacks what the case needs."""


CASES = {}


def case(name, tests, about, quick=False, long=False):
    """Registers a case; `tests` are the names of reliability tests. A quick one is part of `scripts/faults --quick`,
    a long one runs only when it is named or with `--full`."""
    def note(body):
        if name in CASES:
            raise ValueError(name)
        CASES[name] = Case(name, tests, about, body, quick, long)
        return body
    return note


class Case:
    def __init__(self, name, tests, about, body, quick, long):
        self.name, self.tests, self.about, self.body = name, tests, about, body
        self.is_quick, self.is_long = quick, long


class Result:
    """Counts, figures and problems of one case."""

    def __init__(self, name, seed):
        self.name, self.seed = name, seed
        self.random = random.Random(f"{seed}/{name}")
        self.counts = {}
        self.figures = []
        self.problems = []
        self.started = time.monotonic()

    def count(self, what, number=1):
        self.counts[what] = self.counts.get(what, 0) + number

    def figure(self, text):
        self.figures.append(text)

    def check(self, holds, text):
        """Notes a problem where something does not hold; the case goes on."""
        if not holds:
            self.problems.append(text)
            print(f"       ! {text}"[:400], flush=True)
        return bool(holds)

    @property
    def seconds(self):
        return time.monotonic() - self.started

    def lines(self):
        verdict = "FAIL" if self.problems else "ok  "
        counts = ", ".join(f"{number:,} {what}" for what, number in self.counts.items())
        yield f"{verdict} {self.name:<22} {self.seconds:6.1f} s  {counts}"
        for text in self.figures:
            yield f"       {text}"
        for text in self.problems[:8]:
            yield f"       - {text}"
        if len(self.problems) > 8:
            yield f"       - and {len(self.problems) - 8} more"
