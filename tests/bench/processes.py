"""The programs that the benchmark runs: joined by pipes, watched together, ended by their own identity.

None of them outlives the benchmark, whatever kills it: each carries a parent-death signal.
"""

import os
import select
import signal
import subprocess
import tempfile
import time

LONGEST_COPY = 1800  # seconds; what takes longer hangs


class Failed(Exception):
    """A contestant, or what it needs, that did not do its work; the reason in one line."""


def run(*words):
    """Runs a helper program that has to succeed; its standard output."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"'{' '.join(map(str, words))}' exits {done.returncode}: {last_line(done.stderr + done.stdout)}")
    return done.stdout


def last_line(text):
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    lines = [line for line in lines if line and not line.startswith("hint:")]
    return lines[-1][:200] if lines else "it says nothing"


class Pipeline:
    """Programs joined by pipes, on one side of a link. A context manager: what still runs at its end is stopped."""

    def __init__(self, *stages, prefix=(), stdin=os.devnull, stdout=os.devnull):
        self.stages = [[str(word) for word in stage] for stage in stages]
        self.processes = []
        self._errors = [tempfile.TemporaryFile() for _ in stages]
        source = open(stdin, "rb")
        for number, stage in enumerate(self.stages):
            last = number == len(self.stages) - 1
            sink = open(stdout, "wb") if last else subprocess.PIPE
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *prefix, *stage], stdin=source, stdout=sink,
                                       stderr=self._errors[number])
            self.processes.append(process)
            source.close()
            source = process.stdout
            if last:
                sink.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            stop(process)
        for file in self._errors:
            file.close()

    def complaints(self):
        """What the stages that ended badly say. One that a broken pipe ended only suffers from another's end."""
        found = []
        for stage, process, errors in zip(self.stages, self.processes, self._errors):
            if process.poll() not in (None, 0, -signal.SIGPIPE):
                errors.seek(0)
                text = errors.read().decode(errors="replace")
                found.append(f"'{os.path.basename(stage[0])}' exits {process.returncode}: {last_line(text)}")
        return found


def stop(process):
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_all(*pipelines):
    """Until every process has ended well. The first that ends badly fails all, so that no other waits for it forever."""
    poller = select.poll()
    running = {}
    try:
        for pipeline in pipelines:
            for process in pipeline.processes:
                fd = os.pidfd_open(process.pid)
                running[fd] = process
                poller.register(fd, select.POLLIN)
        deadline = time.monotonic() + LONGEST_COPY
        ended_badly = False
        while running:
            ready = poller.poll(max(0, deadline - time.monotonic()) * 1000)
            for fd, _ in ready:
                ended_badly |= running.pop(fd).wait() != 0
                poller.unregister(fd)
                os.close(fd)
            if ended_badly:
                deadline = min(deadline, time.monotonic() + 1)  # a moment for the others to say what they know
            if not ready:
                break
        complaints = [line for pipeline in pipelines for line in pipeline.complaints()]
        if ended_badly or complaints:
            raise Failed("; ".join(complaints) or "a pipe broke")
        if running:
            raise Failed(f"not done after {LONGEST_COPY} s")
    finally:
        for fd in running:
            os.close(fd)


def wait_for_listener(port, pipeline):
    """Until somebody listens on the port, seen in the kernel's table of its namespace: connecting would be a visit."""
    first = pipeline.processes[0]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        rows = []
        for table in ("tcp", "tcp6"):
            try:
                with open(f"/proc/{first.pid}/net/{table}", encoding="ascii") as file:
                    rows += [row.split() for row in file.readlines()[1:]]
            except OSError:
                pass  # it has ended, which the next line sees
        if first.poll() is not None:
            raise Failed("; ".join(pipeline.complaints()) or f"'{pipeline.stages[0][0]}' ended before it listened")
        if any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows):
            return
        time.sleep(0.01)
    raise Failed(f"'{pipeline.stages[0][0]}' does not listen after 10 s")
