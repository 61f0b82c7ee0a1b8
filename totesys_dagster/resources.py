"""The three systems that the platform connects, as Dagster resources.

A resource contains the names of settings, never their values: the UI can show it, and the next
connection uses a changed password.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from totesys_dagster import files, settings, zone_urls
from totesys_dagster.errors import LakeError, TotesysError
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster.postgres.sessions import Connection, Names


class SourceDatabase(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The PostgreSQL database of ToteSys, which is only ever read."""

    dsn_setting: str = settings.SOURCE_DSN

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An autocommit connection for the time of a block. Raises SettingError."""
        with postgres.connect(self.dsn_setting) as connection:
            yield connection


class Lake(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The two zones of the lake: object stores in which nothing is ever overwritten."""

    ingestion_setting: str = settings.INGESTION_URL
    processed_setting: str = settings.PROCESSED_URL

    def ingestion(self) -> Store:
        """The zone of JSON Lines and manifests. Raises SettingError."""
        return Store(zone_urls.zone_url(self.ingestion_setting), self.ingestion_setting)

    def processed(self) -> Store:
        """The zone of Parquet files and receipts. Raises SettingError."""
        return Store(zone_urls.zone_url(self.processed_setting), self.processed_setting)

    def log(self) -> ManifestLog:
        """The committed batches. Raises SettingError."""
        return ManifestLog(self.ingestion())

    def batch_of(self, context: dg.InputContext) -> Manifest:
        """The batch of a run; the last one for a check that is executed alone, which reads no rows.

        Raises LakeError or SettingError.
        """
        log = self.log()
        found = log.find(context.partition_key) if context.has_partition_key else log.head()
        if found is None:
            raise LakeError("The lake has no batches yet: run `totesys run`.")
        return found


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The PostgreSQL database of the warehouse."""

    dsn_setting: str = settings.WAREHOUSE_DSN

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An autocommit connection for the time of a block. Raises SettingError."""
        with postgres.connect(self.dsn_setting) as connection:
            yield connection

    @contextmanager
    def connect_as_admin(self) -> Iterator[Connection]:
        """The same as a role that may migrate and rebuild. Raises SettingError."""
        with postgres.connect(settings.admin_setting()) as connection:
            yield connection

    def names(self) -> Names:
        """The names of the warehouse's schemas. Raises SettingError."""
        return Names(settings.warehouse_schema())


@contextmanager
def clear_failures() -> Iterator[None]:
    """Fail a step with the platform's own sentence instead of a traceback.

    Dagster does not retry it: the sensors resume whatever is left undone.
    """
    try:
        yield
    except TotesysError as error:
        raise dg.Failure(
            description=str(error), metadata={"error": type(error).__name__}, allow_retries=False
        ) from None
    except OSError as error:
        reason, remedy = files.why(error)
        raise dg.Failure(
            description=f"{error.filename or 'A file'} {reason}: {remedy}, then run again.",
            allow_retries=False,
        ) from None
