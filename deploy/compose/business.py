"""An invented ToteSys with business in it: the profile `source` of deploy/compose.yaml.

The database is filled under another name and then renamed, so it exists in full or not at all.
"""

import datetime as dt
import os
import random
import time

import psycopg
from prepare import connect, make_database
from prepare_databases import set_password
from psycopg import sql

from totesys_dagster.local.stack import grant_extractor
from totesys_simulator import simulator

SOURCE, NEW = "totesys", "totesys_new"
SECONDS = 10


def make_source(administrator: psycopg.Connection) -> None:
    """Create ToteSys with two years of business, and the role that reads it."""
    administrator.execute(f"DROP DATABASE IF EXISTS {NEW} WITH (FORCE)".encode())
    make_database(administrator, NEW)
    with connect(NEW) as source:
        simulator.create_source(source)
        simulator.fill_history(source, last_day=dt.date.today() - dt.timedelta(days=1))  # noqa: DTZ011
        grant_extractor(source)
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    administrator.execute(rename.format(sql.Identifier(NEW), sql.Identifier(SOURCE)))


def main(password: str) -> None:
    """Let one small thing happen every ten seconds, until the service is stopped."""
    with connect("postgres") as administrator:
        query = "SELECT FROM pg_database WHERE datname = %s"
        if administrator.execute(query, [SOURCE]).fetchone() is None:
            make_source(administrator)
        set_password(administrator, "totesys_extractor", password)
    with connect(SOURCE) as source:
        while True:
            now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
            print(simulator.business_moment(source, random.Random(), now), flush=True)
            time.sleep(SECONDS)


if __name__ == "__main__":
    main(os.environ["EXTRACTOR_PASSWORD"])
