"""Create what the services of deploy/compose.yaml need: databases, roles with passwords, a bucket.

Runs as a service before the platform's others whenever they are started, with the password of the
server's administrator. What exists stays; a password that was changed in `.env` takes effect.
"""

import os
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import boto3
import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from prepare_databases import make_dagster_role, make_warehouse_roles, set_password
from psycopg import sql

# The store of the profile `store`. Anywhere else, you create the bucket.
STORE = "store"
STORE_SECONDS = 60
PASSWORDS = {
    "dagster": "DAGSTER_POSTGRES_PASSWORD",
    "warehouse_loader": "WAREHOUSE_LOADER_PASSWORD",
    "warehouse_admin": "WAREHOUSE_ADMIN_PASSWORD",
    "warehouse_reader": "WAREHOUSE_READER_PASSWORD",
}


def connect(database: str) -> psycopg.Connection:
    """Connect as the administrator; PGHOST, PGUSER and PGPASSWORD say where and as whom."""
    return psycopg.connect(dbname=database, autocommit=True, connect_timeout=10)


def make_database(administrator: psycopg.Connection, name: str) -> None:
    """Create a database in UTF8, unless it exists."""
    query = "SELECT FROM pg_database WHERE datname = %s"
    if administrator.execute(query, [name]).fetchone() is None:
        statement = "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0"
        administrator.execute(sql.SQL(statement).format(sql.Identifier(name)))


def prepare(environment: Mapping[str, str]) -> None:
    """Create databases and roles. Dagster stores its history apart from the warehouse."""
    with connect("postgres") as administrator:
        make_database(administrator, "dagster")
        make_database(administrator, "warehouse")
    with connect("dagster") as dagster:
        make_dagster_role(dagster, "dagster")
    with connect("warehouse") as warehouse:
        make_warehouse_roles(warehouse)
        for role, name in PASSWORDS.items():
            set_password(warehouse, role, environment[name])


def make_bucket(name: str, end: float) -> None:
    """Create a bucket, unless it exists; wait until `end` for a store that is still starting."""
    while True:
        try:
            boto3.client("s3").create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in (
                "BucketAlreadyExists",
                "BucketAlreadyOwnedByYou",
            ):
                return
            raise
        except BotoCoreError:
            if time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


def main(environment: Mapping[str, str]) -> None:
    """Prepare the databases, and the store if it is one of the services."""
    prepare(environment)
    if urlsplit(environment.get("AWS_ENDPOINT_URL", "")).hostname == STORE:
        make_bucket(environment["BUCKET"], time.monotonic() + STORE_SECONDS)
    print("Databases and roles are ready.")


if __name__ == "__main__":
    main(os.environ)
