# SPDX-License-Identifier: MIT
"""What must hold behind every fault (docs/reliability.md): O1 to O5."""

import os

import trees
from programs import status_field, wait_for
from rig import MIB

PEAK = 128 * MIB


def nothing_outside(result, site, when):
    """O1: everything outside the inbox is as it was."""
    return result.check(site.snapshot() == site.before, f"O1 {when}: something outside the inbox changed")


def honest_send(result, site, when):
    """O2: a send of 8 MiB that has nothing to do with it ends correct."""
    site.make_file("honest.bin", 8 * MIB, result.random)
    outcome = site.run("honest.bin")
    good = outcome.status == 0 and not trees.differences(site.path("honest.bin"), site.arrived("honest.bin"))
    if good:
        os.unlink(site.arrived("honest.bin"))
    return result.check(good, f"O2 {when}: an honest send: {outcome}")


def bounded(result, pid, when, peak=PEAK):
    """O3: peak memory of a process that still runs."""
    most = status_field(pid, "VmHWM") * 1024
    return result.check(most <= peak, f"O3 {when}: {most // MIB} MiB at once")


def nothing_left(result, site, when):
    """O3: no staging folder is left once everything has been delivered."""
    try:
        wait_for(5, "staging to go", lambda: not site.staged())
    except Exception:  # noqa: BLE001
        pass
    return result.check(not site.staged(), f"O3 {when}: staging is left: {site.staged()[:3]}")


def whole_or_absent(result, site, when, *names):
    """O4: what stands under a final name is complete, and nothing else stands there."""
    names = names or ("tree",)
    good = True
    for name in site.names():
        if name not in names:
            good = result.check(False, f"O4 {when}: {name!r} stands in the inbox")
        else:
            found = trees.differences(site.path(name), site.arrived(name))
            good = result.check(not found, f"O4 {when}: {name!r} is not whole: {found}") and good
    return good


def delivered(result, site, outcome, when, name="tree"):
    """O5 for a send that must have ended well: exit 0, and everything is there."""
    if not result.check(outcome.status == 0, f"O5 {when}: {outcome}"):
        return False
    return result.check(outcome.summary.get("verified") is True, f"O5 {when}: no summary") \
        and same(result, site, when, name)


def same(result, site, when, name="tree"):
    found = trees.differences(site.path(name), site.arrived(name))
    return result.check(not found, f"O4 {when}: {found}")


def truthful(result, site, outcome, codes, when, name="tree"):
    """O5 for a send that met a fault: 0 only if everything is there, else one of these codes and a cause."""
    if outcome.status == 0:
        return same(result, site, when + ", which said OK", name)
    return result.check(outcome.status in codes, f"O5 {when}: {outcome}") \
        and result.check(outcome.err.strip() or outcome.problems, f"O5 {when}: no cause was told")
