# SPDX-License-Identifier: MIT
"""What rtun is to reach, and what the results say about it."""

from measure import median

NETWORK_PEERS = ["scp", "rsync", "rsync-z1", "rsync-z3", "tar", "tar-zstd1"]
MIB = 1 << 20


def values(table, contender, key="seconds"):
    return [each[contender][key] for each in table["rounds"] if key in each.get(contender, {})]


def ratios(table, peer, key="seconds", ours="rtun"):
    """rtun's number over the peer's, in each round that has both."""
    return [each[ours][key] / each[peer][key] for each in table["rounds"]
            if each.get(ours, {}).get(key) and each.get(peer, {}).get(key)]


def against_fastest(table, peers, ours="rtun"):
    """The largest of the median ratios, and whose it is."""
    found = [(median(ratios(table, peer, ours=ours)), peer) for peer in peers if ratios(table, peer, ours=ours)]
    return max(found) if found else None


def tables(results, part):
    return results["parts"].get(part, {}).get("tables", [])


def find(results, part, name, place="memory"):
    for table in tables(results, part):
        if table["workload"]["name"] == name and table["place"] == place:
            return table
    return None


class Row:
    """One goal: what, how much is wanted, what was measured; met is None where nothing was measured."""

    def __init__(self, work, goal, measured=None, met=None):
        self.work, self.goal, self.measured, self.met = work, goal, measured, met


def ratio_row(work, goal, table, peers, labels, ours="rtun"):
    found = against_fastest(table, peers, ours) if table else None
    text = f"≤ {goal:.2f} × the fastest peer" if len(peers) > 1 else f"≤ {goal:.2f} × {labels[peers[0]]}"
    if found is None:
        return Row(work, text)
    return Row(work, text, f"{found[0]:.2f} × {labels[found[1]]}", found[0] <= goal)


def rows(results, labels):
    found = []
    for name, goal, work in (
        ("tree", 0.8, "tree of real files"), ("text", 0.7, "compressible file"), ("packed", 1.0, "incompressible file"),
    ):
        for place in ("memory", "disk"):
            table = find(results, "local", name, place)
            found.append(ratio_row(f"{work}, {place}", goal, table, NETWORK_PEERS, labels))
            if table and values(table, "rtun-quick"):
                found.append(ratio_row(f"{work}, {place}, tunnel of `rtun ssh`", goal, table, NETWORK_PEERS, labels,
                                       "rtun-quick"))
    slow = find(results, "slow", "tree")
    found.append(ratio_row("tree at 100 Mbit/s, 50 ms", 0.85, slow, ["rsync-z1", "rsync-z3", "tar-zstd1"], labels))
    found.append(ratio_row("tree at 100 Mbit/s, 50 ms", 1.0, slow, ["tar-zstd9"], labels))
    found += far_rows(find(results, "far", "packed"), labels)
    found += resume_rows(find(results, "resume", "resume"))
    again = find(results, "again", "tree")
    row = ratio_row("the tree again, 1 % of its files changed", 1.0, again, ["rsync"], labels)
    if again and not all(values(again, "rtun", "merged")):
        row.measured, row.met = row.measured + ", but everything was sent again", False
    found.append(row)
    return found + latency_rows(results) + memory_rows(results) + scale_rows(results)


def far_rows(table, labels):
    work = "incompressible at 1 Gbit/s, 100 ms"
    goals = ["≥ 6 × the speed of scp and rsync", "≥ 90 % of the link"]
    worst = against_fastest(table, ["scp", "rsync"]) if table else None
    if worst is None:
        return [Row(work, goal) for goal in goals]
    share = table["workload"]["bytes"] * 8 / median(values(table, "rtun")) / (table["link"]["mbit"] * 1e6)
    return [Row(work, goals[0], f"{1 / worst[0]:.1f} × {labels[worst[1]]}", 1 / worst[0] >= 6),
            Row(work, goals[1], f"{share * 100:.0f} %", share >= 0.9)]


def resume_rows(table):
    size = f"{table['workload']['bytes'] / MIB:,.0f} MiB" if table else "1,024 MiB"
    work = f"interrupted at 90 % of {size}, then resumed"
    goals = ["≤ 64 MiB sent again", "first new byte ≤ 1 s after the reconnect", "nothing read again"]
    if table is None:
        return [Row(work, goal) for goal in goals]
    again, first = max(values(table, "rtun", "again_bytes")), max(values(table, "rtun", "first_seconds"))
    # What is under way when the tunnel ends, at most the credit, is read again, and the answers are read too.
    more = max(each["rtun"]["read_bytes"] - each["rtun"]["left_bytes"] for each in table["rounds"])
    return [Row(work, goals[0], f"{again / MIB:.0f} MiB", again <= 64 * MIB),
            Row(work, goals[1], f"{first:.2f} s", first <= 1),
            Row(work, goals[2], f"{max(0, more) / MIB:.0f} MiB more than was left", more <= 72 * MIB)]


def latency_rows(results):
    latency = results["parts"].get("latency", {})
    ping = median(latency.get("milliseconds", {}).get("ping, direct socket", []))
    rows = [Row("ping, whole process, direct socket", "≤ 10 ms")]
    if ping is not None:
        rows = [Row("ping, whole process, direct socket", "≤ 10 ms", f"{ping:.1f} ms", ping <= 10)]
    binary = latency.get("binary")
    size = Row("static binary, stripped", "≤ 25 MB")
    if binary:
        text = f"{binary['stripped_bytes'] / 1e6:.1f} MB" + ("" if binary["static"] else ", not static")
        size = Row(size.work, size.goal, text, binary["static"] and binary["stripped_bytes"] <= 25e6)
    return rows + [size]


def peak(table):
    return max(max(values(table, "rtun", key)) for key in ("peak_client_kib", "peak_daemon_kib")) * 1024


def memory_rows(results):
    table = next((table for table in tables(results, "memory") if table["workload"]["name"] == "huge"), None)
    if table is None:
        return [Row("memory, either side, any size of file", "≤ 128 MiB")]
    return [Row("memory, either side, one file of " + f"{table['workload']['bytes'] / MIB:,.0f} MiB", "≤ 128 MiB",
                f"{peak(table) / MIB:.0f} MiB", peak(table) <= 128 * MIB)]


def scale_rows(results):
    found = sorted(tables(results, "scale"), key=lambda table: table["workload"]["files"])
    if len(found) < 2:
        return [Row("1,000,000 files", "time per file ≤ 1.2 × that of 100,000"),
                Row("1,000,000 files", "≤ 256 MiB")]
    few, many = found[-2], found[-1]
    each = [median(values(table, "rtun")) / table["workload"]["files"] for table in (few, many)]
    work = f"{many['workload']['files']:,} files"
    return [Row(work, f"time per file ≤ 1.2 × that of {few['workload']['files']:,}", f"{each[1] / each[0]:.2f} ×",
                each[1] <= 1.2 * each[0]),
            Row(work, "≤ 256 MiB", f"{peak(many) / MIB:.0f} MiB", peak(many) <= 256 * MIB)]
