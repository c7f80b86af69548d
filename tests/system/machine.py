"""Virtual machines as a person at the serial console sees them."""

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import harness

LOGIN = "login: "
# What the console shows when a machine will not come up by itself any more.
DEAD_ENDS = ("ALERT!", "(initramfs)", "Kernel panic", "grub rescue>", "emergency mode", "No bootable device", "Shell>")
OLD_MAC = "00:1e:67:aa:bb:cc"
NEW_MAC = "52:54:00:12:34:56"
OLD_MACS = (OLD_MAC, "00:1e:67:aa:bb:cd")
NEW_MACS = (NEW_MAC, "52:54:00:12:34:57")
UEFI = "/usr/share/OVMF/OVMF_CODE_4M.fd"
UEFI_VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
PASSPHRASE_WANTED = "Please unlock disk"
UEFI_SHELL = "Shell>"
ADDRESS = "192.0.2.10/24"


def _firmware(name, directory):
    """The BIOS is qemu's own; UEFI needs variables of this machine alone."""
    if name == "bios":
        return []
    variables = f"{directory}/variables.fd"
    shutil.copyfile(UEFI_VARIABLES, variables)
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={UEFI}",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}"]


def _disks(paths, image_format, bus, throw_away):
    device = {"ahci": "ide-hd", "virtio": "virtio-blk-pci"}[bus]
    words = []
    for number, path in enumerate(paths):
        words += ["-drive", f"if=none,id=disk{number},cache=unsafe,discard=unmap,format={image_format},"
                            f"snapshot={'on' if throw_away else 'off'},file={str(path).replace(',', ',,')}",
                  "-device", f"{device},drive=disk{number},bootindex={number}"]
    return words


def _cards(model, macs, slot):
    words = []
    for number, mac in enumerate(macs):
        place = f",addr={slot + number:#x}" if slot else ""
        # No boot ROM on a network card: the machine has a disk to boot from, and this is faster.
        words += ["-netdev", f"user,id=net{number},restrict=on",
                  "-device", f"{model},netdev=net{number},mac={mac},romfile={place}"]
    return words


class Vm:
    """A machine in qemu without acceleration by hardware, seen through its serial console.

    disk_bus is "ahci" or "virtio", nic "e1000" or "virtio-net-pci", mac one MAC or those of several cards. The first
    card is in PCI slot `slot`, if that matters. firmware is "bios" or "uefi"; the latter with blank variables, as after
    a move. With throw_away nothing is written to the images: `image`, and further disks in `more_images`. passphrase is
    what is typed when the console asks for the one of a disk.
    """

    count = 0

    def __init__(self, image, *, image_format="raw", disk_bus, nic, mac, slot=None, firmware="bios", more_images=(),
                 passphrase=None, loader=None, throw_away=True, memory=768):
        Vm.count += 1
        sockets = tempfile.mkdtemp(prefix="coldspare-vm.")  # short: a socket's path has room for 107 characters
        harness.cleanup.callback(shutil.rmtree, sockets, ignore_errors=True)
        path = f"{sockets}/console"
        self.log = harness.work(f"console-{Vm.count}.log")
        self.text = ""
        self.started = time.monotonic()
        self._prompts = 0
        # What a person types where: once each.
        self._answers = {asked: answer for asked, answer in
                         ((PASSPHRASE_WANTED, passphrase), (UEFI_SHELL, loader and f"fs0:\\{loader}\r")) if answer}
        self._news = threading.Condition()
        macs = (mac,) if isinstance(mac, str) else mac
        self.errors = harness.work(f"qemu-{Vm.count}.err")
        with open(self.errors, "wb") as errors:
            self.process = harness.start([
                "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", memory,
                # A plain processor and no display: each feature more is a module that the guest loads, and "max"
                # with VGA took 55 s to the login prompt where this takes 41.
                "-cpu", "qemu64,-svm", "-nodefaults", "-display", "none", "-no-reboot",
                "-chardev", f"socket,id=console,path={path},server=on,wait=on", "-serial", "chardev:console",
                *_firmware(firmware, sockets),
                *_disks((image, *more_images), image_format, disk_bus, throw_away), *_cards(nic, macs, slot),
            ], stdout=errors, stderr=errors)
        self._socket = self._connect(path)
        threading.Thread(target=self._read, daemon=True).start()

    def _connect(self, path):
        for _ in range(harness.patient(200)):
            console = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(OSError):
                console.connect(path)
                return console
            console.close()
            harness.check_quietly(self.process.poll() is None, "qemu starts", self.errors.read_text())
            time.sleep(0.05)
        harness.check(False, "qemu opens its console", self.errors.read_text())

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
            self._news.wait_for(lambda: found() or self.process.poll() is not None, harness.patient(timeout))
        return found()

    def wait_boot(self, timeout=400):
        """Waits for the login prompt or a dead end; which of them was seen, or None."""
        deadline = time.monotonic() + harness.patient(timeout)
        answered = set()
        while time.monotonic() < deadline and self.process.poll() is None:
            for asked in [asked for asked in self._answers if asked in self.text]:
                self._send(self._answers.pop(asked))
                answered.add(asked)
            for pattern in (LOGIN, *DEAD_ENDS):
                if pattern in self.text and pattern not in answered:
                    return pattern
            with self._news:
                self._news.wait(1)
        return None

    def login(self, user="root", password="root"):
        """Logs in at the prompt and takes a plain shell; run() works from then on."""
        for answer, asked in ((user, "assword: "), (password, "# ")):
            seen = len(self.text)
            self._send(answer)
            went_on = self._wait(lambda: asked in self.text[seen:], 90)
            harness.check_quietly(went_on, "the login dialogue goes on", self.tail())
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
        harness.check_quietly(self._wait(answer, timeout),
                              f"'{command}' ends in the guest within {harness.patient(timeout)} s", self.tail())
        output, status = answer().groups()
        harness.check_quietly(status == "0", f"'{command}' succeeds in the guest", output)
        return output

    def power_off(self, timeout=120):
        """Shuts the guest down in order and waits until the machine is off."""
        self._send("systemctl poweroff")
        try:
            self.process.wait(harness.patient(timeout))
        except subprocess.TimeoutExpired:
            harness.check(False, f"the guest powers off within {harness.patient(timeout)} s", self.tail())

    def stop(self):
        """Pulls the plug."""
        harness.stop(self.process)


def boot_to_login(image, claim, **options):
    """Starts a machine that has to reach its login prompt, and logs in."""
    vm = Vm(image, **options)
    outcome = vm.wait_boot()
    harness.check(outcome == LOGIN, f"{claim} ({vm.seconds():.0f} s)", vm.tail(40))
    vm.login()
    return vm


def portrait(vm, link="eth0"):
    """What a person would look at to see which machine this is and how it fares; `link` is its network card."""
    # Ends when booting is over, for good or for bad; both are judged below.
    state = vm.run("systemctl is-system-running --wait; true", timeout=300).strip()
    return {
        "host": vm.run("hostname").strip(),
        "machine_id": vm.run("cat /etc/machine-id").strip(),
        "host_key": vm.run("sha256sum < /etc/ssh/ssh_host_ed25519_key").split()[0],
        "initiator": vm.run("sha256sum < /etc/iscsi/initiatorname.iscsi").split()[0],
        "state": state,
        "failed": sorted(vm.run("systemctl list-units --failed --plain --no-legend --full | cut -d' ' -f1").split()),
        "addresses": re.findall(r"inet (\S+)", vm.run(f"ip -4 -oneline address show dev {link} 2> /dev/null || true")),
        "mac": vm.run(f"cat /sys/class/net/{link}/address 2> /dev/null || true").strip(),
        "links": vm.run("ls /sys/class/net").split(),
        "nic_driver": vm.run("for n in /sys/class/net/*/device/driver; do readlink $n; done").split("/")[-1].strip(),
        "root": vm.run("findmnt --noheadings --output SOURCE /").strip(),
        "swaps": vm.run("swapon --show=NAME --noheadings").split(),
    }
