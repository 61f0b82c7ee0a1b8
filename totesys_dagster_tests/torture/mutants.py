"""Mutants: the mistakes that change capture and loading are prone to, put into the code on purpose.

Each replaces a piece of the platform, in a test only. A torture that does not catch one of them has
no teeth. `KINDS` says of each kind of trouble who makes it and which mistakes would let it through.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from totesys_dagster.catalogue import SOURCE_TABLES, currencies
from totesys_dagster.ingestion import capture, changes, fingerprint, poll, source_view
from totesys_dagster.ingestion.fingerprint import TableSchema
from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake import probe
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.operations import proof
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster.postgres.patience import PatientConnection
from totesys_dagster.processed import process, transform
from totesys_dagster.processed.contracts import Accepted
from totesys_dagster.warehouse import healing, load, table_load
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster_tests import plans
from totesys_dagster_tests.torture import judge, owner, standstill, writers
from totesys_dagster_tests.torture.loop import Torture

Mutant = Callable[[pytest.MonkeyPatch], None]


def watermark_is_xmax(patch: pytest.MonkeyPatch) -> None:
    """The next batch begins where the last snapshot ended: late commits are lost."""
    examine = changes.examine

    def later(head: Manifest | None) -> Manifest | None:
        if head is None:
            return None
        moved = head.snapshot.model_copy(update={"xmin": head.snapshot.xmax})
        return head.model_copy(update={"snapshot": moved})

    def mutant(view: Any, known: Known, read_keys: Any, **options: Any) -> Any:
        return examine(view, Known(later(known.head), known.audit), read_keys, **options)

    patch.setattr(changes, "examine", mutant)
    patch.setattr(
        capture.Capture,
        "watermark",
        property(lambda self: later(self._head).snapshot.xmin if self._head else 3),
    )


def capture_reads_committed(patch: pytest.MonkeyPatch) -> None:
    """Every statement of a capture sees another state of the source."""
    patch.setattr(source_view, "READING", "ISOLATION LEVEL READ COMMITTED, READ ONLY")


def manifest_is_overwritten(patch: pytest.MonkeyPatch) -> None:
    """Whoever writes a manifest last wins: in a directory that was spared the proof."""
    patch.setattr(os, "link", os.replace)
    patch.setattr(probe, "require", lambda _: None)


def dimensions_trust_last_updated(patch: pytest.MonkeyPatch) -> None:
    """A dimension's row is taken only when its `last_updated` has moved on."""
    newest: dict[tuple[str, int], Any] = {}
    accept = transform.accept

    def mutant(table: Any, data: bytes, *rest: Any) -> Accepted:
        accepted = accept(table, data, *rest)
        if table.name not in ("design", "address"):
            return accepted
        stale = []
        rows = data.split(b"\n")
        for line in accepted.frame.index:
            row = json.loads(rows[line])
            key = (table.name, row[table.key])
            if key in newest and row["last_updated"] <= newest[key]:
                stale.append(line)
            newest[key] = row["last_updated"]
        return Accepted(accepted.frame.drop(index=stale), accepted.quarantined)

    patch.setattr(transform, "accept", mutant)


def contracts_ask_for_every_column(patch: pytest.MonkeyPatch) -> None:
    """A row is quarantined for what the warehouse does not take of it."""
    # The package shows the function of the module's name.
    contract = importlib.import_module("totesys_dagster.catalogue.contract")
    patch.setattr(contract, "contract", lambda _star, source: SOURCE_TABLES[source])


def facts_are_keyed_by_last_updated(patch: pytest.MonkeyPatch) -> None:
    """A version of a fact is told from another by its key and `last_updated` alone."""
    query = table_load.TableLoader._query

    def mutant(self: Any, statement: str, *parameters: Any, **more: Any) -> Any:
        if self.star.record_id:
            statement = statement.replace(
                "ROW({current}) IS DISTINCT FROM ROW({staged})",
                "ROW(c.last_updated_date, c.last_updated_time)"
                " IS DISTINCT FROM ROW(s.last_updated_date, s.last_updated_time)",
            )
        return query(self, statement, *parameters, **more)

    patch.setattr(table_load.TableLoader, "_query", mutant)


def no_ledger(patch: pytest.MonkeyPatch) -> None:
    """A batch is loaded whenever somebody asks, whatever was loaded before."""

    def write(connection: Any, names: Any, manifest: Manifest) -> None:
        for table in ("audit", "released", "quarantine", "batch_table", "batch"):
            connection.execute(
                f"DELETE FROM warehouse_bookkeeping.{table} WHERE sequence = {manifest.sequence}"
            )
        original(connection, names, manifest)

    original = load.write_ledger
    patch.setattr(load, "in_ledger", lambda *_: False)
    patch.setattr(load, "write_ledger", write)


def every_table_commits(patch: pytest.MonkeyPatch) -> None:
    """A load commits after each table."""
    run = table_load.TableLoader.run

    def mutant(self: Any, *arguments: Any) -> None:
        run(self, *arguments)
        self.connection.execute("COMMIT")
        self.connection.execute("BEGIN")

    patch.setattr(table_load.TableLoader, "run", mutant)


def row_security_hides_rows(patch: pytest.MonkeyPatch) -> None:
    """Whatever rows a policy shows are taken for all."""
    require = fingerprint._require_rows

    def mutant(member: Any) -> None:
        require(dataclasses.replace(member, hides_rows=False))

    patch.setattr(fingerprint, "_require_rows", mutant)
    shown = postgres.LOCAL_SETTINGS.replace("row_security TO off", "row_security TO on")
    assert shown != postgres.LOCAL_SETTINGS
    patch.setattr(postgres, "LOCAL_SETTINGS", shown)


def _fingerprint(
    patch: pytest.MonkeyPatch, without: Callable[[str, dict[str, Any]], dict[str, Any]]
) -> None:
    """Let fingerprints lack a part of a table's shape."""
    schema = fingerprint._schema

    def mutant(name: str, *rest: Any) -> TableSchema:
        found = schema(name, *rest)
        return dataclasses.replace(found, shape=without(name, dict(found.shape)))

    patch.setattr(fingerprint, "_schema", mutant)


def fingerprint_ignores_relations(patch: pytest.MonkeyPatch) -> None:
    """A table is known by its name, not by the relations that it consists of."""

    def without(name: str, shape: dict[str, Any]) -> dict[str, Any]:
        columns = [columns for _, relation, _, columns in shape["relations"] if relation == name]
        return {**shape, "relations": columns}

    _fingerprint(patch, without)


def fingerprint_ignores_values(patch: pytest.MonkeyPatch) -> None:
    """Of columns, the name and the type are known, not what they show by themselves; nor are
    digests compared, which would find most of it."""

    def without(_: str, shape: dict[str, Any]) -> dict[str, Any]:
        relations = [
            (*relation, [column[1:3] for column in columns or ()])
            for *relation, columns in shape["relations"]
        ]
        return {"relations": relations}

    _fingerprint(patch, without)
    patch.setattr(changes, "_agree", lambda *_: True)


def appeared_keys_are_thrown_away(patch: pytest.MonkeyPatch) -> None:
    """Keys that come without a recent row are seen, and open no batch; nor do fingerprints,
    which ignore relations."""
    fingerprint_ignores_relations(patch)
    patch.setattr(changes, "APPEARED", "")


def differences_are_not_healed(patch: pytest.MonkeyPatch) -> None:
    """An audit that finds a difference asks for nothing."""
    patch.setattr(healing, "full_reads_wanted", lambda *_: {})


def quarantine_explains_every_difference(patch: pytest.MonkeyPatch) -> None:
    """Where a row is in quarantine, whatever else differs is put down to it."""
    patch.setattr(
        Audit, "explained", property(lambda self: not self.equal and self.quarantined > 0)
    )


def newest_list_of_currencies_judges(patch: pytest.MonkeyPatch) -> None:
    """A batch is judged by the currencies that are known when it is processed."""

    def mutant(*_: Any) -> Mapping[str, str]:
        return currencies.currencies()

    patch.setattr(process, "_currencies", mutant)


def clock_that_went_back_is_trusted(patch: pytest.MonkeyPatch) -> None:
    """When the host's clock goes back, nothing is due until it has come as far again."""
    look = poll.poll

    def mutant(
        connection: Any, store: Any, cursor: poll.PollCursor, now: dt.datetime, **options: Any
    ) -> poll.Poll:
        return look(connection, store, cursor, max(now, cursor.thorough_at or now), **options)

    patch.setattr(poll, "poll", mutant)


def rebuild_trusts_receipts(patch: pytest.MonkeyPatch) -> None:
    """A rebuild loads whatever the receipts name, and replaces what differs from it."""
    patch.setattr(proof, "process", lambda *_: None)
    patch.setattr(proof.Digests, "require", lambda *_: None)


def absent_keys_are_joined(patch: pytest.MonkeyPatch) -> None:
    """Each key of the warehouse is compared with each range of the source's keys."""
    query = table_load.TableLoader._query
    looked_up = re.compile(r"coalesce\(\s*f\.{key} > .*?TRUE\s*\)", re.DOTALL)
    joined = (
        "NOT EXISTS (SELECT FROM unnest(%s::bigint[], %s::bigint[]) AS ranges (high, low)"
        " WHERE f.{key} BETWEEN low AND high)"
    )

    def mutant(self: Any, statement: str, *parameters: Any, **more: Any) -> Any:
        return query(self, looked_up.sub(joined, statement), *parameters, **more)

    patch.setattr(table_load.TableLoader, "_query", mutant)


def locks_are_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A statement waits for a lock for as long as somebody holds it."""
    for_ever = re.sub(r"lock_timeout TO '\w+'", "lock_timeout TO 0", postgres.LOCAL_SETTINGS)
    assert for_ever != postgres.LOCAL_SETTINGS
    patch.setattr(postgres, "LOCAL_SETTINGS", for_ever)


def answers_are_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A statement waits for its server's answer, whatever became of the server's process."""
    patch.setattr(PatientConnection, "wait", psycopg.Connection.wait)


@dataclass(frozen=True)
class Kind:
    """A kind of trouble: who makes it, and the mistakes that would let it through.

    `why` says why it has no writer or no mutant.
    """

    what: str
    writers: tuple[Callable[..., object], ...]
    mutants: tuple[Mutant, ...]
    why: str = ""


KINDS = (
    Kind(
        "transactions that commit late, have savepoints, are prepared or rolled back",
        (*writers.KINDS,),
        (watermark_is_xmax, capture_reads_committed),
    ),
    Kind(
        "edits that do not touch last_updated, or go there and back",
        (writers.edit_silently, writers.there_and_back, writers.change_reference_data),
        (dimensions_trust_last_updated, facts_are_keyed_by_last_updated),
    ),
    Kind("row security hides rows", (owner.hide_rows,), (row_security_hides_rows,)),
    Kind(
        "something else in the place of a table",
        (owner.put_a_view_in_its_place,),
        (),
        "no mutant: a view has no xmin, so PostgreSQL refuses where the platform does not",
    ),
    Kind(
        "partitions attached, detached, swapped; inheritance",
        (owner.attach_or_detach, owner.swap_partitions, owner.inherit_or_not),
        (fingerprint_ignores_relations, appeared_keys_are_thrown_away),
    ),
    Kind("a table swapped by a rename", (owner.swap_tables,), (fingerprint_ignores_relations,)),
    Kind(
        "a column replaced, another expression, label or type",
        (
            owner.replace_column,
            owner.change_expression,
            owner.rename_label,
            owner.retype_quantity,
        ),
        (fingerprint_ignores_values,),
    ),
    Kind(
        "a table emptied and loaded again, or only rewritten",
        (owner.empty_and_load_again, owner.only_rewrite),
        (),
        "no mutant: all rows are recent in the former, and to read the latter in full costs time"
        " only",
    ),
    Kind(
        "commits lost in a crash, their ids handed out again",
        (Torture._crash_server,),
        (),
        "no mutant: what a capture overlooks of it differs in the audit of its batch, and the next"
        " heals it; ingestion/histories holds what a capture must see",
    ),
    Kind(
        "a failover, a server behind the same address, a replica that lags",
        (),
        (),
        "no writer: it needs several servers; ingestion/histories has them",
    ),
    Kind(
        "sessions of others: poolers, presets of roles, functions and casts of the owner",
        (),
        (),
        "no writer: each needs a server or a role of its own; postgres/test_pooler.py,"
        " postgres/test_faults.py, session_settings.py and ingestion/test_json_lines.py have them",
    ),
    Kind(
        "rows of the warehouse changed by hand",
        (Torture._change_by_hand,),
        (differences_are_not_healed,),
    ),
    Kind(
        "rows changed by hand beside one in quarantine",
        (writers.spoil, writers.mend, Torture._leave_something),
        (quarantine_explains_every_difference,),
    ),
    Kind(
        "values of columns that no star takes",
        (owner.retype_accounts, writers.change_reference_data),
        (contracts_ask_for_every_column,),
    ),
    Kind(
        "withdrawn currencies, and another list of them",
        (writers.change_reference_data, Torture.run),
        (newest_list_of_currencies_judges,),
    ),
    Kind(
        "a store that does not keep put-if-absent",
        (Torture._race,),
        (manifest_is_overwritten,),
    ),
    Kind(
        "the host's clock jumps",
        (Torture._jump, Torture._leave_something),
        (clock_that_went_back_is_trusted,),
    ),
    Kind(
        "batches loaded twice, and loads that die half-way",
        (Torture._reload, Torture._step),
        (no_ledger, every_table_commits),
    ),
    Kind(
        "an object of the processed zone that somebody forged",
        (judge.forge,),
        (rebuild_trusts_receipts,),
    ),
    Kind(
        "rows in their thousands",
        (plans.grow,),
        (absent_keys_are_joined,),
    ),
    Kind(
        "a table that somebody holds",
        (standstill.hold_a_table,),
        (locks_are_waited_for,),
    ),
    Kind(
        "a server process that is stopped",
        (standstill.stop_a_session,),
        (answers_are_waited_for,),
    ),
    Kind(
        "a value of hundreds of megabytes",
        (),
        (),
        "no writer: the log of the oracle would hold each version; ingestion/test_large_rows.py has"
        " them",
    ),
    Kind(
        "orders placed, paid, edited, deleted",
        (
            writers.place_sale,
            writers.receive_payments,
            writers.edit_and_say_so,
            writers.delete_order,
        ),
        (),
        "no mutant of its own: this is what all others are done to",
    ),
)
MUTANTS: tuple[Mutant, ...] = tuple(
    dict.fromkeys(mutant for kind in KINDS for mutant in kind.mutants)
)


def writers_for(mutant: Mutant) -> set[Callable[..., object]]:
    """Who makes the kinds of trouble that a mutant would let through."""
    return {writer for kind in KINDS if mutant in kind.mutants for writer in kind.writers}


# Caught by what is left for the end, whatever happened before.
CAUGHT_AT_THE_END: tuple[Mutant, ...] = (
    differences_are_not_healed,
    quarantine_explains_every_difference,
    clock_that_went_back_is_trusted,
    rebuild_trusts_receipts,
)
# Caught by the rows that a statement goes through, as the result is right.
CAUGHT_BY_ROWS_READ: tuple[Mutant, ...] = (absent_keys_are_joined,)
# Caught by a step that does not end, by the trouble that it waits for.
CAUGHT_BY_WAITING: dict[Mutant, standstill.Trouble] = {
    locks_are_waited_for: standstill.hold_a_table,
    answers_are_waited_for: standstill.stop_a_session,
}
# Caught only where tables are taken for large ones, which are not looked at in each batch.
OF_LARGE_TABLES: tuple[Mutant, ...] = (clock_that_went_back_is_trusted,)
