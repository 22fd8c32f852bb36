"""More than 2^31 numbers in one tensor on the CPU, and 64-bit indices of the CUDA kernels under the emulation: which tests pass."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from _record import ROOT, Record

TESTS = ["tests/ops/test_large.py", "tests/cuda/test_emulation.py", "-k", "large or addresses"]


def main() -> None:
    """Writes benchmarks/results/large.json if all tests pass and none is skipped for want of memory."""
    report = ROOT / "build" / "large.xml"
    with Record("large") as record:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *TESTS, f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT, check=True)
        cases = list(ElementTree.parse(report).iter("testcase"))
        if skipped := [case.get("name") for case in cases if case.find("skipped") is not None]:
            sys.exit(f"skipped: {skipped}")
        record["pytest"] = TESTS
        record["seconds"] = {f"{case.get('classname')}.{case.get('name')}": round(float(case.get("time", 0)), 1) for case in cases}
    print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
