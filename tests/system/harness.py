"""What the system tests share: virtual machines, network namespaces, the coldspare program, images compared.

A test is an executable Python script beside this file. It calls `begin()` first, prints one line per check
(`ok - ...`), and stops at the first check that does not hold with status 1. A machine that cannot run it makes it
skip with status 77. Only the standard library is used.

Everything a test starts or mounts is taken down by its own identity on every way out: an exit handler for ordinary
ends and signals, and, should the test itself be killed, a mount name space of its own and a parent-death signal.
"""

import atexit
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
OLD_MAC = "00:1e:67:aa:bb:cc"
NEW_MAC = "52:54:00:12:34:56"
ADDRESS = "192.0.2.10/24"
LOGIN = "login: "
# What the console shows when a machine will not come up by itself any more.
DEAD_ENDS = ("ALERT!", "(initramfs)", "Kernel panic", "grub rescue>", "emergency mode", "No bootable device")
MIB = 1 << 20

_cleanup = contextlib.ExitStack()
_started = time.monotonic()
_checks = 0
_work = None


# Beginning and ending ------------------------------------------------------------------------------------------------

def begin(*tools):
    """Prepares the test: own mounts, a work directory, cleaning up. Skips if root or a tool is missing."""
    global _work
    if os.geteuid() != 0:
        skip("needs root")
    for tool in ("unshare", "setpriv", *tools):
        if not shutil.which(tool):
            skip(f"'{tool}' is not installed")
    if os.environ.get("COLDSPARE_TEST_MOUNTS") != "own":
        os.environ["COLDSPARE_TEST_MOUNTS"] = "own"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])
    sys.stdout.reconfigure(line_buffering=True)
    atexit.register(_cleanup.close)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    base = Path(os.environ.get("BUILD_DIR", REPO / "build")) / "system"
    base.mkdir(parents=True, exist_ok=True)
    _work = Path(tempfile.mkdtemp(prefix=f"{test_name()}.", dir=base))
    if os.environ.get("COLDSPARE_KEEP"):
        note(f"keeping {_work}")
    else:
        _cleanup.callback(shutil.rmtree, _work, ignore_errors=True)


def test_name():
    return Path(sys.argv[0]).name


def work(name):
    """A path in the test's own directory."""
    return _work / name


def skip(reason):
    """Leaves with 77; in CI only where allowed-skips names the test, because a test nobody runs proves nothing."""
    allowed = [line.split(":")[0].strip() for line in (HERE / "allowed-skips").read_text().splitlines()
               if line.strip() and not line.startswith("#")]
    if os.environ.get("CI") == "true" and test_name() not in allowed:
        print(f"FAILED - not run, and CI allows that only by tests/system/allowed-skips: {reason}")
        sys.exit(1)
    print(f"skipped - {reason}")
    sys.exit(77)


def chapter(title):
    print(f"# {title}  [{time.monotonic() - _started:.0f} s]")


def note(text):
    print(f"  {text}")


def check(holds, claim, detail=""):
    """One line of the test's result. The first claim that does not hold ends the test, with its detail."""
    global _checks
    if holds:
        _checks += 1
        print(f"ok - {claim}")
        return
    print(f"FAILED - {claim}")
    for line in str(detail).splitlines():
        print(f"  {line}")
    sys.exit(1)


def done():
    print(f"all {_checks} checks passed in {time.monotonic() - _started:.0f} s")


# Programs ------------------------------------------------------------------------------------------------------------

def run(*command, **options):
    """Runs a helper program that has to succeed; its standard output."""
    words = [str(word) for word in command]
    done_process = subprocess.run(words, text=True, capture_output=True, **options)
    check_quietly(done_process.returncode == 0, f"'{' '.join(words)}' ends well", done_process.stderr)
    return done_process.stdout


def check_quietly(holds, claim, detail=""):
    if not holds:
        check(False, claim, detail)


def start(command, **options):
    """A child that dies with this process, whatever kills it, and that is stopped by its pid at the end."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *[str(word) for word in command]],
                               stdin=subprocess.DEVNULL, **options)
    _cleanup.callback(stop, process)
    return process


def stop(process):
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Coldspare:
    """One run of the program with --json, in the background and perhaps in a network namespace."""

    count = 0

    def __init__(self, *arguments, namespace=None):
        program = os.environ.get("COLDSPARE")
        if not program or not os.access(program, os.X_OK):
            skip("COLDSPARE does not name the built program")
        Coldspare.count += 1
        self.words = ["coldspare", *[str(word) for word in arguments]]
        self.out = work(f"coldspare-{Coldspare.count}.out")
        self.err = work(f"coldspare-{Coldspare.count}.err")
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = start([*prefix, program, *arguments, "--json"], stdout=out, stderr=err)

    def result(self, timeout, status=0):
        """Waits for the end, which has to have this exit status; the result event."""
        claim = f"'{' '.join(self.words)}' exits {status}"
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            check(False, f"{claim} within {timeout} s", self.tail())
        check_quietly(code == status, f"{claim}, not {code}", self.tail())
        lines = self.out.read_text().splitlines()
        try:
            events = [json.loads(line) for line in lines]
        except json.JSONDecodeError as problem:
            check(False, f"{claim} and prints one JSON object per line", f"{problem}\n{self.tail()}")
        check_quietly(events and events[-1].get("event") == "result", f"{claim} and ends with a result", self.tail())
        return events[-1]

    def tail(self):
        text = self.out.read_text(errors="replace") + self.err.read_text(errors="replace")
        return "\n".join(line[:400] for line in text.splitlines()[-25:])


def coldspare(*arguments, timeout=120, status=0):
    """Runs the program in the foreground; the result event."""
    return Coldspare(*arguments).result(timeout, status)


# Guests and images ---------------------------------------------------------------------------------------------------

def guest(name, size="2G"):
    """The path of a cached guest image; the first caller builds it. It must not be written to."""
    builder = HERE / "guests" / f"build-{name}"
    process = start([builder, size], stdout=subprocess.PIPE, text=True)
    path = process.communicate()[0].strip()
    if process.returncode == 77:
        skip(f"'{builder.name}' cannot run here")
    check_quietly(process.returncode == 0, f"'{builder.name}' builds the guest")
    return Path(path)


def sparse_copy(source, target):
    run("cp", "--sparse=always", "--reflink=auto", source, target)
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
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    return [(entry["start"] * 512, entry["size"] * 512) for entry in table["partitions"]]


def to_raw(overlay, raw):
    """Flattens a qcow2 overlay to a raw file that can be mounted and compared."""
    run("qemu-img", "convert", "-O", "raw", overlay, raw)
    return raw


@contextlib.contextmanager
def mounted(image, offset, length):
    """A file system of a raw image, read-only and without even replaying its journal."""
    point = Path(tempfile.mkdtemp(prefix="mnt.", dir=_work))
    with contextlib.ExitStack() as stack:
        stack.callback(point.rmdir)
        run("mount", "-t", "ext4", "-o", f"ro,noload,loop,offset={offset},sizelimit={length}", image, point)
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


# Networks ------------------------------------------------------------------------------------------------------------

class Wire:
    """Two network namespaces joined by a cable, with nothing else in them."""

    def __init__(self):
        tag = f"cs{os.getpid()}"
        self.one, self.other = f"{tag}a", f"{tag}b"
        self.one_address, self.other_address = "198.51.100.1", "198.51.100.2"
        for name in (self.one, self.other):
            run("ip", "netns", "add", name)
            _cleanup.callback(subprocess.run, ["ip", "netns", "delete", name])
        run("ip", "link", "add", "wire", "netns", self.one, "type", "veth", "peer", "name", "wire",
            "netns", self.other)
        for name, address in ((self.one, self.one_address), (self.other, self.other_address)):
            run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "wire")
            for device in ("lo", "wire"):
                run("ip", "-n", name, "link", "set", device, "up")


# Virtual machines ----------------------------------------------------------------------------------------------------

class Vm:
    """A machine in qemu without acceleration by hardware, seen through its serial console.

    disk_bus is "ahci" or "virtio", nic "e1000" or "virtio-net-pci". With throw_away nothing is written to the image.
    """

    count = 0

    def __init__(self, image, *, image_format="raw", disk_bus, nic, mac, throw_away=True, memory=768):
        Vm.count += 1
        sockets = tempfile.mkdtemp(prefix="coldspare-vm.")  # short: a socket's path has room for 107 characters
        _cleanup.callback(shutil.rmtree, sockets, ignore_errors=True)
        path = f"{sockets}/console"
        self.log = work(f"console-{Vm.count}.log")
        self.text = ""
        self.started = time.monotonic()
        self._prompts = 0
        self._news = threading.Condition()
        disk = {"ahci": "ide-hd,drive=disk", "virtio": "virtio-blk-pci,drive=disk"}[disk_bus]
        # A plain processor without a display: every feature more is a module that the guest loads, and "max" with VGA
        # took 55 s to the login prompt where this takes 41.
        self.errors = work(f"qemu-{Vm.count}.err")
        with open(self.errors, "wb") as errors:
            self.process = start([
                "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "qemu64,-svm", "-smp", "2",
                "-m", memory, "-nodefaults", "-display", "none", "-no-reboot",
                "-chardev", f"socket,id=console,path={path},server=on,wait=on", "-serial", "chardev:console",
                "-drive", "if=none,id=disk,cache=unsafe,discard=unmap,"
                          f"format={image_format},snapshot={'on' if throw_away else 'off'},"
                          f"file={str(image).replace(',', ',,')}",
                "-device", f"{disk},bootindex=0",
                # No boot ROM on the network card: the machine has one disk to boot from, and this is faster.
                "-netdev", "user,id=net,restrict=on", "-device", f"{nic},netdev=net,mac={mac},romfile=",
            ], stdout=errors, stderr=errors)
        self._socket = self._connect(path)
        threading.Thread(target=self._read, daemon=True).start()

    def _connect(self, path):
        for _ in range(200):
            console = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(OSError):
                console.connect(path)
                return console
            console.close()
            check_quietly(self.process.poll() is None, "qemu starts", self.errors.read_text())
            time.sleep(0.05)
        check(False, "qemu opens its console", self.errors.read_text())

    def _read(self):
        with open(self.log, "wb") as log, contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                log.write(data)
                log.flush()
                with self._news:
                    self.text += data.decode(errors="replace")
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def seconds(self):
        return time.monotonic() - self.started

    def tail(self, lines=25):
        """The end of the console as a person would read it."""
        plain = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][0-9A-Za-z]|[c=>78])", "", self.text).replace("\r", "")
        return "\n".join([line for line in plain.splitlines() if line.strip()][-lines:])

    def _wait(self, found, timeout):
        """Waits until found() is true or the machine is gone; whether it became true."""
        with self._news:
            self._news.wait_for(lambda: found() or self.process.poll() is not None, timeout)
        return found()

    def wait_boot(self, timeout=300):
        """Waits for the login prompt or a dead end; which of them was seen, or None."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            for pattern in (LOGIN, *DEAD_ENDS):
                if pattern in self.text:
                    return pattern
            with self._news:
                self._news.wait(1)
        return None

    def login(self, user="root", password="root"):
        """Logs in at the prompt and takes a plain shell; run() works from then on."""
        for answer, asked in ((user, "assword: "), (password, "# ")):
            seen = len(self.text)
            self._send(answer)
            check_quietly(self._wait(lambda: asked in self.text[seen:], 90), "the login dialogue goes on", self.tail())
        # Neither echo nor line editing nor kernel messages in between: what comes back is what the command says.
        self._send("exec env PS1= sh")
        self._send("stty -echo columns 1000; dmesg --console-off")
        self.run("true")

    def _send(self, line):
        self._socket.sendall(line.encode() + b"\n")

    def run(self, command, timeout=120):
        """Runs a shell command in the guest, which has to succeed; its output."""
        self._prompts += 1
        first, last = f"<<BEGIN {self._prompts}>>", f"<<END {self._prompts} "
        seen = len(self.text)
        # The markers are written in two halves so that an echo of this line is not taken for them.
        self._send(f'echo "<<""BEGIN {self._prompts}>>"; ( {command} ) 2>&1 < /dev/null; '
                   f'echo "<<""END {self._prompts} $?>>"')
        complete = re.compile(re.escape(first) + r"\n(.*?)" + re.escape(last) + r"(\d+)>>", re.DOTALL)
        answer = lambda: complete.search(self.text[seen:].replace("\r", ""))
        check_quietly(self._wait(answer, timeout), f"'{command}' ends in the guest within {timeout} s", self.tail())
        output, status = answer().groups()
        check_quietly(status == "0", f"'{command}' succeeds in the guest", output)
        return output

    def power_off(self, timeout=120):
        """Shuts the guest down in order and waits until the machine is off."""
        self._send("systemctl poweroff")
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            check(False, f"the guest powers off within {timeout} s", self.tail())

    def stop(self):
        """Pulls the plug."""
        stop(self.process)


def boot_to_login(image, claim, **options):
    """Starts a machine that has to reach its login prompt, and logs in."""
    vm = Vm(image, **options)
    outcome = vm.wait_boot()
    check(outcome == LOGIN, f"{claim} ({vm.seconds():.0f} s)", vm.tail(40))
    vm.login()
    return vm


def portrait(vm):
    """What a person would look at to see which machine this is and how it fares."""
    # Ends when booting is over, for good or for bad; both are judged below.
    vm.run("systemctl is-system-running --wait; true", timeout=300)
    return {
        "host": vm.run("hostname").strip(),
        "machine_id": vm.run("cat /etc/machine-id").strip(),
        "host_key": vm.run("sha256sum < /etc/ssh/ssh_host_ed25519_key").split()[0],
        "failed": sorted(vm.run("systemctl list-units --failed --plain --no-legend --full | cut -d' ' -f1").split()),
        "addresses": re.findall(r"inet (\S+)", vm.run("ip -4 -oneline address show dev eth0 2> /dev/null || true")),
        "mac": vm.run("cat /sys/class/net/eth0/address 2> /dev/null || true").strip(),
        "links": vm.run("ls /sys/class/net").split(),
        "nic_driver": vm.run("for n in /sys/class/net/*/device/driver; do readlink $n; done").split("/")[-1].strip(),
        "root": vm.run("findmnt --noheadings --output SOURCE /").strip(),
        "swaps": vm.run("swapon --show=NAME --noheadings").split(),
    }
