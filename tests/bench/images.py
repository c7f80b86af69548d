"""The images that are copied: random data, and the disk of a half-used Debian server.

The server is tests/system/guests/build-physical-server. What is installed there is little, so files of this machine's
/usr are copied to its /srv, in an order that depends on their names alone and more than once if need be, until half of
the disk is used. The other half was never written and is zero: holes in the image file.
"""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import disks
from processes import Failed, run

REPO = Path(__file__).resolve().parents[2]
GIB = 1 << 30


@dataclass
class Image:
    name: str
    path: str
    size: int
    ext4: list = field(default_factory=list)  # (start, length) of its ext4 file systems, in bytes
    facts: str = ""


def parse_size(text):
    """Bytes of "512M" or "2G"; ValueError if it is nothing like that."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    size = int(text[:-1] if factor > 1 else text) * factor
    if size <= 0 or size % (1 << 20):
        raise ValueError(text)
    return size


def random_image(size, work):
    path = os.path.join(work, f"random-{size >> 20}M.img")
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    return Image(f"random {size / GIB:g} GiB", path, size)


def real_image(path, work):
    """An existing image, or the built one. Sources lie where targets do: a copy is made if that is another file system."""
    facts = ""
    if not path:
        path, facts = built_server(4 * GIB)
    if os.stat(path).st_dev != os.stat(work).st_dev:
        run("cp", "--sparse=always", path, os.path.join(work, "real.img"))
        path = os.path.join(work, "real.img")
    size = os.path.getsize(path)
    ext4 = [part for part in _partitions(path) if _type(path, *part) == "ext4"]
    return Image(f"real {size / GIB:g} GiB", path, size, ext4, facts)


def _partitions(path):
    try:
        table = json.loads(run("sfdisk", "--json", path))["partitiontable"]
    except Failed:
        return []
    return [(entry["start"] * 512, entry["size"] * 512) for entry in table.get("partitions", [])]


def _type(path, start, length):
    probe = ["blkid", "--probe", "--offset", str(start), "--size", str(length), "-o", "value", "-s", "TYPE", path]
    return subprocess.run(probe, capture_output=True, text=True, check=False).stdout.strip()


def built_server(size):
    """The path of a server's disk of so many bytes, in whole GiB, which nobody may change; and a sentence about it."""
    builder = REPO / "tests/system/guests/build-physical-server"
    base = Path(run(builder, f"{size // GIB}G").strip().splitlines()[-1])
    key = hashlib.sha256((base.parent.name + Path(__file__).read_text(encoding="utf-8")).encode()).hexdigest()[:16]
    image = base.parent.parent / f"bench-{key}" / "server.img"
    if not image.exists():
        print(f"filling {image}; once, for a minute or two", flush=True)
        image.parent.mkdir(exist_ok=True)
        partial = image.with_suffix(".partial")
        try:
            run("cp", "--sparse=always", base, partial)
            text = _use(partial)
            image.with_suffix(".json").write_text(json.dumps({"text": text}), encoding="utf-8")
            partial.rename(image)
        finally:
            partial.unlink(missing_ok=True)
    return str(image), json.loads(image.with_suffix(".json").read_text(encoding="utf-8"))["text"]


def _use(path):
    """Fills half of the fresh installation's disk; what it is then, in a sentence."""
    start, _ = _ext4(path)
    files = _content()
    with mounted_server(path) as root:
        used = _fill(files, root / "srv", root, lambda info: _used(info) >= os.path.getsize(path) // 2)
    run("e2fsck", "-fn", f"{path}?offset={start}")
    packed = int(subprocess.run(f"zstd -q -T0 -1 -c '{path}' | wc -c", shell=True, capture_output=True, check=True).stdout)
    size = os.path.getsize(path)
    return f"{used / GIB:.2f} of {size / GIB:g} GiB used, the rest never written; `zstd -1` makes {packed / GIB:.2f} GiB of it"


def _ext4(path):
    return next(part for part in _partitions(path) if _type(path, *part) == "ext4")


@contextlib.contextmanager
def mounted_server(path):
    """The root directory of a server's disk, to be changed."""
    with disks.loop_device(path, *_ext4(path), writable=True) as device, _mounted(device) as root:
        yield root


def _used(info):
    return (info.f_blocks - info.f_bfree) * info.f_frsize


def _content():
    """The regular files of /usr, each inode once, in an order that only their names decide."""
    found = {}
    for folder, _, names in os.walk("/usr"):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode) and info.st_size:
                    found.setdefault((info.st_dev, info.st_ino), path)
    return sorted(found.values(), key=lambda path: hashlib.sha256(path.encode(errors="replace")).digest())


def _fill(files, folder, root, enough):
    """Copies files until there is enough; the bytes that the file system then uses. Delayed allocation counts."""
    for turn, path in itertools.product(["", "again", "once-more"], files):
        if enough(os.statvfs(root)):
            break
        target = folder / turn / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, target)
    else:
        raise Failed("this machine's /usr is too small to fill half of the image")
    run("sync", "--file-system", root)
    return _used(os.statvfs(root))


@contextlib.contextmanager
def _mounted(device):
    root = Path(tempfile.mkdtemp(prefix="coldspare-bench."))
    try:
        run("mount", "-t", "ext4", "-o", "noatime,nodiscard", device, root)
        try:
            yield root
        finally:
            run("umount", root)
    finally:
        root.rmdir()
