# SPDX-License-Identifier: MIT
"""What is sent: real files of this machine, as a tree, as one compressible and as one incompressible file."""

import glob
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zlib

from measure import Failure

SIZES = {
    "full": {"tree_files": 43_000, "tree": 800 << 20, "text": 800 << 20, "packed": 770 << 20, "huge": 4 << 30,
             "resume": 1 << 30, "scale": (10_000, 100_000, 1_000_000)},
    "small": {"tree_files": 2_000, "tree": 40 << 20, "text": 64 << 20, "packed": 64 << 20, "huge": 512 << 20,
              "resume": 256 << 20, "scale": (1_000, 10_000)},
}
# Python's own library first, then what else a system has in many files.
ROOTS = ["/usr/lib/python3", "/usr/lib/python3.*", "/usr/local/lib/python3*", "/usr/share", "/usr/include", "/usr/lib",
         "/opt"]
TEXT = (".py", ".h", ".hpp", ".c", ".cc", ".txt", ".md", ".rst", ".json", ".xml", ".html", ".js", ".ts", ".css", ".csv",
        ".svg", ".sh", ".pl", ".pm", ".yaml", ".yml", ".po", ".tcl", ".vim", ".swiftinterface", ".go", ".rb", ".tmpl")
TREE_FILE_LIMIT = 32 << 20


def in_child(function, *arguments):
    """Calls the function in a process of its own: what it needs of memory must not count for what is started later."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as pipe:
                json.dump(function(*arguments), pipe)
            status = 0
        except BaseException as error:
            print(f"bench: {function.__name__}: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    if os.waitpid(child, 0)[1] != 0:
        raise Failure(f"{function.__name__} failed")
    return json.loads(text)


def files_below(folder):
    """Every regular file, in the order of its name, with its size; links are left alone."""
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            full = os.path.join(path, name)
            try:
                status = os.lstat(full)
            except OSError:
                continue
            if os.path.isfile(full) and not os.path.islink(full) and os.access(full, os.R_OK):
                yield full, status.st_size


def roots(data):
    """Where real files are: the folder that the user named, or this system's own."""
    found = []
    for pattern in [data] if data else ROOTS:
        found += [os.path.realpath(path) for path in sorted(glob.glob(pattern))]
    return found


def all_files(data):
    seen = set()
    for root in roots(data):
        for path, size in files_below(root):
            if path not in seen:
                seen.add(path)
                yield path, size


def make_tree(folder, size, data):
    """Copies real files under their own names: most as they come, then large ones until there are enough bytes."""
    name = os.path.join(folder, "tree")
    taken = set()
    total = 0
    for smallest, files in ((0, size["tree_files"] * 49 // 50), (128 << 10, size["tree_files"])):
        for path, length in all_files(data):
            if len(taken) >= files:
                break
            if path in taken or not smallest <= length <= TREE_FILE_LIMIT or total + length > size["tree"]:
                continue
            target = name + path
            try:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(path, target)
            except OSError:
                continue
            taken.add(path)
            total += length
            if total > 0.99 * size["tree"]:
                break
    return {"name": "tree", "path": name, "files": len(taken), "bytes": total,
            "description": "a tree of real files" + ("" if data else ": Python's library, then /usr/share and on")}


def make_text(folder, size, data):
    """Real text files one after the other; from the start again where there is too little."""
    name = os.path.join(folder, "text.txt")
    total = distinct = 0
    with open(name, "wb") as output:
        while total < size["text"]:
            before = total
            for path, length in all_files(data):
                if total >= size["text"]:
                    break
                if length == 0 or not path.endswith(TEXT):
                    continue
                try:
                    with open(path, "rb") as file:
                        total += output.write(file.read(size["text"] - total))
                except OSError:
                    continue
            distinct = distinct or total
            if total == before:
                break
    return {"name": "text", "path": name, "files": 1, "bytes": total, "distinct_bytes": distinct,
            "description": "one compressible file: source and documentation texts, one after the other"}


def make_packed(folder, size, data):
    """The output of tar | zstd over real files, cut off where it is long enough."""
    name = os.path.join(folder, "packed.tar.zst")
    listing = os.path.join(folder, "packed.list")
    with open(listing, "wb") as file:
        for path, _ in all_files(data):
            file.write(os.fsencode(path) + b"\0")
    subprocess.run(
        ["sh", "-c", 'tar -P --null -T "$1" -cf - 2>/dev/null | zstd -q -3 -T0 2>/dev/null | head -c "$2" >"$3"', "sh",
         listing, str(size["packed"]), name],
        check=True, timeout=900)
    os.remove(listing)
    return {"name": "packed", "path": name, "files": 1, "bytes": os.path.getsize(name),
            "description": "one incompressible file: a tar archive of real files, packed by zstd"}


def make_huge(path, length, text):
    """Half text, half random bytes, no two stretches of 256 KiB alike: cheap to make, and nothing can be left out."""
    block = 32 << 20
    with open(text, "rb") as file:
        words = bytearray(file.read(block))
    stamps = range(0, max(0, len(words) - 8), 256 << 10)
    with open(path, "wb") as output:
        number = total = 0
        while total < length:
            if number % 2 == 0 and len(words) == block:
                for index, offset in enumerate(stamps):
                    struct.pack_into("<Q", words, offset, number << 32 | index)
                total += output.write(words)
            else:
                total += output.write(os.urandom(block))
            number += 1
    return {"name": "huge", "path": path, "files": 1, "bytes": total,
            "description": "one file, half text and half random bytes"}


def make_noise(path, length):
    """Random bytes: as many cross the link as there are."""
    with open(path, "wb") as output:
        for start in range(0, length, 8 << 20):
            output.write(os.urandom(min(8 << 20, length - start)))


def make_many(folder, count):
    """Small files of one line each, a thousand in a folder."""
    for number in range(count):
        if number % 1000 == 0:
            branch = os.path.join(folder, f"{number // 100_000:03}", f"{number // 1000 % 100:03}")
            os.makedirs(branch)
        with open(os.path.join(branch, f"{number % 1000:03}.csv"), "w") as file:
            file.write(f"run,value\n{number},{number * 2654435761 % 1_000_003}\n")


def change_some(folder, share, seed):
    """Changes that share of the files of a tree: some get another line, some other bytes in the middle."""
    chosen = [path for path, size in files_below(folder) if size > 0]
    random.Random(seed).shuffle(chosen)
    chosen = chosen[:max(1, int(len(chosen) * share))]
    for index, path in enumerate(chosen):
        os.chmod(path, 0o644)
        with open(path, "r+b") as file:
            if index % 2:
                file.seek(os.path.getsize(path) // 2)
            else:
                file.seek(0, os.SEEK_END)
            file.write(f"changed in round {seed}\n".encode())
    return len(chosen)


def make_png(path):
    """A picture of about 200 KB that no compressor makes smaller."""
    noise = random.Random(200)
    rows = b"".join(b"\0" + noise.randbytes(256 * 3) for _ in range(260))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 256, 260, 8, 2, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


class Workloads:
    """Makes each workload once, in memory, and copies it to the disk where it is wanted there."""

    MAKERS = {"tree": make_tree, "text": make_text, "packed": make_packed}

    def __init__(self, size, data, folders):
        self.size, self.data, self.folders = SIZES[size], data, folders
        self.made = {}

    def get(self, name, place):
        key = name, place
        if key not in self.made:
            folder = os.path.join(self.folders[place], "src")
            os.makedirs(folder, exist_ok=True)
            if place == "memory":
                self.made[key] = in_child(self.MAKERS[name], folder, self.size, self.data)
            else:
                original = self.get(name, "memory")
                path = os.path.join(folder, os.path.basename(original["path"]))
                subprocess.run(["cp", "-a", original["path"], path], check=True, timeout=900)
                self.made[key] = {**original, "path": path}
        return self.made[key]

    def drop(self, name, place):
        workload = self.made.pop((name, place), None)
        if workload:
            remove(workload["path"])


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def describe(workload):
    return {key: value for key, value in workload.items() if key != "path"}
