"""What a run found: as text for a terminal and for docs/PERFORMANCE.md, and as JSON."""

import datetime
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

import bars
from links import GIGABIT
from processes import Failed, run

# The lines between which a benchmark writes into docs/PERFORMANCE.md.
FIGURES = ("<!-- figures: written by tests/bench/clone-vs-peers --write-doc -->", "<!-- end of figures -->")
FIXUP = ("<!-- fixup: written by tests/bench/fixup --write-doc -->", "<!-- end of fixup -->")
RECLONE = ("<!-- re-clone: written by tests/bench/reclone --write-doc -->", "<!-- end of re-clone -->")


def machine(work, targets):
    """Where and when, in (what, value) rows."""
    models = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    memory = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()
                  if line.startswith("MemTotal"))
    revision = subprocess.run(["git", "-C", Path(__file__).parent, "describe", "--always", "--dirty"],
                              capture_output=True, text=True, check=False).stdout.strip()
    return [
        ("date", datetime.date.today().isoformat()),
        ("revision", revision or "unknown"),
        ("processor", f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"),
        ("memory", f"{memory / 2**20:.0f} GiB"),
        ("kernel", platform.release()),
        ("sources on", run("findmnt", "-no", "FSTYPE", "-T", work).splitlines()[-1]),
        ("targets on", run("findmnt", "-no", "FSTYPE", "-T", targets).splitlines()[-1]),
        ("load before", f"{os.getloadavg()[0]:.1f}"),
    ]


@dataclass
class Result:
    images: dict
    runs: int
    bars: list
    machine: list
    limits: dict = field(default_factory=dict)
    rates: dict = field(default_factory=dict)
    measured: dict = field(default_factory=dict)
    scaling: list = field(default_factory=list)
    verdicts: list = field(default_factory=list)
    scaling_word: str = bars.NOT_MEASURED
    spread: float = None

    def judge(self):
        self.verdicts = [bars.judge(bar, self.measured[bar.image, bar.link]) for bar in self.bars]
        if self.scaling:
            self.scaling_word, self.spread = bars.judge_scaling(self.scaling)

    def good(self):
        words = {verdict.word for verdict in self.verdicts} | {self.scaling_word}
        return words <= {bars.PASS, bars.NOT_MEASURED, bars.NO_BAR}

    def text(self):
        names = {kind: image.name for kind, image in self.images.items()}
        scaling = (bars.scaling_table(self.scaling, self.scaling_word, self.spread) if self.scaling
                   else "Time per GiB from 2 to 8 GiB: not measured in this run (`--scaling`).")
        return "\n\n".join([
            bars.table(["measured", "on"], self.machine),
            f"Medians of {self.runs}:",
            bars.bars_table(self.bars, self.verdicts, names),
            "Everything that was measured, in medians:",
            bars.contestants_table(self.measured, names),
            scaling,
            "The limits of this machine, in the same run:",
            self._limits_table(),
            *self._foot(),
        ])

    def _limits_table(self):
        rows = [[f"direct {what}", f"{rate / 1e9:.2f} GB/s"] for what, rate in self.limits.items()]
        for link, rate in self.rates.items():
            unit = f"{rate * 8 / 1e9:.3f} Gbit/s" if link == GIGABIT else f"{rate / 1e9:.2f} GB/s"
            rows.append([f"one TCP connection, {link}", unit])
        return bars.table(["limit", "rate"], rows)

    def _foot(self):
        lines = list(dict.fromkeys(f"{verdict.word}: {verdict.reason}" for verdict in self.verdicts if verdict.reason))
        lines += [f"scaling: {one.failure}" for one in self.scaling if one.failure]
        lines += [f"{image.name}: {image.facts}." for image in self.images.values() if image.facts]
        if (rate := self.rates.get(GIGABIT)) and rate * 8 < 0.93e9:
            lines.append(f"The shaped link carries only {rate * 8 / 1e9:.3f} Gbit/s: its bars mean little in this run.")
        best = [f"{verdict.way} ({bar.image}, {bar.link})" for bar, verdict in zip(self.bars, self.verdicts)
                if len(bar.ways) > 1 and verdict.way]
        if best:
            lines.append(f"Of peers that were tried in two ways the better one counts: {'; '.join(dict.fromkeys(best))}.")
        return lines

    def as_json(self):
        return {
            "machine": dict(self.machine),
            "limits": self.limits,
            "rates": self.rates,
            "bars": [{**asdict(bar), "verdict": verdict.word, "reason": verdict.reason, "way": verdict.way,
                      "measured": verdict.ratio() if verdict.ours else None}
                     for bar, verdict in zip(self.bars, self.verdicts)],
            "samples": [{"image": self.images[image].name, "link": link, "contestant": name, **asdict(times)}
                        for (image, link), found in self.measured.items() for name, times in found.items()],
            "scaling": {"verdict": self.scaling_word, "spread": self.spread,
                        "samples": [asdict(times) for times in self.scaling]},
        }


def write_doc(path, text, markers):
    """Replaces what stands between the two marker lines."""
    old = path.read_text(encoding="utf-8")
    head, begin, rest = old.partition(markers[0] + "\n")
    _, end, tail = rest.partition(markers[1] + "\n")
    if not begin or not end:
        raise Failed(f"'{path}' lacks the marker lines '{markers[0]}' and '{markers[1]}'")
    path.write_text(head + begin + "\n" + text + "\n\n" + end + tail, encoding="utf-8")
