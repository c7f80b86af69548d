"""What the tests of the clone engine share: loop devices, whole copies, and a proxy that damages what passes it."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import threading

from harness import Coldspare, check, check_quietly, cleanup, run, start, wait_until, work

MIB = 1 << 20
BLOCK = 256 << 10
HEADER = 48
DATA, ERROR, PROGRESS, END, DONE = 0x10, 0x05, 0x06, 0x07, 0x08


def most_sent(changed):
    """What a re-clone may send if that many bytes, in single pages, have changed.

    One changed page in 65536 has the short sum of what it was, and its block travels once more, whole. A run changes
    some hundreds of them: it happens in one of 300 runs, and three times in none.
    """
    return 1.1 * changed + 2 * BLOCK


def make_image(name, size, byte=None):
    """A file of one byte value, or of noise that does not compress."""
    path = work(name)
    with open(path, "wb") as image:
        for offset in range(0, size, MIB):
            count = min(MIB, size - offset)
            image.write(os.urandom(count) if byte is None else bytes([byte]) * count)
    return path


def attach(image, *options):
    """A loop device over an image; it goes with the test."""
    device = run("losetup", "--find", "--show", *options, image).strip()
    cleanup.callback(subprocess.run, ["losetup", "--detach", device], check=False)
    return device


def fuse_disk(name, *server, options=()):
    """An NBD server, which speaks on its standard input, as a file; and the process, which ends when it is unmounted."""
    point = work(name)
    point.touch()
    with open(work(f"{name}.err"), "wb") as errors:
        process = start(["nbdfuse", *options, point, "--command", *server], stderr=errors)
    cleanup.callback(subprocess.run, ["umount", point], capture_output=True, check=False)
    wait_until(f"'{name}' is mounted", lambda: point.stat().st_size > 0 or process.poll() is not None)
    check_quietly(process.poll() is None, f"'{name}' is mounted", work(f"{name}.err").read_text())
    return point, process


def content(path):
    with open(path, "rb") as file:
        return file.read()


def events(process):
    """What a running program has printed so far."""
    found = []
    for line in process.out.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def wait_for_event(process, wanted, timeout=20):
    """The first event for which wanted(event) is true, while the program runs."""
    def first():
        found = next((event for event in events(process) if wanted(event)), None)
        check_quietly(found or process.process.poll() is None, "the program runs", process.tail())
        return found

    return wait_until("the awaited event comes", first, timeout, process.tail)


def listening(*arguments):
    """Starts a listening side on a free port; the process and its port."""
    process = Coldspare(*arguments, "--listen", "127.0.0.1:0")
    return process, int(wait_for_event(process, lambda event: event["event"] == "listening")["port"])


def copy(source, target, *options, send=0, receive=0, timeout=60):
    """A whole copy on this machine over plain TCP; the results of both sides."""
    receiver, port = listening("receive", target, "--insecure", "--state-dir", work("state"), *options)
    sender = Coldspare("send", source, "--insecure", "--connect", f"127.0.0.1:{port}")
    return sender.result(timeout, send), receiver.result(timeout, receive)


def refused(target, *options, status=4):
    """The result of a receive that ends before it listens."""
    arguments = ["receive", target, "--listen", "127.0.0.1:0", "--insecure", "--state-dir", work("state"), *options]
    return Coldspare(*arguments).result(20, status)


class Proxy:
    """Stands between both sides and may tamper with what the connecting side sends.

    tamper(connection, index, header, payload) gets each frame (connection 0 is the control connection, the others are
    data) and returns the bytes to pass on, or (bytes, exception) to end the connection after them: Close() or Reset().
    With raw=True it gets (connection, position, None, bytes) instead, for TLS.
    """

    class Close(Exception):
        pass

    class Reset(Exception):
        pass

    def __init__(self, port, tamper, raw=False):
        self._target = port
        self._tamper = tamper
        self._raw = raw
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        cleanup.callback(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            for number in range(100):
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                threading.Thread(target=self._there, args=(client, server, number), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _there(self, client, server, number):
        try:
            for decision in self._pieces(client, number):
                piece, end = decision if isinstance(decision, tuple) else (decision, None)
                server.sendall(piece)
                if end:
                    raise end
            self._end(client, server)
        except Proxy.Reset:
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end(client, server)
        except (Proxy.Close, OSError):
            self._end(client, server)

    @staticmethod
    def _end(*sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                # close() alone does not wake the other direction's thread.
                linger = one.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
                if struct.unpack("ii", linger)[0] == 0:
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _back(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def _pieces(self, client, number):
        count = 0
        if self._raw:
            while data := client.recv(65536):
                yield self._tamper(number, count, None, data)
                count += len(data)
            return
        while header := self._exactly(client, HEADER):
            payload = self._exactly(client, struct.unpack_from("<I", header, 20)[0])
            yield self._tamper(number, count, header, payload)
            count += 1

    @staticmethod
    def _exactly(client, count):
        data = b""
        while len(data) < count:
            more = client.recv(count - len(data))
            if not more:
                return data
            data += more
        return data


def flipped(data, position, mask=0x01):
    """`data` with a bit changed at one position."""
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)
