"""An image as a block device that fails on request: NBD on standard input, nbdfuse as the client, a loop device on top.

nbdkit's error filter knows no flushes, and dm-flakey is in few kernels. As a program this file is the NBD server
(https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md). What the file TRIGGER says goes wrong for as long
as it exists: `flush` (fails with EIO), `lose` (writes are acknowledged and dropped) or `lose one` (only the next).
"""

import os
import socket
import struct
import sys

OPTION_MAGIC, REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
EXPORT_NAME, ABORT, GO = 1, 2, 7
ACKNOWLEDGED, INFO, UNSUPPORTED = 1, 3, 0x80000001
READ, WRITE, DISCONNECT, FLUSH, WRITE_ZEROES = 0, 1, 2, 3, 6
# Without SEND_WRITE_ZEROES, nbdfuse 1.14 answers fallocate() with success and makes 4096 bytes of zeros.
HAS_FLAGS, SEND_FLUSH, SEND_WRITE_ZEROES = 1, 4, 64
EIO = 5


class Server:
    def __init__(self, connection, image, trigger):
        self._connection = connection
        self._image = os.open(image, os.O_RDWR)
        self._trigger = trigger

    def _take(self, form):
        return struct.unpack(form, self._bytes(struct.calcsize(form)))

    def _bytes(self, count):
        data = bytearray()
        while len(data) < count:
            more = self._connection.recv(count - len(data))
            if not more:
                sys.exit(0)
            data += more
        return bytes(data)

    def _send(self, form, *values):
        self._connection.sendall(struct.pack(form, *values))

    def shake_hands(self):
        self._send(">8sQH", b"NBDMAGIC", OPTION_MAGIC, 1)
        self._take(">I")
        while True:
            _, option, length = self._take(">QII")
            self._bytes(length)
            size, flags = os.fstat(self._image).st_size, HAS_FLAGS | SEND_FLUSH | SEND_WRITE_ZEROES
            if option == GO:
                self._send(">QIIIHQH", REPLY_MAGIC, option, INFO, 12, 0, size, flags)
                self._send(">QIII", REPLY_MAGIC, option, ACKNOWLEDGED, 0)
                return
            self._send(">QIII", REPLY_MAGIC, option, ACKNOWLEDGED if option == ABORT else UNSUPPORTED, 0)

    def serve(self):
        while True:
            _, _, kind, cookie, offset, length = self._take(">IHHQQI")
            data, error = b"", 0
            if kind == READ:
                data = os.pread(self._image, length, offset)
            elif kind == WRITE:
                self._write(self._bytes(length), offset)
            elif kind == WRITE_ZEROES:
                self._write(bytes(length), offset)
            elif kind == FLUSH:
                error = EIO if self._wrong() == "flush" else 0
            elif kind == DISCONNECT:
                return
            self._connection.sendall(struct.pack(">IIQ", 0x67446698, error, cookie) + data)

    def _wrong(self):
        try:
            with open(self._trigger, encoding="ascii") as trigger:
                return trigger.read()
        except FileNotFoundError:
            return ""

    def _write(self, data, offset):
        wrong = self._wrong()
        if wrong == "lose one":
            os.unlink(self._trigger)
        if not wrong.startswith("lose"):
            os.pwrite(self._image, data, offset)


if __name__ == "__main__":
    server = Server(socket.socket(fileno=0), *sys.argv[1:])
    server.shake_hands()
    server.serve()
