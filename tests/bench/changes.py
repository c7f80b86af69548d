"""What happens to a server's disk between two clones: an upgrade, and pages that change anywhere.

The upgrade replaces files in the disk's ext4 as dpkg does: the new content is written beside the old, flushed, and
renamed over it, package by package. So it lies where the file system has room, and what was there before stays behind.
The new content of a file is that of another of the nearest size: real, and packing as well as the old.
"""

import bisect
import contextlib
import ctypes
import os
import re
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

import images
from processes import Failed

PAGE = 4096
_STEP = 4 << 20
_PACKAGE = 20  # files
_PUNCH_HOLE = 3  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


def differing_bytes(one, other):
    """Bytes of the 4 KiB pages in which two images of one size differ."""
    pages = 0
    with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            raise Failed(f"'{one}' and '{other}' are not of one size")
        left, right = bytearray(_STEP), bytearray(_STEP)
        while count := first.readinto(left):
            if second.readinto(right) != count:
                raise Failed(f"'{one}' and '{other}' cannot be read in step")
            if left[:count] != right[:count]:
                pages += sum(left[at:at + PAGE] != right[at:at + PAGE] for at in range(0, count, PAGE))
    return pages * PAGE


class RandomPages:
    """New random content for a share of an image's pages, anywhere; and the way back, without which no file system
    survives the next round."""

    def __init__(self, path, share, dice):
        size = os.path.getsize(path)
        self._old = {}
        with _open_flushed(path) as fd:
            for page in dice.sample(range(size // PAGE), int(size // PAGE * share)):
                self._old[page] = os.pread(fd, PAGE, page * PAGE)
                os.pwrite(fd, dice.randbytes(PAGE), page * PAGE)
        self.bytes = len(self._old) * PAGE

    def undo(self, path):
        """In this or another image. What was zero becomes a hole, as it was."""
        with _open_flushed(path) as fd:
            for page, content in self._old.items():
                if any(content):
                    os.pwrite(fd, content, page * PAGE)
                else:
                    _punch(fd, page * PAGE, PAGE)


@contextlib.contextmanager
def _open_flushed(path):
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


def _punch(fd, offset, length):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, _PUNCH_HOLE, ctypes.c_int64(offset), ctypes.c_int64(length)):
        raise OSError(ctypes.get_errno(), "fallocate")


@dataclass
class Upgrade:
    """What an upgrade did, as the operator sees it."""
    files: int = 0
    bytes: int = 0
    _waiting: list = field(default_factory=list)

    def replace(self, path, content):
        """As dpkg: not before all of the package's files are on the medium do they take their names."""
        new = path.with_name(path.name + ".dpkg-new")
        new.write_bytes(content)
        info = path.lstat()
        os.chown(new, info.st_uid, info.st_gid)
        os.chmod(new, stat.S_IMODE(info.st_mode))
        self._waiting.append((new, path))
        self.files += 1
        self.bytes += len(content)
        if len(self._waiting) == _PACKAGE:
            self.finish()

    def finish(self):
        for new, _ in self._waiting:
            with _open_flushed(new):
                pass
        for new, path in self._waiting:
            new.rename(path)
        self._waiting.clear()


def upgrade(image, amount, dice):
    """Replaces the kernel, so many bytes of libraries, modules and programs, and dpkg's records of them."""
    with images.mounted_server(image) as root:
        return upgrade_tree(root, amount, dice)


def upgrade_tree(root, amount, dice):
    done = Upgrade()
    programs = _sized(_programs(root))
    if len(programs) < 2:
        raise Failed(f"nothing in '{root}' could be upgraded")
    for path in sorted((root / "boot").glob("*-*-*")):
        if path.is_file() and not path.is_symlink():
            done.replace(path, successor(programs, path))
    for _, path in dice.sample(programs, len(programs)):
        if done.bytes >= amount:
            break
        done.replace(path, successor(programs, path))
    done.finish()
    _record(root, done, dice)
    done.finish()
    return done


def _programs(root):
    for top in ("usr", "srv"):
        for folder, _, names in os.walk(root / top):
            for name in names:
                if re.search(r"\.(so|so\..*|ko)$", name) or folder.endswith(("/bin", "/sbin")):
                    yield Path(folder, name)


def _sized(paths):
    """(size, path) of the regular files that are not empty, in order."""
    infos = [(path.lstat(), path) for path in paths]
    return sorted((info.st_size, path) for info, path in infos if stat.S_ISREG(info.st_mode) and info.st_size)


def successor(programs, path):
    """The content of another file of the nearest size, at most a twentieth larger; not the same, if there is a choice."""
    old = path.read_bytes()
    place = bisect.bisect_left(programs, (len(old), path))
    others = [entry for entry in programs[max(0, place - 4):place + 5] if entry[1] != path]
    for _, nearest in sorted(others, key=lambda entry: (abs(entry[0] - len(old)), entry)):
        with open(nearest, "rb") as file:
            new = file.read(len(old) + len(old) // 20 + 1)
        if new != old:
            break
    return new


def _record(root, done, dice):
    """dpkg's status, with a third of the versions raised, and the file lists of a third of the packages."""
    admin = root / "var/lib/dpkg"
    status = admin / "status"
    text = status.read_text(encoding="utf-8")
    shutil.copy2(status, admin / "status-old")
    done.replace(status, raised(text, dice).encode())
    for path in sorted((admin / "info").glob("*.list")):
        if dice.random() < 1 / 3:
            for one in (path, path.with_suffix(".md5sums")):
                if one.exists():
                    done.replace(one, one.read_bytes())
    with open(root / "var/log/dpkg.log", "a", encoding="utf-8") as log:
        log.writelines(f"2026-01-01 00:00:00 status installed package-{dice.randrange(1000)}\n" for _ in range(2000))


def raised(status, dice):
    """A dpkg status in which each version has a chance of a third to be a later one."""
    return re.sub(r"^Version: .*$", lambda line: line[0] + "+u1" * (dice.random() < 1 / 3), status, flags=re.MULTILINE)
