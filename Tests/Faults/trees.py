# SPDX-License-Identifier: MIT
"""Sources to send, made from a seed, and the comparison of what arrived."""

import errno
import os
import stat

MIB = 1 << 20
NAMES = ["plain", " two  spaces ", "-rf", "Ω empfänger 日本", "quote ' \" $HOME", "e\u0301", "\u00e9", "a" * 200,
         "CON"]


def write_random(path, size, random, piece=8 * MIB):
    """Bytes that no codec makes smaller."""
    with open(path, "wb") as file:
        while size > 0:
            count = min(size, piece)
            file.write(random.randbytes(count))
            size -= count


def make(root, random, budget=4 * MIB, files=24):
    """A tree of every kind that is sent faithfully: odd names, empty, sparse, linked, deep; about `budget` bytes."""
    os.makedirs(root)
    folders = [root]
    for number in range(max(2, files // 8)):
        folder = os.path.join(random.choice(folders), f"folder {number}")
        os.mkdir(folder)
        folders.append(folder)
    os.mkdir(os.path.join(root, "empty folder"))
    made = []
    for number in range(files):
        name = f"{number:03} {random.choice(NAMES)}"
        path = os.path.join(random.choice(folders), name)
        kind = random.random()
        if kind < 0.1:
            size = 0
        elif kind < 0.6:
            size = random.randrange(1, 20_000)
        else:
            size = random.randrange(1, max(2, budget * 2 // files))
        if kind > 0.95:
            with open(path, "wb") as file:
                file.truncate(size + 2 * MIB)
                file.seek(MIB)
                file.write(random.randbytes(1000))
        elif kind > 0.8:
            with open(path, "wb") as file:
                file.write(b"the same line again\n" * (size // 20))
        else:
            write_random(path, size, random)
        os.chmod(path, random.choice([0o644, 0o600, 0o755, 0o444]))
        made.append(path)
    for number in range(max(1, files // 12)):
        os.link(random.choice(made), os.path.join(random.choice(folders), f"hard {number}"))
        where = random.choice(folders)
        target = os.path.relpath(random.choice(made), where)
        os.symlink(target, os.path.join(where, f"symlink {number}"))
    for path in made + folders[::-1]:
        moment = random.randrange(10**18, 17 * 10**17)
        os.utime(path, ns=(moment, moment))


def total(root):
    """Bytes of the regular files, each once, holes not counted."""
    seen = {}
    for folder, _, files in os.walk(root):
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            if stat.S_ISREG(status.st_mode):
                seen[status.st_ino] = min(status.st_size, status.st_blocks * 512)
    return sum(seen.values())


def entries(root):
    """Every path below a root (itself as ""), with its status."""
    found = {"": os.lstat(root)}
    if stat.S_ISDIR(found[""].st_mode):
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, root)] = os.lstat(path)
    return found


def expected_mode(mode):
    """What policy makes of a mode (product.md section 3, point 8)."""
    return (0o700 if stat.S_ISDIR(mode) else 0o600) | mode & 0o755


def same_bytes(one, other):
    """Compares two files piece by piece, skipping holes that both have."""
    with open(one, "rb") as first, open(other, "rb") as second:
        size = os.fstat(first.fileno()).st_size
        if os.fstat(second.fileno()).st_size != size:
            return False
        offset = 0
        while offset < size:
            start = min(data_from(first, offset, size), data_from(second, offset, size))
            first.seek(start)
            second.seek(start)
            piece = first.read(4 * MIB)
            if piece != second.read(4 * MIB):
                return False
            offset = start + max(len(piece), 1)
    return True


def data_from(file, offset, size):
    try:
        return os.lseek(file.fileno(), offset, os.SEEK_DATA)
    except OSError as error:
        return size if error.errno == errno.ENXIO else offset


def differences(source, copy, limit=5):
    """What is not equal between a source and what arrived: kind, bytes, mode, time, links. Empty means identical."""
    found = []
    try:
        wanted, there = entries(source), entries(copy)
    except FileNotFoundError as error:
        return [f"missing: {error.filename}"]
    for path in sorted(set(wanted) ^ set(there)):
        found.append(("missing: " if path in wanted else "too much: ") + path)
    groups = ({}, {})
    for path in sorted(set(wanted) & set(there)):
        if len(found) >= limit:
            break
        want, got = wanted[path], there[path]
        one, other = (os.path.join(root, path) if path else root for root in (source, copy))
        if stat.S_IFMT(want.st_mode) != stat.S_IFMT(got.st_mode):
            found.append("another kind: " + path)
            continue
        if stat.S_ISLNK(want.st_mode):
            if os.readlink(one) != os.readlink(other):
                found.append("another target: " + path)
            continue
        if stat.S_IMODE(got.st_mode) != expected_mode(want.st_mode):
            found.append(f"mode {stat.S_IMODE(got.st_mode):o}: {path}")
        if want.st_mtime_ns != got.st_mtime_ns:
            found.append(f"time {got.st_mtime_ns - want.st_mtime_ns:+} ns: {path}")
        if stat.S_ISREG(want.st_mode):
            if not same_bytes(one, other):
                found.append("other bytes: " + path)
            if want.st_nlink > 1:
                groups[0].setdefault(want.st_ino, set()).add(path)
                groups[1].setdefault(got.st_ino, set()).add(path)
    if len(found) < limit and sorted(map(sorted, groups[0].values())) != sorted(map(sorted, groups[1].values())):
        found.append("other hard links")
    return found
