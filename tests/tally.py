#!/usr/bin/python3
"""Adds up ctest's results: tally.py DIR [FAILURE...], called by scripts/test.

Reads every DIR/*.xml (ctest --output-junit, one per preset), names what failed or skipped, and ends with the line
"N passed, N failed, N skipped". Each FAILURE is something that went wrong before there was a test, and counts as
one; so does a report without a test. With CI=true a skipped test is a failure unless tests/system/allowed-skips has a line "NAME: reason" for it.
Exits with 0 only if nothing failed and something passed.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ALLOWED_SKIPS = Path(__file__).resolve().parent / "system" / "allowed-skips"


def allowed_skips():
    allowed = {}
    for line in ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines() if ALLOWED_SKIPS.exists() else []:
        name, colon, reason = line.partition(":")
        if not line.startswith("#") and colon and reason.strip():
            allowed[name.strip()] = reason.strip()
    return allowed


def outcome(case):
    """"passed", "failed" or "skipped". A test that could not be started at all has failed."""
    status = case.get("status")
    if status == "run":
        return "passed"
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("message", "").startswith("SKIP_"):
        return "skipped"
    return "failed"


def test_cases(report):
    """A test may print bytes that XML cannot hold; ctest passes some of them on."""
    text = report.read_text(encoding="utf-8", errors="replace")
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
    text = re.sub(r"&#(x[01]?[0-9a-fA-F]|[0-9]|[12][0-9]|3[01]);", "?", text)
    return ElementTree.fromstring(text).iter("testcase")


def last_lines(case, count):
    text = (case.findtext("system-out") or "").strip()
    return "\n".join(f"    {line}" for line in text.splitlines()[-count:])


def main(directory, failures):
    in_ci = os.environ.get("CI") == "true"
    allowed = allowed_skips()
    counts = {"passed": 0, "failed": len(failures), "skipped": 0}
    for failure in failures:
        print(f"FAILED  {failure}")
    for report in sorted(Path(directory).glob("*.xml")):
        cases = list(test_cases(report))
        if not cases:
            print(f"FAILED  {report.stem}: not one test was run")
            counts["failed"] += 1
        for case in cases:
            name, result = case.get("name"), outcome(case)
            if result == "skipped" and in_ci and name not in allowed:
                print(f"FAILED  {report.stem}: {name} skipped, and tests/system/allowed-skips does not allow it")
                print(last_lines(case, 3))
                result = "failed"
            elif result == "skipped":
                print(f"skipped {report.stem}: {name}: {allowed.get(name, '')}")
                print(last_lines(case, 3))
            elif result == "failed":
                print(f"FAILED  {report.stem}: {name}")
                print(last_lines(case, 20))
            counts[result] += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
