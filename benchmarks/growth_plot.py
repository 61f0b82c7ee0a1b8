"""Draw growth.csv as growth.svg. Needs matplotlib, which `growth.py` provides."""

# mypy: ignore-errors

import csv
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    """Two log-log plots side by side: seconds and megabytes by the number of orders."""
    with (HERE / "growth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["statistics"] == "none"]
    figure, (times, memory) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    colors = plt.colormaps["tab20"].colors
    for color, step in zip(colors, dict.fromkeys(row["step"] for row in rows), strict=False):
        own = [row for row in rows if row["step"] == step]
        orders = [int(row["orders"]) for row in own]
        style = {"color": color, "marker": "o", "markersize": 4, "label": step}
        style["linestyle"] = "--" if step.startswith("command") else "-"
        times.plot(orders, [float(row["seconds"]) for row in own], **style)
        if not step.startswith("command"):
            memory.plot(orders, [float(row["megabytes"]) for row in own], **style)
    for axes, label in ((times, "seconds"), (memory, "megabytes at the peak")):
        axes.set(xscale="log", xlabel="sales orders", ylabel=label)
        axes.grid(alpha=0.3)
    times.set(yscale="log")
    memory.set_ylim(0, 400)
    figure.legend(*times.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plt.rcParams["svg.hashsalt"] = "growth"
    figure.savefig(HERE / "growth.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
