"""How long `import binorm` takes once torch is imported, each time in a fresh process.

Run: python benchmarks/import_time.py [--runs 11] [--out FILE.json]
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

CODE = "import time, torch; start = time.perf_counter(); import binorm; print(time.perf_counter() - start)"


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    command = [sys.executable, "-c", CODE]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(options.runs)]
    milliseconds = sorted(1000 * float(output) for output in outputs)
    median = statistics.median(milliseconds)
    print(f"import binorm after torch: median {median:.1f} ms, {milliseconds[0]:.1f} to {milliseconds[-1]:.1f} ms")
    if options.out:
        from binorm.experiments.common.machine import describe_machine, describe_versions

        facts = {"milliseconds": milliseconds, "machine": describe_machine(), "versions": describe_versions()}
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
