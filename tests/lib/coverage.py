"""Reads the lines of an lcov file and prints how many of each module's ran, or with a path those that did not."""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "src"


def is_test(path):
    """A file that holds tests only."""
    return "tests" in path.parts or path.stem.endswith("tests")


def test_lines(path):
    """The lines below `#[cfg(test)]`: up to the brace or the semicolon that closes what follows."""
    found, depth, inside = set(), 0, False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not inside and line.strip() == "#[cfg(test)]":
            inside, depth = True, 0
            continue
        if not inside:
            continue
        found.add(number)
        code = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])\'|//.*', "", line)
        depth += code.count("{") - code.count("}")
        if depth == 0 and not code.strip().startswith("#") and code.rstrip().endswith(("}", ";")):
            inside = False
    return found


def read(lcov):
    """Each source's lines that have code, and how often each ran."""
    files, path = {}, None
    for line in Path(lcov).read_text().splitlines():
        if line.startswith("SF:"):
            path = Path(line[3:])
            inside = path.is_relative_to(ROOT) and not is_test(path.relative_to(ROOT))
            counts = files.setdefault(path.relative_to(ROOT), defaultdict(int)) if inside else None
        elif line.startswith("DA:") and counts is not None:
            number, count = line[3:].split(",")[:2]
            counts[int(number)] = max(counts[int(number)], int(count))
    for path, counts in files.items():
        for number in test_lines(ROOT / path) & counts.keys():
            del counts[number]
    return files


def table(files):
    modules = defaultdict(lambda: [0, 0])
    for path, counts in files.items():
        sums = modules[path.parts[0].removesuffix(".rs")]
        sums[0] += len(counts)
        sums[1] += sum(count > 0 for count in counts.values())
    print(f"{'module':<10} {'lines':>6} {'run':>6} {'%':>6}")
    layers = re.findall(r"^pub mod (\w+);", (ROOT / "lib.rs").read_text(), re.M)
    for name in [*layers, *sorted(modules.keys() - set(layers))]:
        lines, ran = modules[name]
        if lines:
            print(f"{name:<10} {lines:>6} {ran:>6} {100 * ran / lines:>6.1f}")


def gaps(files, start):
    """Worst files first, each with the lines that nothing ran."""
    missed = {path: sorted(n for n, count in counts.items() if not count) for path, counts in files.items()}
    for path, numbers in sorted(missed.items(), key=lambda item: -len(item[1])):
        if numbers and str(path).startswith(start):
            text = (ROOT / path).read_text().splitlines()
            print(f"\n{path}: {len(numbers)} of {len(files[path])}")
            for number in numbers:
                print(f"{number:5} {text[number - 1]}")


if __name__ == "__main__":
    sources = read(sys.argv[1])
    if len(sys.argv) > 2:
        gaps(sources, sys.argv[2])
    else:
        table(sources)
