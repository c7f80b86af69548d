"""What the system tests share: beginning, checking and ending, the coldspare program, network namespaces.

A test is an executable Python script beside this file. It calls `begin()` first, prints one line per check
(`ok - ...`), and stops at the first check that does not hold with status 1. A machine that cannot run it makes it
skip with status 77. Only the standard library is used.
Disk images are in images.py, virtual machines in machine.py.

Everything a test starts or mounts is taken down by its own identity on every way out: an exit handler for ordinary
ends and signals, and, should the test itself be killed, a mount name space of its own and a parent-death signal.
"""

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent

cleanup = contextlib.ExitStack()
_started = time.monotonic()
_checks = 0
_work = None


def begin(*tools, program=True, root=True):
    """Prepares the test: own mounts (as root), a work directory, cleaning up. Skips if root, a tool or the program is
    missing."""
    global _work
    if root and os.geteuid() != 0:
        skip("needs root")
    for tool in ("unshare", "setpriv", *tools):
        if not shutil.which(tool):
            skip(f"'{tool}' is not installed")
    if program and not os.access(os.environ.get("COLDSPARE", ""), os.X_OK):
        skip("COLDSPARE does not name the built program")
    if root and os.environ.get("COLDSPARE_TEST_MOUNTS") != "own":
        os.environ["COLDSPARE_TEST_MOUNTS"] = "own"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])
    sys.stdout.reconfigure(line_buffering=True)
    atexit.register(cleanup.close)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    base = Path(os.environ.get("BUILD_DIR", REPO / "build")) / "system"
    base.mkdir(parents=True, exist_ok=True)
    _work = Path(tempfile.mkdtemp(prefix=f"{test_name()}.", dir=base))
    if os.environ.get("COLDSPARE_KEEP"):
        note(f"keeping {_work}")
    else:
        cleanup.callback(shutil.rmtree, _work, ignore_errors=True)


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


def run(*command, **options):
    """Runs a helper program that has to succeed; its standard output."""
    words = [str(word) for word in command]
    done_process = subprocess.run(words, text=True, capture_output=True, **options)
    check_quietly(done_process.returncode == 0, f"'{' '.join(words)}' ends well", done_process.stderr)
    return done_process.stdout


def check_quietly(holds, claim, detail=""):
    if not holds:
        check(False, claim, detail)


def wait_until(claim, holds, seconds=30, detail=lambda: ""):
    """Waits until holds() is true; what it then gives. Says after patient(seconds) that the claim does not hold."""
    deadline = time.monotonic() + patient(seconds)
    while not (found := holds()):
        check_quietly(time.monotonic() < deadline, f"{claim} within {patient(seconds)} s", detail())
        time.sleep(0.02)
    return found


def patient(seconds):
    """A limit for what hangs, from the time that it takes on a machine of its own. One that shares its processors is
    several times slower, and waiting longer costs only the test that fails."""
    return 5 * seconds


def start(command, **options):
    """A child that dies with this process, whatever kills it, and that is stopped by its pid at the end."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *[str(word) for word in command]],
                               stdin=subprocess.DEVNULL, **options)
    cleanup.callback(stop, process)
    return process


def stop(process):
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(patient(20))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Coldspare:
    """One run of the program with --json, in the background and perhaps in a network namespace; options are Popen's."""

    count = 0

    def __init__(self, *arguments, namespace=None, **options):
        Coldspare.count += 1
        self.words = ["coldspare", *[str(word) for word in arguments]]
        self.out = work(f"coldspare-{Coldspare.count}.out")
        self.err = work(f"coldspare-{Coldspare.count}.err")
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = start([*prefix, os.environ["COLDSPARE"], *arguments, "--json"], stdout=out, stderr=err,
                                 **options)

    def result(self, timeout, status=0):
        """Waits for the end, which has to have this exit status; the result event."""
        claim = f"'{' '.join(self.words)}' exits {status}"
        try:
            code = self.process.wait(patient(timeout))
        except subprocess.TimeoutExpired:
            check(False, f"{claim} within {patient(timeout)} s", self.tail())
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


class Wire:
    """Two network namespaces joined by a cable, with nothing else in them."""

    def __init__(self):
        tag = f"cs{os.getpid()}"
        self.one, self.other = f"{tag}a", f"{tag}b"
        self.one_address, self.other_address = "198.51.100.1", "198.51.100.2"
        for name in (self.one, self.other):
            run("ip", "netns", "add", name)
            cleanup.callback(subprocess.run, ["ip", "netns", "delete", name])
        run("ip", "link", "add", "wire", "netns", self.one, "type", "veth", "peer", "name", "wire",
            "netns", self.other)
        for name, address in ((self.one, self.one_address), (self.other, self.other_address)):
            run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "wire")
            for device in ("lo", "wire"):
                run("ip", "-n", name, "link", "set", device, "up")
