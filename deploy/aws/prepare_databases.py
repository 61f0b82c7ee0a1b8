"""Create the roles of both databases and put their passwords into Secrets Manager.

    python deploy/aws/prepare_databases.py [--only warehouse]

Runs as a one-off task in the network of the databases, as their administrator (docs/deployment.md).
Nobody sees a password. Run it again to rotate them: programs use the warehouse's new passwords from
their next connection on. Dagster gets its password when a task starts, so restart its services.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from urllib.parse import quote

import boto3
import psycopg
from psycopg import sql

CERTIFICATES = "/opt/totesys/rds-ca.pem"
VERIFIED = f"sslmode=verify-full&sslrootcert={CERTIFICATES}"

Put = Callable[[str, str], None]


def prepare_warehouse(administrator: psycopg.Connection, place: str, tls: str) -> dict[str, str]:
    """Create the warehouse's roles. Returns the connection strings of loader and administrator."""
    make_warehouse_roles(administrator)
    passwords = {
        role: set_password(administrator, role) for role in ("warehouse_loader", "warehouse_admin")
    }
    return {
        role: f"postgresql://{role}:{quote(password)}@{place}?{tls}"
        for role, password in passwords.items()
    }


def make_warehouse_roles(administrator: psycopg.Connection) -> None:
    """Create the warehouse's roles, unless they exist, and grant their rights."""
    roles = files("totesys_dagster.warehouse").joinpath("sql", "roles.sql").read_text()
    administrator.execute(roles.encode())


def prepare_dagster(administrator: psycopg.Connection, database: str) -> str:
    """Create the role with which Dagster stores its history. Returns its password."""
    make_dagster_role(administrator, database)
    return set_password(administrator, "dagster")


def make_dagster_role(administrator: psycopg.Connection, database: str) -> None:
    """Create the role with which Dagster stores its history, unless it exists."""
    exists = administrator.execute("SELECT FROM pg_roles WHERE rolname = 'dagster'").fetchone()
    if exists is None:
        administrator.execute("CREATE ROLE dagster LOGIN")
    administrator.execute("GRANT USAGE, CREATE ON SCHEMA public TO dagster")
    administrator.execute(
        sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO dagster").format(
            sql.Identifier(database)
        )
    )


def set_password(administrator: psycopg.Connection, role: str, password: str | None = None) -> str:
    """Give `role` this password, or a new one. The server, whose log has every ALTER, gets only its
    hash."""
    password = password or secrets.token_urlsafe(32)
    hashed = administrator.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    administrator.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(hashed.decode())
        )
    )
    return password


def connect(host: str, database: str, login: Mapping[str, str]) -> psycopg.Connection:
    """Connect as the administrator."""
    return psycopg.connect(
        host=host,
        dbname=database,
        user=login["username"],
        password=login["password"],
        sslmode="verify-full",
        sslrootcert=CERTIFICATES,
        connect_timeout=10,
        autocommit=True,
    )


def renew_warehouse(environment: Mapping[str, str], put: Put) -> None:
    """Prepare the warehouse. Its secrets are put as soon as their passwords are valid."""
    host, database = environment["WAREHOUSE_HOST"], environment["WAREHOUSE_DATABASE"]
    with connect(host, database, json.loads(environment["WAREHOUSE_ADMINISTRATOR"])) as warehouse:
        strings = prepare_warehouse(warehouse, f"{host}:5432/{database}", VERIFIED)
    put(environment["WAREHOUSE_DSN_SECRET"], strings["warehouse_loader"])
    put(environment["WAREHOUSE_ADMIN_DSN_SECRET"], strings["warehouse_admin"])


def renew_dagster(environment: Mapping[str, str], put: Put) -> None:
    """Prepare Dagster's database. Its secret is put as soon as the password is valid."""
    host, database = environment["DAGSTER_POSTGRES_HOST"], environment["DAGSTER_POSTGRES_DB"]
    with connect(host, database, json.loads(environment["DAGSTER_ADMINISTRATOR"])) as dagster:
        put(environment["DAGSTER_PASSWORD_SECRET"], prepare_dagster(dagster, database))


RENEW = {"warehouse": renew_warehouse, "dagster": renew_dagster}


def main(arguments: Sequence[str], environment: Mapping[str, str], put: Put) -> None:
    """Prepare both databases, or the one that the arguments name."""
    parser = argparse.ArgumentParser(description="Create the databases' roles; set new passwords.")
    parser.add_argument("--only", choices=list(RENEW), help="leave the other database alone")
    only = parser.parse_args(arguments).only
    for database in [only] if only else RENEW:
        RENEW[database](environment, put)
        print(f"The roles of {database} have new passwords, which are in Secrets Manager.")


if __name__ == "__main__":
    manager = boto3.client("secretsmanager")
    main(
        sys.argv[1:],
        os.environ,
        lambda secret, value: manager.put_secret_value(SecretId=secret, SecretString=value),
    )
