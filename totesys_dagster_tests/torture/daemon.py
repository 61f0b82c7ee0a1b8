"""Dagster's daemon, looking at its sensors every second instead of every five."""

import dagster._daemon.sensor as sensor_daemon
from dagster._daemon.cli import main

sensor_daemon.MIN_INTERVAL_LOOP_TIME = 1

if __name__ == "__main__":
    main()
