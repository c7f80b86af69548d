"""What the tests of interrupted copies share: a cable to cut, journals, images of mixed data, copies that end early."""

import contextlib
import os
import random
import socket
import struct
import subprocess
import threading
import time

from clone_tools import MIB, listening
from harness import Coldspare, check_quietly, cleanup, wait_until, work

BLOCK = 256 * 1024
JOURNAL_MAGIC = b"COLDSPARE JOURNAL 1\n"


class Cable:
    """Carries bytes between both sides as they are, until it is cut; then it can be used again.

    carry(connection, position, data), if given, yields what the connecting side's bytes become, piece by piece, and
    may take its time.
    """

    def __init__(self, port, carry=None):
        self._target = port
        self._carry = carry or (lambda connection, position, data: [data])
        self._lock = threading.Lock()
        self._pairs = []
        self._count = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.met = 0
        cleanup.callback(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self, reset=False):
        """Ends all connections: in good order, or with a reset."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for one in [end for pair in pairs for end in pair]:
            with contextlib.suppress(OSError):
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # Both forwarding threads sleep in recv(), and the reset goes out with the last reference.
                    one.shutdown(socket.SHUT_RD)
                else:
                    one.shutdown(socket.SHUT_RDWR)
        for one in [end for pair in pairs for end in pair]:
            one.close()

    def half_close(self, number):
        """Tells the listening side that no more comes on this connection, and goes on to take what comes."""
        with contextlib.suppress(OSError):
            self._pairs[number][1].shutdown(socket.SHUT_WR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._pairs.append((client, server))
                    self.met += 1
                    number, self._count = self._count, self._count + 1
                threading.Thread(target=self._forward, args=(client, server, number), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, None), daemon=True).start()

    def _forward(self, one, other, number):
        position = 0
        try:
            while data := one.recv(65536):
                for piece in [data] if number is None else self._carry(number, position, data):
                    with contextlib.suppress(BrokenPipeError):  # half closed
                        other.sendall(piece)
                position += len(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (one, other):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def mixed_image(name, size, seed):
    """Noise, text and holes in turn, 4 MiB each."""
    path = work(name)
    noise = random.Random(seed)
    with open(path, "wb") as image:
        for index in range(size // (4 * MIB)):
            if index % 3 == 0:
                image.write(noise.randbytes(4 * MIB))
            elif index % 3 == 1:
                line = b"".join(b"%d: the spare stands cold beside the server\n" % noise.randrange(10**9)
                                for _ in range(2000))
                image.write((line * (4 * MIB // len(line) + 1))[:4 * MIB])
            else:
                image.seek(4 * MIB, os.SEEK_CUR)
        image.truncate(size)
    return path


def data_bytes(path, ranges=None):
    """How many bytes of a file lie in blocks that are not zeros, altogether or in these ranges."""
    size = path.stat().st_size
    zeros = bytes(BLOCK)
    total = 0
    with open(path, "rb") as image:
        for start, length in ranges if ranges is not None else [(0, size)]:
            image.seek(start)
            for offset in range(start, start + length, BLOCK):
                block = image.read(min(BLOCK, start + length - offset))
                total += len(block) if block != zeros[:len(block)] else 0
    return total


def journal_of(target):
    return target.with_name(target.name + ".journal")


def manifest_of(target):
    return target.with_name(target.name + ".manifest")


def durable_ranges(target):
    """What the journal of a target records as durable, sorted and joined; without looking at its checks."""
    try:
        content = journal_of(target).read_bytes()
    except FileNotFoundError:
        return []
    check_quietly(content.startswith(JOURNAL_MAGIC), "the journal begins like one", content[:40])
    at = len(JOURNAL_MAGIC)
    at += 4 + struct.unpack_from("<I", content, at)[0] + 8
    found = []
    while at + 8 <= len(content):
        mark, count = struct.unpack_from("<II", content, at)
        check_quietly(mark == 0x43455243, "a record has its mark", hex(mark))
        if at + 16 + 16 * count > len(content):
            break
        found += [struct.unpack_from("<QQ", content, at + 8 + 16 * index) for index in range(count)]
        at += 16 + 16 * count
    merged = []
    for offset, length in sorted(found):
        if merged and offset <= merged[-1][0] + merged[-1][1]:
            start, before = merged[-1]
            merged[-1] = (start, max(before, offset + length - start))
        else:
            merged.append((offset, length))
    return merged


def durable_bytes(target):
    return sum(length for _, length in durable_ranges(target))


def identical(one, other):
    return subprocess.run(["cmp", "--", str(one), str(other)], capture_output=True, check=False).returncode == 0


def kill(*sides):
    """Like a power cut for the process: nothing of it runs any more when this returns."""
    for side in sides:
        side.process.kill()
    for side in sides:
        side.process.wait()


def kill_one(victim, other):
    """The other side then ends by itself; one that the victim had not met yet waits on, and is killed too."""
    kill(victim)
    with contextlib.suppress(subprocess.TimeoutExpired):
        other.process.wait(20)
    kill(other)


def start_copy(source, target, *, sender=(), receiver=(), security=("--insecure",), port=None):
    """Both sides on this machine: the sender, the receiver, and the port that the receiver listens at."""
    arguments = ["receive", target, *security, *receiver]
    if port is None:
        there, port = listening(*arguments)
    else:
        there = Coldspare(*arguments, "--listen", f"127.0.0.1:{port}")
    return Coldspare("send", source, *security, *sender, "--connect", f"127.0.0.1:{port}"), there, port


def leave_unfinished(source, target, limit, *receiver):
    """A copy that both sides were killed in after something was durable; the durable ranges."""
    sides = start_copy(source, target, sender=("--limit", limit), receiver=receiver)[:2]
    wait_until("something is durable", lambda: durable_bytes(target) > 0)
    check_quietly(all(side.process.poll() is None for side in sides), "the copy is under way", sides[1].tail())
    kill(*sides)
    return durable_ranges(target)
