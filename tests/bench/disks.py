"""What the machine's disk can do, and what has to be done to it between two copies."""

import contextlib
import mmap
import os
import subprocess
import threading
import time

from processes import Pipeline, run, wait_for_all

_BLOCK = 1 << 20


def drop_cache(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def flush(path):
    fd = os.open(path, os.O_RDWR)
    os.fdatasync(fd)
    os.close(fd)


@contextlib.contextmanager
def loop_device(path, start, length, writable=False):
    """A part of an image as a block device. The kernel detaches it when its last user closes it, also if we are killed."""
    mode = [] if writable else ["--read-only"]
    device = run("losetup", "--find", "--show", *mode, "--offset", start, "--sizelimit", length, path).strip()
    # Direct reads of the image, where its file system can: a partition of a real disk is not cached twice.
    subprocess.run(["losetup", "--direct-io=on", device], stderr=subprocess.DEVNULL, check=False)
    fd = os.open(device, os.O_RDONLY)
    try:
        run("losetup", "--detach", device)  # that is: as soon as nobody has it open
        yield device
    finally:
        os.close(fd)


def reading_seconds(*paths):
    """Seconds that plain sequential reads of whole files take past the cache, all at once; until the last has ended."""
    for path in paths:
        drop_cache(path)
    started = time.monotonic()
    with contextlib.ExitStack() as cleanup:
        wait_for_all(*[cleanup.enter_context(Pipeline(["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"]))
                       for path in paths])
        return time.monotonic() - started


def _in_threads(count, work):
    """Bytes per second of `count` threads that each call work(number), which gives bytes done."""
    done = [0] * count
    problems = []

    def one(number):
        try:
            done[number] = work(number)
        except OSError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return sum(done), started


def read_rate(path, depth):
    """Bytes per second that `depth` direct sequential readers get, each of its own part of the file's first 2 GiB."""
    drop_cache(path)
    part = min(os.path.getsize(path), 2 << 30) // depth // _BLOCK * _BLOCK

    def read(number):
        buffer = mmap.mmap(-1, _BLOCK)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            return sum(os.preadv(fd, [buffer], number * part + at) for at in range(0, part, _BLOCK))
        finally:
            os.close(fd)

    total, started = _in_threads(depth, read)
    return total / (time.monotonic() - started)


def write_rate(path, depth, size=2 << 30):
    """Bytes per second that `depth` direct writers get into a fresh file, its flush included; random data."""
    part = size // depth // _BLOCK * _BLOCK
    open(path, "wb").close()
    os.sync()

    def write(number):
        buffer = mmap.mmap(-1, _BLOCK)
        buffer.write(os.urandom(_BLOCK))
        fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
        try:
            for at in range(0, part, _BLOCK):
                buffer[0:8] = (number * part + at).to_bytes(8, "little")  # no two blocks are equal
                os.pwritev(fd, [buffer], number * part + at)
            return part
        finally:
            os.close(fd)

    try:
        total, started = _in_threads(depth, write)
        flush(path)
        return total / (time.monotonic() - started)
    finally:
        os.unlink(path)
