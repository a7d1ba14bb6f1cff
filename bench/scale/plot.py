"""Small multiples of the model's rows as SVG: the same rows give the same bytes. Run by `run`, in its environment."""

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: E402

from model import CORES, STRATEGIES, TRAFFIC  # noqa: E402

# Okabe and Ito's colours, which the colour-blind can tell apart; markers and dashes for those who print.
LOOK = {
    "hashing": ("hashing alone", "#000000", "o", "-"),
    "owner-only": ("owner only", "#E69F00", "s", "--"),
    "ttl": ("TTL caches", "#0072B2", "^", "-."),
    "salting": ("salting", "#CC79A7", "D", ":"),
    "coldplate": ("Coldplate", "#009E73", "o", "-"),
}
# Text is thinner than lines are and wants more contrast.
INK = {"owner-only": "#A86500", "salting": "#A3507F", "coldplate": "#007A58"}
GREY = "#767676"
# Labels closer than this share of the axis' height are pushed apart, or joined where the lines are one.
LABEL_GAP = 0.068
SAME = 0.004


def style():
    matplotlib.rcParams.update({
        "svg.hashsalt": "coldplate", "svg.fonttype": "none", "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"], "font.size": 9.5,
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY, "axes.titlesize": 10.5,
        "xtick.color": "#444444", "ytick.color": "#444444",
    })


def draw(rows, column, scale, title, subtitle, y_range, y_ticks, y_text, ideal, path):
    figure, panels = pyplot.subplots(3, 2, figsize=(9.0, 10.2), sharex=True, sharey=True)
    figure.subplots_adjust(left=0.05, right=0.85, top=0.885, bottom=0.05, hspace=0.22, wspace=0.52)
    figure.text(0.012, 0.972, title, size=14, weight="bold")
    figure.text(0.012, 0.927, subtitle, size=9.5, color="#444444", linespacing=1.35)
    for axes, traffic in zip(panels.flat, TRAFFIC):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlim(0.9, 136)
        axes.set_ylim(*y_range)
        axes.set_title(traffic.title, loc="left", weight="bold", pad=6)
        axes.grid(True, which="major", color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
        if ideal:
            axes.plot(CORES, [ideal * cores for cores in CORES], color="#b0b0b0", linewidth=5, solid_capstyle="butt",
                      alpha=0.45)
        ends = []
        for strategy in STRATEGIES:
            name, colour, marker, dash = LOOK[strategy]
            values = [float(rows[traffic.name, strategy, cores][column]) / scale for cores in CORES]
            ours = strategy == "coldplate"
            axes.plot(CORES, values, color=colour, linestyle=dash, marker=marker, markersize=4.5 if ours else 3.5,
                      linewidth=2.6 if ours else 1.5, clip_on=False, zorder=4 if ours else 3)
            ends.append((values[-1], strategy, name + remark(rows[traffic.name, strategy, CORES[-1]])))
        label(axes, ends, y_range)
        axes.xaxis.set_major_locator(FixedLocator(CORES))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda cores, _: f"{cores:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(FixedLocator(y_ticks))
        axes.yaxis.set_major_formatter(FuncFormatter(y_text))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.tick_params(length=0, labelbottom=True, labelleft=True)
    for axes in panels[-1]:
        axes.set_xlabel("cores", color="#444444")
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)


def remark(row):
    stale, inexact = float(row["stale_read_share"]), float(row["inexact_reply_share"])
    if stale >= 0.005:
        return f"\n{stale:.0%} reads stale"
    return "\nreplies inexact" if inexact else ""


def label(axes, ends, y_range):
    """Names at the right end of their lines. Lines that end together share one name."""
    low, high = y_range
    place = axes.transAxes.inverted().transform
    groups = []
    for value, strategy, text in sorted(ends, key=lambda end: end[0]):
        at = place(axes.transData.transform((CORES[-1], value)))[1]
        if groups and at - groups[-1][0][0] < SAME and "\n" not in text + groups[-1][-1][2]:
            groups[-1].append((at, strategy, text))
        else:
            groups.append([(at, strategy, text)])
    lines = []
    for group in groups:
        if len(group) == len(STRATEGIES):
            lines.append((group[0][0], "#000000", "all five", False))
            continue
        ours = any(strategy == "coldplate" for _, strategy, _ in group)
        # Ours first, so that its colour and weight name the group.
        for _, strategy, text in sorted(group, key=lambda end: end[1] == "coldplate"):
            lines.append((group[0][0], INK.get(strategy, LOOK[strategy][1]), text, ours and strategy == "coldplate"))
    floor = -0.01
    placed = []
    for at, colour, text, bold in lines:
        gap = LABEL_GAP * (1.6 if "\n" in text else 1.0)
        centre = max(at, floor + gap / 2)
        placed.append([centre, gap, colour, text, bold])
        floor = centre + gap / 2
    excess = max(0.0, floor - 1.05)
    for entry in reversed(placed):  # from the top, push down what was pushed too far up
        entry[0] -= excess
        below = [other for other in placed if other[0] < entry[0]]
        room = entry[0] - (below[-1][0] if below else -1) - (entry[1] + (below[-1][1] if below else 0)) / 2
        excess = max(0.0, excess - max(0.0, room))
    for centre, _, colour, text, bold in placed:
        axes.text(1.035, centre, text, transform=axes.transAxes, color=colour, va="center", size=9,
                  weight="bold" if bold else "normal", linespacing=1.05)


def main(folder):
    style()
    with open(folder / "data.csv", newline="") as data:
        rows = {(row["traffic"], row["strategy"], int(row["cores"])): row for row in csv.DictReader(data)}
    one = float(rows["uniform", "hashing", 1]["ops_s"]) / 1e6
    draw(rows, "ops_s", 1e6, "Throughput, million operations a second",
         "A model: costs measured on few cores, replayed over more; pipeline 16. Both axes are logarithmic.\n"
         "The grey band is one core times cores.",
         (1, 500), (1, 3, 10, 30, 100, 300), lambda value, _: f"{value:g}", one, folder / "throughput.svg")
    draw(rows, "skew", 1.0, "Skew: the busiest core's work over the mean core's",
         "A model: costs measured on few cores, replayed over more; pipeline 16. Both axes are logarithmic.\n"
         "1 is even; at 2, half of what was paid for stands idle.",
         (0.95, 64), (1, 2, 4, 8, 16, 32, 64), lambda value, _: f"{value:g}", None, folder / "skew.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
