"""How each contestant copies an image over a link to a fresh file.

The time begins with the connecting side's start, when the other side listens already, and ends when both sides have
ended and the target is flushed to its medium.
"""

import contextlib
import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass

import disks
from links import free_port
from processes import Failed, Pipeline, run, wait_for_all, wait_for_listener

OURS = "coldspare"
OURS_PLAIN = "coldspare --insecure"
OURS_USED = "coldspare --used-only"
OURS_NBD = "coldspare --insecure, into nbdkit"
NETCAT = "dd bs=1M | nc"
ZSTD = "zstd -T0 -1 | nc"
NBDCOPY = "nbdcopy, plain"
NBDCOPY_PUSHED = "nbdcopy, plain, pushed"
NBDCOPY_TLS = "nbdcopy, TLS-PSK"
NBDCOPY_TLS_PUSHED = "nbdcopy, TLS-PSK, pushed"
NBDCOPY_AES = "nbdcopy, TLS-PSK, AES forced"
NBDCOPY_AES_PUSHED = "nbdcopy, TLS-PSK, AES forced, pushed"
PARTCLONE = "partclone | zstd -T0 -1 | nc"
PARTCLONE_BARE = "partclone -a0 | zstd -T0 -1 | nc"

TOOLS = ["nc", "zstd", "nbdkit", "nbdcopy", "partclone.ext4", "e2fsck", "cmp", "dd", "setpriv"]


@dataclass
class Sample:
    seconds: float
    cpu: float  # seconds of one core, user and system, of all programs on both sides


def race(listener, port, connect, target, server=False):
    """Calls connect(), which starts the connecting side, when the other listens. A server does not end by itself."""
    with listener:
        wait_for_listener(port, listener)
        started = time.monotonic()
        with connect() as second:
            wait_for_all(second, *([] if server else [listener]))
        disks.flush(target)
        return time.monotonic() - started


class Contestants:
    def __init__(self, program, work, targets):
        self.program = program
        self.target = os.path.join(targets, "target.img")
        self._log = os.path.join(work, "partclone.log")
        self._token = self._secret("token", os.urandom(16).hex())
        self._psk = self._secret("psk", f"bench:{os.urandom(32).hex()}")
        # With a PSK GnuTLS 3.7 takes ChaCha20-Poly1305, which costs this peer most of its time; neither nbdkit nor
        # nbdcopy can be told otherwise, only GnuTLS can.
        no_chacha = self._secret("ciphers", "[overrides]\ntls-disabled-cipher = CHACHA20-POLY1305")
        self._aes = ["env", f"GNUTLS_SYSTEM_PRIORITY_FILE={no_chacha}"]
        self._copy = {
            OURS: self._coldspare,
            OURS_PLAIN: self._coldspare_plain,
            OURS_USED: self._coldspare_used,
            OURS_NBD: self._coldspare_nbd,
            NETCAT: self._netcat,
            ZSTD: self._zstd,
            NBDCOPY: self._nbd_pull,
            NBDCOPY_PUSHED: self._nbd_push,
            NBDCOPY_TLS: lambda image, link: self._nbd_pull(image, link, tls=True),
            NBDCOPY_TLS_PUSHED: lambda image, link: self._nbd_push(image, link, tls=True),
            NBDCOPY_AES: lambda image, link: self._nbd_pull(image, link, tls=True, ciphers=self._aes),
            NBDCOPY_AES_PUSHED: lambda image, link: self._nbd_push(image, link, tls=True, ciphers=self._aes),
            PARTCLONE: self._partclone,
            # Without the checksums of its format, whose computing takes partclone longer than all else.
            PARTCLONE_BARE: lambda image, link: self._partclone(image, link, "-a0"),
        }

    def missing(self, name):
        """Why this contestant cannot be measured at all, or nothing."""
        if name == OURS_USED:
            usage = subprocess.run([self.program, "send", "--help"], capture_output=True, text=True, check=False).stdout
            return "" if "--used-only" in usage else "coldspare has no --used-only yet"
        return ""

    def measure(self, name, image, link, check):
        """One copy to a fresh target, the source not in the page cache. Compares the copy if asked to."""
        self.remove_target()
        os.sync()  # what others left to be written or discarded is theirs
        disks.drop_cache(image.path)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = self._copy[name](image, link)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if check:
            self._check(name, image)
        return Sample(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def remove_target(self):
        for leftover in (*[self.target + end for end in ("", ".manifest", ".journal", ".sock", ".pid")], self._log):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leftover)
        shutil.rmtree(self.target + ".state", ignore_errors=True)

    def _secret(self, name, line):
        path = os.path.join(os.path.dirname(self.target), name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(line + "\n")
        return path

    def _check(self, name, image):
        """A whole copy has every byte. One of the used blocks has a file system with nothing to complain about."""
        if name in (PARTCLONE, PARTCLONE_BARE):
            run("e2fsck", "-fn", self.target)
        elif name == OURS_USED:
            for start, _ in image.ext4:
                run("e2fsck", "-fn", f"{self.target}?offset={start}")
        elif subprocess.run(["cmp", "-s", image.path, self.target], check=False).returncode:
            raise Failed("made a copy that differs")

    def _race(self, listener, port, prefix, stages, server=False):
        return race(listener, port, lambda: Pipeline(*stages, prefix=prefix), self.target, server)

    def _coldspare(self, image, link, security=(), sending=(), receiving=(), target=None):
        port = free_port()
        security = security or ("--token-file", self._token)
        send = [self.program, "send", "--listen", f"{link.source_address}:{port}", *security, *sending, image.path]
        receive = [self.program, "receive", "--connect", f"{link.source_address}:{port}", *security, *receiving,
                   target or self.target]
        return self._race(Pipeline(send, prefix=link.source_prefix), port, link.target_prefix, [receive])

    def _coldspare_plain(self, image, link):
        return self._coldspare(image, link, security=("--insecure",))

    def _coldspare_used(self, image, link):
        return self._coldspare(image, link, sending=("--used-only",))

    def _coldspare_nbd(self, image, link):
        """nbdkit serves the target to our receiver, on the same machine."""
        self._make_target(image)
        socket, ready = self.target + ".sock", self.target + ".pid"
        with Pipeline(["nbdkit", "--foreground", "--pidfile", ready, "--unix", socket, "file", self.target]) as server:
            while not os.path.exists(ready) and server.processes[0].poll() is None:
                time.sleep(0.01)
            return self._coldspare(image, link, security=("--insecure",), target=f"nbd+unix:///?socket={socket}",
                                   receiving=("--erase", "--state-dir", self.target + ".state"))

    def _make_target(self, image):
        with open(self.target, "wb") as file:
            file.truncate(image.size)

    def _through_netcat(self, link, pack, unpack, target=os.devnull):
        port = free_port()
        receive = Pipeline(["nc", "-l", link.target_address, port], *unpack, prefix=link.target_prefix, stdout=target)
        send = [*pack, ["nc", "-N", link.target_address, port]]
        return self._race(receive, port, link.source_prefix, send)

    def _netcat(self, image, link):
        write = ["dd", f"of={self.target}", "bs=1M", "iflag=fullblock", "conv=fsync", "status=none"]
        return self._through_netcat(link, [["dd", f"if={image.path}", "bs=1M", "status=none"]], [write])

    def _zstd(self, image, link):
        return self._through_netcat(link, [["zstd", "-q", "-T0", "-1", "-c", image.path]], [["zstd", "-q", "-dc"]],
                                    self.target)

    def _partclone(self, image, link, *options):
        """Of every ext4 file system, one after the other; what else is on the disk is not copied."""
        total = 0
        for start, length in image.ext4:
            with disks.loop_device(image.path, start, length) as device:
                save = ["partclone.ext4", "-q", "-c", *options, "-s", device, "-o", "-", "-L", self._log + ".source"]
                restore = ["partclone.ext4", "-q", "-r", "-C", "-W", "-s", "-", "-o", self.target, "-L", self._log]
                total += self._through_netcat(link, [save, ["zstd", "-q", "-T0", "-1", "-c"]],
                                              [["zstd", "-q", "-dc"], restore])
        with open(self._log, encoding="utf-8", errors="replace") as log:
            if "successfully" not in log.read():
                raise Failed("partclone does not say that it restored")
        return total

    def _nbdkit(self, port, address, tls, *plugin):
        secure = ["--tls=require", f"--tls-psk={self._psk}"] if tls else []
        return ["nbdkit", "--foreground", "--ipaddr", address, "--port", port, *secure, *plugin]

    def _nbd_uri(self, port, address, tls):
        return f"nbds://bench@{address}:{port}/?tls-psk-file={self._psk}" if tls else f"nbd://{address}:{port}"

    def _nbd_pull(self, image, link, tls=False, ciphers=()):
        """nbdkit serves the source, nbdcopy writes the target."""
        port = free_port()
        serve = self._nbdkit(port, link.source_address, tls, "--readonly", "file", image.path)
        copy = [*ciphers, "nbdcopy", "--flush", self._nbd_uri(port, link.source_address, tls), self.target]
        return self._race(Pipeline([*ciphers, *serve], prefix=link.source_prefix), port,
                          link.target_prefix, [copy], server=True)

    def _nbd_push(self, image, link, tls=False, ciphers=()):
        """nbdkit serves the target, nbdcopy reads the source."""
        port = free_port()
        self._make_target(image)
        serve = self._nbdkit(port, link.target_address, tls, "file", self.target)
        copy = [*ciphers, "nbdcopy", "--flush", image.path, self._nbd_uri(port, link.target_address, tls)]
        return self._race(Pipeline([*ciphers, *serve], prefix=link.target_prefix), port,
                          link.source_prefix, [copy], server=True)
