"""What stands between source and target: this machine's loopback, or a cable of a known rate between two namespaces.

Both ends of the cable are namespaces of their own, each shaped by a token bucket where it sends. They live in a mount
namespace that only this benchmark has (places.py makes it), so nothing is left of them, whatever ends it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from processes import Pipeline, run, wait_for_all, wait_for_listener

UNSHAPED = "unshaped"
GIGABIT = "1 Gbit/s"

# Measured on two busy cores: with these plain TCP reaches 0.95 Gbit/s every time, with half the burst 0.93 to 0.95.
_SHAPE = ["rate", "1gbit", "burst", "512k", "latency", "50ms"]


@dataclass
class Link:
    name: str
    source_prefix: list
    target_prefix: list
    source_address: str
    target_address: str


@contextlib.contextmanager
def unshaped():
    yield Link(UNSHAPED, [], [], "127.0.0.1", "127.0.0.1")


@contextlib.contextmanager
def gigabit():
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(subprocess.run, ["umount", "/run/netns"], check=False)
        for name in ("source", "target"):
            run("ip", "netns", "add", name)
            cleanup.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
        run("ip", "link", "add", "wire", "netns", "source", "type", "veth", "peer", "name", "wire", "netns", "target")
        for name, address in (("source", "198.51.100.1"), ("target", "198.51.100.2")):
            run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "wire")
            for device in ("lo", "wire"):
                run("ip", "-n", name, "link", "set", device, "up")
            run("tc", "-n", name, "qdisc", "add", "dev", "wire", "root", "tbf", *_SHAPE)
        yield Link(GIGABIT, ["ip", "netns", "exec", "source"], ["ip", "netns", "exec", "target"],
                   "198.51.100.1", "198.51.100.2")


LINKS = {UNSHAPED: unshaped, GIGABIT: gigabit}


@dataclass
class Carried:
    """Bytes that went over a cable, both ways."""
    device: int  # as its network devices count: of what leaves in one piece and is cut up later, the headers once
    packets: int  # as its shapers count: each packet with all its headers

    def since(self, earlier):
        return Carried(self.device - earlier.device, self.packets - earlier.packets)


def carried(cable):
    """What a cable has carried since it was made. What each end sends, the other receives."""
    total = Carried(0, 0)
    for prefix in (cable.source_prefix, cable.target_prefix):
        total.device += int(run(*prefix, "cat", "/sys/class/net/wire/statistics/tx_bytes"))
        total.packets += json.loads(run(*prefix, "tc", "-s", "-j", "qdisc", "show", "dev", "wire"))[0]["bytes"]
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tcp_rate(link, seconds=2):
    """What one plain TCP connection carries from source to target, in bytes per second."""
    port = free_port()
    read_end, write_end = os.pipe()
    try:
        with Pipeline([sys.executable, __file__, "receive", link.target_address, port, seconds],
                      prefix=link.target_prefix, stdout=f"/proc/self/fd/{write_end}") as receiver:
            wait_for_listener(port, receiver)
            with Pipeline([sys.executable, __file__, "send", link.target_address, port, seconds],
                          prefix=link.source_prefix) as sender:
                wait_for_all(receiver, sender)
        return float(os.read(read_end, 100))
    finally:
        os.close(read_end)
        os.close(write_end)


def _send(address, port, seconds):
    block = bytes(1 << 20)
    with socket.create_connection((address, port)) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.sendall(block)


def _receive(address, port, _):
    block = bytearray(1 << 20)
    with socket.create_server((address, port)) as listener:
        connection, _ = listener.accept()
        with connection:
            connection.recv_into(block)
            started = time.monotonic()
            total = 0
            while count := connection.recv_into(block):
                total += count
            print(total / (time.monotonic() - started))


if __name__ == "__main__":
    {"send": _send, "receive": _receive}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
