"""Guest images and disk images: built, copied, compared byte by byte and file by file."""

import contextlib
import hashlib
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import harness

MIB = 1 << 20


# The servers that are variants of what one script builds, and how it is asked for them.
VARIANTS = {
    "named-server": ("physical-server", "named"),
    "bond-server": ("physical-server", "bond"),
    "uefi-server": ("layered-server", "uefi"),
    "lvm-server": ("layered-server", "lvm"),
    "dracut-server": ("layered-server", "dracut"),
    "mirror-server": ("layered-server", "mirror"),
    "luks-server": ("layered-server", "luks"),
    "legacy-server": ("layered-server", "legacy"),
}


def guest(name, size="2G"):
    """The path of a cached guest image; the first caller builds it. It must not be written to."""
    script, *variant = VARIANTS.get(name, (name,))
    builder = harness.HERE / "guests" / f"build-{script}"
    process = harness.start([builder, size, *variant], stdout=subprocess.PIPE, text=True)
    path = process.communicate()[0].strip()
    if process.returncode == 77:
        harness.skip(f"'{builder.name}' cannot run here")
    harness.check_quietly(process.returncode == 0, f"'{builder.name}' builds the {name}")
    return Path(path)


def sparse_copy(source, target):
    harness.run("cp", "--sparse=always", "--reflink=auto", source, target)
    return target


def make_dirty_image(path, size):
    """An image file full of 0xFF: what is not written shows, and what should be zero has to be made so."""
    block = b"\xff" * MIB
    with open(path, "wb") as image:
        for offset in range(0, size, MIB):
            image.write(block[:size - offset])
    return path


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_difference(one, other, begin_at, end):
    """The offset of the first byte in which two files differ, or None."""
    with open(one, "rb") as a, open(other, "rb") as b:
        a.seek(begin_at)
        b.seek(begin_at)
        for offset in range(begin_at, end, MIB):
            want = min(MIB, end - offset)
            left, right = a.read(want), b.read(want)
            if left != right:
                return offset + next((i for i, (x, y) in enumerate(zip(left, right)) if x != y),
                                     min(len(left), len(right)))
    return None


def only_byte(path, value, begin_at, end):
    """Whether a part of a file is nothing but one byte value."""
    with open(path, "rb") as file:
        file.seek(begin_at)
        for offset in range(begin_at, end, MIB):
            want = min(MIB, end - offset)
            if file.read(want) != bytes([value]) * want:
                return False
    return True


def partitions(image):
    """[(offset, length)] in bytes, in the order of the table."""
    table = json.loads(harness.run("sfdisk", "--json", image))["partitiontable"]
    return [(entry["start"] * 512, entry["size"] * 512) for entry in table["partitions"]]


def to_raw(overlay, raw):
    """Flattens a qcow2 overlay to a raw file that can be mounted and compared."""
    harness.run("qemu-img", "convert", "-O", "raw", overlay, raw)
    return raw


@contextlib.contextmanager
def mounted(image, offset, length):
    """A file system of a raw image, read-only and without even replaying its journal."""
    point = Path(tempfile.mkdtemp(prefix="mnt.", dir=harness.work("")))
    with contextlib.ExitStack() as stack:
        stack.callback(point.rmdir)
        harness.run("mount", "-t", "ext4", "-o", f"ro,noload,loop,offset={offset},sizelimit={length}", image, point)
        stack.callback(subprocess.run, ["umount", str(point)], check=True)
        yield point


def file_tree(root):
    """{path: what it is} for everything below a directory: type, mode, owner, xattrs, content."""
    return {"/" + str(path.relative_to(root)): _entry(path) for path in sorted(root.rglob("*"))}


def _entry(path):
    info = path.lstat()
    xattrs = tuple((name, os.getxattr(path, name, follow_symlinks=False))
                   for name in sorted(os.listxattr(path, follow_symlinks=False)))
    entry = (stat.filemode(info.st_mode), info.st_uid, info.st_gid, xattrs)
    if stat.S_ISLNK(info.st_mode):
        return entry + (os.readlink(path),)
    if stat.S_ISREG(info.st_mode):
        return entry + (info.st_size, sha256(path))
    if stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
        return entry + (info.st_rdev,)
    return entry


def tree_differences(one, other, offset, length):
    """The paths that exist in only one of two raw images' file systems, or are not the same in both."""
    with mounted(one, offset, length) as left_root:
        left = file_tree(left_root)
    with mounted(other, offset, length) as right_root:
        right = file_tree(right_root)
    return sorted(path for path in left.keys() | right.keys() if left.get(path) != right.get(path))


def covered(path, named):
    """Whether a report's list of files covers a path; an entry that ends in a slash covers all below it."""
    return any(path == entry.rstrip("/") or (entry.endswith("/") and path.startswith(entry)) for entry in named)
