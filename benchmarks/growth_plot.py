"""Draw growth.csv as growth.svg. Needs matplotlib, which `growth.py` provides."""

# mypy: ignore-errors

import csv
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    """Two log-log plots side by side: seconds and megabytes by the number of orders."""
    with (HERE / "growth.csv").open() as file:
        rows = list(csv.DictReader(file))
    figure, (times, memory) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for step in dict.fromkeys(row["step"] for row in rows):
        own = [row for row in rows if row["step"] == step]
        orders = [int(row["orders"]) for row in own]
        times.plot(orders, [float(row["seconds"]) for row in own], marker="o", label=step)
        memory.plot(orders, [float(row["megabytes"]) for row in own], marker="o", label=step)
    for axes, label in ((times, "seconds"), (memory, "megabytes at the peak")):
        axes.set(xscale="log", xlabel="sales orders", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    times.set(yscale="log")
    memory.set_ylim(0, 400)
    plt.rcParams["svg.hashsalt"] = "growth"
    figure.savefig(HERE / "growth.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
