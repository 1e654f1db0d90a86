# SPDX-License-Identifier: MIT
"""Writes the report from the results file alone, so that parts may be measured at different times."""

import os
import textwrap
from functools import partial

import chart
import goals
from goals import MIB, ratios, values
from measure import median
from rig import LABELS

TITLES = {
    "local": "Over ssh on one machine",
    "latency": "Latency",
    "memory": "Memory",
    "again": "The same tree again",
    "resume": "Interrupted and resumed",
    "slow": "100 Mbit/s, 50 ms round trip",
    "far": "1 Gbit/s, 100 ms round trip",
    "scale": "Up to a million files",
}
INTRODUCTION = """# Benchmarks

Written by `scripts/bench` from [results.json](benchmarks/results.json), which holds every single round;
`scripts/bench report` writes this page again from it.

How it is measured:

- Both ends run on one machine, joined by a real `sshd` and a real `ssh`. The data goes from the server's side to the
  laptop's: rtun sends it through `ssh -R`, the peers are started on the laptop's side and fetch it.
- Everyone runs once in each round, in an order that moves on from round to round. "rtun ÷ it" is the median of the
  ratios within a round; less than 1 means that rtun was faster.
- rtun's time is that of the whole `rtun send`, to OK: durable, and verified by reading back. A peer's time ends when
  `sync -f` on what it wrote has returned; none of them reads back.
- rtun starts from nothing in each round: new state folders on both sides, a new daemon. Its tunnel stands, as in real
  life; each peer makes an ssh connection of its own, and what that takes is given with each table.
- "Tunnel as by rtun ssh" is the same send through an `ssh -R` with the cipher that `rtun ssh` offers first where the
  processor computes AES (aes128-gcm). Every other row uses the ciphers that ssh takes by itself.
- For "the same tree again" everything but the 1 % is at least ten minutes old, as real results are: rtun reads younger
  files again.
- What arrived is compared with `diff -r` each time, which is not timed. A run that failed is not counted, but listed.
- CPU seconds are those of all processes involved: programs on both ends, `ssh` and `sshd`. Bytes over the wire are
  rtun's own count of what it put into the tunnel or, through the relay, what crossed the link for everyone.
- `cp -r` moves the same files without any network, as the floor.
- The relay that makes a link slow or distant (`scripts/relay`) shares the two ends' cores. It loses nothing and knows
  no slow start: what it shows is the rate, the delay and the windows of ssh.
- The original Go tool is not measured here.
"""


def megabytes(count):
    return f"{count / 1e6:,.1f} MB"


def upper_first(text):
    return text[0].upper() + text[1:]


def rate(workload, seconds):
    """What a second brought of the files themselves."""
    if workload["bytes"]:
        return f"{workload['bytes'] / 1e6 / seconds:,.0f} MB/s"
    return f"{workload['files'] / seconds:,.0f} files/s"


def source_line(circumstances):
    words = [f"Measured {circumstances['date']} by `{circumstances['command']}`, {circumstances['rounds']} rounds"]
    if circumstances["commit"]:
        words.append(f"sources at {circumstances['commit']}")
    return ", ".join(words) + f", load before {circumstances['machine']['load_before']}."


def markdown(header, rows):
    """A table; columns after the first are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    # Bars in a cell would end it.
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return lines


def wrapped(lines):
    """Prose within 120 columns; tables, charts and lists stay as they are."""
    for line in lines:
        if len(line) > 120 and not line.startswith(("|", "!", "- ", "#")):
            yield from textwrap.wrap(line, 120, break_long_words=False, break_on_hyphens=False)
        else:
            yield line


class Report:
    def __init__(self, folder, results):
        self.folder, self.results = folder, results
        self.lines = INTRODUCTION.rstrip("\n").split("\n") + [""]

    def write(self):
        self.goals()
        for part in TITLES:
            kept = self.results["parts"].get(part)
            if not kept:
                continue
            self.lines += [f"## {TITLES[part]}", ""]
            for table in kept.get("tables", []):
                (self.resumed if part == "resume" else partial(self.table, part))(table)
            if part == "local":
                self.local_rest(kept)
            if part == "latency":
                self.latency(kept)
            if part == "memory" and "floor_kib" in kept:
                self.lines += [f"The client's peak cannot be told apart below {kept['floor_kib'] >> 10} MiB.", ""]
        self.machine()
        with open(os.path.join(self.folder, "benchmarks.md"), "w") as file:
            file.write("\n".join(wrapped(self.lines)).rstrip("\n") + "\n")

    def goals(self):
        small = sorted({part for part, kept in self.results["parts"].items() if kept.get("size") != "full"})
        self.lines += ["## Goals", ""]
        if small:
            self.lines += [f"**Measured at the small size, which says little:** {', '.join(small)}.", ""]
        verdicts = {None: "not measured", True: "met", False: "**not met**"}
        self.lines += markdown(["work", "goal", "measured", ""], [
            [row.work, row.goal, row.measured or "–", verdicts[row.met if row.measured else None]]
            for row in goals.rows(self.results, LABELS)])
        self.lines.append("")

    def table(self, part, table):
        workload, place = table["workload"], table["place"]
        where = {"memory": "memory file system", "disk": "disk"}[place]
        total = f", {megabytes(workload['bytes'])}" if workload["bytes"] else ""
        count = f"{workload['files']:,} files" if workload["files"] > 1 else "1 file"
        title = f"{workload['name']}: {count}{total}, {where}"
        self.lines += [f"### {upper_first(title)}", "", upper_first(workload["description"]) + ".", ""]
        contenders = [name for name in LABELS if values(table, name)]
        if len(contenders) > 1:
            name = f"{part}-{workload['name']}-{place}.svg"
            self.chart(name, f"{TITLES[part]}: {title}" if part != "local" else title, "s",
                       [(LABELS[each], values(table, each)) for each in contenders])
        has_link = any(values(table, each, "link_bytes") for each in contenders)
        header = ["", "median", "min – max", "rate", "rtun ÷ it", "CPU"]
        rows = []
        for each in contenders:
            seconds = values(table, each)
            row = [LABELS[each], f"{median(seconds):.2f} s", f"{min(seconds):.2f} – {max(seconds):.2f}",
                   rate(workload, median(seconds)),
                   f"{median(ratios(table, each)):.2f}" if each != "rtun" and ratios(table, each) else "",
                   f"{self.cpu(table, each):.2f} s"]
            if has_link:
                row.append(megabytes(median(values(table, each, "link_bytes"))))
            rows.append(row)
        self.lines += markdown(header + (["over the link"] if has_link else []), rows)
        self.lines.append("")
        if values(table, "rtun"):
            self.lines += [self.about_rtun(table), ""]
        login = table.get("link", {}).get("login", self.results["parts"][part].get("login"))
        if login and len(contenders) > 1:
            self.lines += [f"A new ssh connection took {login:.2f} s of each peer's time.", ""]
        for failure in table.get("failures", []):
            self.lines += [f"Failed, not counted: {' '.join(failure.split())[:200]}.", ""]
        self.lines += [source_line(table["circumstances"]), ""]

    def resumed(self, table):
        workload = table["workload"]
        self.lines += [f"{upper_first(workload['description'])}, {megabytes(workload['bytes'])}. When nine tenths had "
                       "crossed the link, ssh was killed; two seconds later the tunnel stood again. Sent again is what "
                       "crossed the link beyond the file's own size, ssh's own bytes included.", ""]
        self.lines += markdown(["round", "sent again", "first new byte", "read then", "was left"], [
            [number + 1, megabytes(each["rtun"]["again_bytes"]), f"{each['rtun']['first_seconds']:.2f} s",
             megabytes(each["rtun"]["read_bytes"]), megabytes(each["rtun"]["left_bytes"])]
            for number, each in enumerate(table["rounds"])])
        self.lines += ["", source_line(table["circumstances"]), ""]

    @staticmethod
    def cpu(table, contender):
        keys = ("cpu_client", "cpu_daemon", "cpu_ssh")
        return sum(median(values(table, contender, key)) or 0 for key in keys)

    @staticmethod
    def about_rtun(table):
        def of(key):
            return median(values(table, "rtun", key)) or 0

        text = (f"rtun's CPU: {of('cpu_client'):.2f} s in the client, {of('cpu_daemon'):.2f} s in the daemon, "
                f"{of('cpu_ssh'):.2f} s in ssh and sshd. Peak memory: client {of('peak_client_kib') * 1024 / MIB:.0f} "
                f"MiB, daemon {of('peak_daemon_kib') * 1024 / MIB:.0f} MiB.")
        if of("wire_bytes"):
            text += f" Over the wire: {megabytes(of('wire_bytes'))}."
        if values(table, "rtun", "merged"):
            first = median(values(table, "rtun", "first_seconds"))
            text += f" The first send took {first:.2f} s."
            if not all(values(table, "rtun", "merged")):
                text += " This version does not merge: everything was sent again, to a new name."
        return text

    def local_rest(self, kept):
        counted = kept.get("syscalls")
        if not counted:
            return
        self.lines += ["### Durable and verified, by strace", ""]
        if "skipped" in counted:
            self.lines += [f"Not counted: {counted['skipped']}.", ""]
            return
        self.lines += [
            f"In one send of {counted['files']:,} files ({megabytes(counted['bytes'])}) the daemon made:", ""]
        self.lines += markdown(["", "calls", "bytes"], [
            ["writes below the inbox", f"{counted['writes']:,}", f"{counted['bytes_written']:,}"],
            ["reads below the inbox", f"{counted['reads_back']:,}", f"{counted['bytes_read_back']:,}"],
            ["syncfs", counted["syncfs"], ""], ["fsync, fdatasync", counted["fsync"] + counted["fdatasync"], ""],
            ["renames", counted["renames"], ""],
        ])
        order = {(True, True): "before and after", (True, False): "before, but not after",
                 (False, True): "after, but not before", (False, False): "neither before nor after"}
        key = counted["synced_before_last_rename"], counted["synced_after_last_rename"]
        complete = counted["bytes_read_back"] >= counted["bytes"]
        self.lines += ["", f"It synced {order[key]} the rename that publishes, and read back "
                       + ("every byte that was sent." if complete else "**less than was sent**."), ""]

    def latency(self, kept):
        series = kept["milliseconds"]
        self.chart("latency.svg", "Milliseconds of the whole process", "ms", list(series.items()))
        self.lines += markdown(["", "median", "min – max", "runs"], [
            [name, f"{median(each):.1f} ms", f"{min(each):.1f} – {max(each):.1f}", len(each)]
            for name, each in series.items()])
        binary = kept["binary"]
        self.lines += [
            "", f"The binary has {megabytes(binary['stripped_bytes'])} without symbols, and is "
            + ("one static file." if binary["static"] else "linked dynamically."), "",
            source_line(kept["circumstances"]), ""]

    def chart(self, name, title, unit, rows):
        """A chart of (label, values); rtun's own bars stand out."""
        drawn = [(label, min(each), median(each), max(each), label.startswith("rtun") or unit == "ms")
                 for label, each in rows]
        with open(os.path.join(self.folder, "benchmarks", name), "w") as file:
            file.write(chart.bars(title, unit, drawn))
        self.lines += [f"![{title}](benchmarks/{name})", ""]

    def machine(self):
        """Every machine and set of programs that the numbers above come from."""
        seen = []
        for kept in self.results["parts"].values():
            for each in [kept] + kept.get("tables", []):
                if "circumstances" not in each:
                    continue
                machine, versions = each["circumstances"]["machine"], each["circumstances"]["versions"]
                line = (f"- {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, "
                        f"{machine['system']}, Linux {machine['kernel']}; {', '.join(sorted(set(versions.values())))}")
                if line not in seen:
                    seen.append(line)
        self.lines += ["## Machine", ""] + seen


def write(folder, results):
    Report(folder, results).write()
