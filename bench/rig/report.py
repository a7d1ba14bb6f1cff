"""Tables: medians, spreads, and the same results as JSON and Markdown under bench/out/."""

import json
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

OUT = Path(__file__).resolve().parents[1] / "out"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def number(value):
    """Three digits that count, and thousands apart."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if value >= 0.001 else f"{value:.4f}"


def middle(points, name):
    values = [point[name] for point in points if point.get(name) is not None]
    return median(values) if values else None


def spread(ratios):
    """A median with its extremes: a ratio without them says nothing on a machine that others use too."""
    if not ratios:
        return "-"
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def ratios(points, base, name):
    """Round by round, since two runs side by side share the machine's mood and two far apart do not."""
    return [point[name] / other[name] for point, other in zip(points, base) if other[name]]


def today():
    return datetime.now(timezone.utc).strftime("%Y-%m-%d")


def save(name, markdown, data):
    OUT.mkdir(exist_ok=True)
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    path = OUT / f"{name}-{stamp}"
    path.with_suffix(".md").write_text(markdown + "\n")
    path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
    print(f"\nwritten: bench/out/{path.name}.md and .json")
