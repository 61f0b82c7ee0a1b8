"""A ToteSys that behaves like the real business: two years of history, then one day after another.

The figures are those of the real system, the rows are fiction. What a reader of the source has to
survive is kept: edits that leave `last_updated` as it was, orders that go from A to B and back to
A, keys out of the order of time, rows that an update has moved, and a payment run that changes many
rows in one statement. Time and chance are passed in, so one seed always gives the same rows.

Each function that takes a connection commits its own work through `connection.transaction()`.
Pass an autocommit connection: in any other mode a first SELECT opens a transaction that turns
those commits into savepoints.
"""

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias, TypeVar

from psycopg import Connection, sql

from totesys_simulator import vocabulary
from totesys_simulator.vocabulary import (
    DAY,
    SILENTLY_EDITED,
    Design,
    Order,
    Payment,
    Purchase,
    References,
    Row,
    Sale,
    Transaction,
    edit_choices,
    new_design,
    new_purchase,
    new_sale,
    payment_of,
    transaction_of,
)

__all__ = ["DayOfBusiness", "business_day", "business_moment", "create_source", "fill_history"]

# The size of the real source after two years, and its pace.
HISTORY_DAYS = 532
SALES, SALES_A_DAY = 11_187, 21
PURCHASES, PURCHASES_A_DAY = 4_649, 9
DESIGNS, OPENING_DESIGNS = 473, 10
OPENING_BURST = 5  # orders of each kind within the very first minute: their keys came out shuffled
HISTORY_EDITS = HISTORY_DAYS  # one silent edit a day was found in the real data;
SINGLE_EDITS_A_DAY = 10  # a live day has more, for there should be something to see

SET_UP, PAYMENT_RUN, OPENS = time(7, 30), time(7, 55), time(8)
MINUTES_OPEN = 11 * 60
SATURDAY = 5
MILLISECOND = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)
T = TypeVar("T")


class Arrival(NamedTuple):
    """An order and the moment when its rows were written, which its timestamps do not tell."""

    written: datetime
    order: Order


class Edit(NamedTuple):
    """One value of one row, changed in place."""

    table: str
    key: int
    column: str
    before: Any
    after: Any


@dataclass(frozen=True)
class DayOfBusiness:
    """How much of what one simulated day committed."""

    day: date
    payments_received: int
    sales: int
    purchases: int
    silent_edits: int  # of orders; A -> B -> A is two of them
    designs_added: int
    design_edits: int  # silent, too
    orders_deleted: int  # of earlier days
    staff_moves: int
    department_edits: int
    address_edits: int


# What callers use


def create_source(connection: Connection) -> None:
    """Create ToteSys's tables, as its own application does.

    `connection` is in autocommit mode and its user owns the database, whose `public` schema is
    empty; otherwise psycopg raises DuplicateObject or DuplicateTable and nothing has changed.
    """
    with connection.transaction():
        connection.execute(Path(__file__).with_name("source.sql").read_bytes())


def fill_history(connection: Connection, *, last_day: date, seed: int = 2022) -> None:
    """Fill an empty source with two years of business, at the size of the real one, in one commit.

    `connection` is in autocommit mode. The newest orders are of `last_day`, or of the Friday before
    it when it is at a weekend. The same `last_day` and `seed` give the same rows. The sequences go
    on after the last keys. If the source has rows already, psycopg raises UniqueViolation and the
    source stays as it was.
    """
    rng = Random(seed)  # nosec B311 # chance, not a secret
    days = _weekdays_up_to(last_day, HISTORY_DAYS)
    set_up = _moment(rng, days[0], SET_UP)
    designs = _design_history(rng, days, set_up)
    arrivals = _order_history(rng, days, designs)
    with connection.transaction():
        for table, (columns, rows) in vocabulary.REFERENCE_TABLES.items():
            stamped = [(*row, set_up, set_up) for row in rows]
            _copy(connection, table, (*columns, "created_at", "last_updated"), _numbered(stamped))
        _copy(connection, "design", Design._fields, _numbered(designs))
        _copy_orders(connection, rng, arrivals, designs, days)


def business_day(
    connection: Connection, day: date | None = None, *, seed: int | None = None
) -> DayOfBusiness:
    """Let a working day happen in a filled source, in some fifty commits, and return the counts.

    `connection` is in autocommit mode. `day` is by default the weekday after the newest order; a
    Saturday or Sunday raises ValueError, a source without orders LookupError. What happens follows
    from `seed`, by default from the day.
    """
    day = day or _next_business_day(connection)
    if day.weekday() >= SATURDAY:
        raise ValueError(f"ToteSys is closed on {day:%Y-%m-%d}, a weekend: name a weekday.")
    rng = Random(day.toordinal() if seed is None else seed)  # nosec B311 # not a secret
    at = _working_moment(rng, day)

    # One of an earlier day, which a reader of whole days has seen.
    _delete_order(connection, rng, at)
    received = _run_payments(connection, _moment(rng, day, PAYMENT_RUN))
    designs_added = rng.randint(1, 2)
    for _ in range(designs_added):
        _add_design(connection, rng, _working_moment(rng, day))
    references = _read_references(connection)
    there = _edit_order(connection, rng, at, references)
    arrivals = _day_of_orders(rng, day, references)
    for arrival in arrivals:
        _enter_order(connection, rng, arrival.order)
    for _ in range(SINGLE_EDITS_A_DAY):
        _edit_order(connection, rng, at, references)
    # And back: only a reader who came by in between can know that there was something else.
    with connection.transaction():
        _update(connection, there.table, there.key, {there.column: there.before})
    _edit_design(connection, rng, at)

    sales = sum(isinstance(arrival.order, Sale) for arrival in arrivals)
    return DayOfBusiness(
        day=day,
        payments_received=received,
        sales=sales,
        purchases=len(arrivals) - sales,
        silent_edits=SINGLE_EDITS_A_DAY + 2,
        designs_added=designs_added,
        design_edits=1,
        orders_deleted=1,
        staff_moves=_perhaps(_move_staff, 4, connection, rng, at),
        department_edits=_perhaps(_edit_department, 8, connection, rng, at),
        address_edits=_perhaps(_edit_address, 8, connection, rng, at),
    )


def business_moment(connection: Connection, rng: Random, now: datetime) -> str:
    """Let one small thing happen in a filled source at `now` and return a sentence about it.

    `connection` is in autocommit mode; the change is committed on return. An aware `now` is stored
    as UTC, a naive one as it is, both cut off below the millisecond. It should not be before the
    newest order, or an edit may agree on a delivery before its order. Most often an order comes in.
    The sentence names rows by their keys and no person.
    """
    if now.tzinfo is not None:
        now = now.astimezone(UTC).replace(tzinfo=None)
    [event] = rng.choices(list(_LIVE_EVENTS), list(_LIVE_EVENTS.values()))
    return event(connection, rng, now.replace(microsecond=now.microsecond // 1000 * 1000))


# Time


def _moment(rng: Random, day: date, minute: time) -> datetime:
    """When the application acts on `minute`: its timer fires some ten seconds late, as measured,
    which puts about one timestamp in six hundred on a whole second."""
    late = int(rng.triangular(9_620, 10_750, 9_850))
    return datetime.combine(day, minute) + late * MILLISECOND


def _working_moment(rng: Random, day: date) -> datetime:
    return _moment(rng, day, OPENS) + rng.randrange(MINUTES_OPEN) * MINUTE


def _arrival(
    rng: Random,
    make: Callable[[Random, datetime, References], Order],
    tick: datetime,
    references: References,
) -> Arrival:
    """An order that a tick of the timer set off. What one tick sets off overlaps within
    milliseconds, and one transaction in three hundred waits for minutes before it writes."""
    created = tick + rng.randrange(8) * MILLISECOND
    wait = rng.randrange(8) * MILLISECOND if rng.randrange(300) else rng.randrange(30) * MINUTE
    return Arrival(created + wait, make(rng, created, references))


# History: made, then copied


def _weekdays_up_to(last_day: date, count: int) -> list[date]:
    """The last `count` weekdays that are not after `last_day`, oldest first."""
    backwards = (last_day - ago * DAY for ago in itertools.count())
    weekdays = (day for day in backwards if day.weekday() < SATURDAY)
    return list(itertools.islice(weekdays, count))[::-1]


def _references_at(moment: datetime, designs: Sequence[Design]) -> References:
    """What could be referred to at a `moment` of the past, when the designs were fewer."""
    return References(
        design=range(1, bisect_right(designs, moment, key=attrgetter("created_at")) + 1),
        staff=range(1, len(vocabulary.STAFF) + 1),
        counterparty=range(1, len(vocabulary.COUNTERPARTIES) + 1),
        currency=range(1, len(vocabulary.CURRENCIES) + 1),
        address=range(1, len(vocabulary.ADDRESSES) + 1),
    )


def _design_history(rng: Random, days: Sequence[date], set_up: datetime) -> list[Design]:
    """All designs in the order of time: a few to begin with, the others spread over the days."""
    later = [_working_moment(rng, rng.choice(days)) for _ in range(DESIGNS - OPENING_DESIGNS)]
    return [new_design(rng, at) for at in [set_up] * OPENING_DESIGNS + sorted(later)]


def _order_history(rng: Random, days: Sequence[date], designs: Sequence[Design]) -> list[Arrival]:
    """All orders as first entered, in the order of their writing. A minute brings one order of
    each kind at most, except the very first."""
    minutes = range(len(days) * MINUTES_OPEN)
    due = [
        (minute, make)
        for make, total in ((new_sale, SALES), (new_purchase, PURCHASES))
        for minute in [0] * OPENING_BURST + rng.sample(minutes, total - OPENING_BURST)
    ]
    ticks: dict[int, datetime] = {}
    arrivals = []
    for minute, make in sorted(due, key=lambda item: item[0]):
        day, since_opening = divmod(minute, MINUTES_OPEN)
        tick = ticks.setdefault(minute, _moment(rng, days[day], OPENS) + since_opening * MINUTE)
        arrivals.append(_arrival(rng, make, tick, _references_at(tick, designs)))
    return sorted(arrivals, key=attrgetter("written"))


def _edit_history(
    rng: Random, table: str, orders: dict[int, Order], designs: Sequence[Design], closing: datetime
) -> None:
    """Do to `orders`, by key, what half of two years' silent edits did."""
    for _ in range(HISTORY_EDITS // 2):
        order_id = rng.randint(1, len(orders))
        order = orders.pop(order_id)
        at = order.created_at + rng.random() * (closing - order.created_at)
        column = rng.choice(SILENTLY_EDITED[table])
        choices = edit_choices(rng, column, at, _references_at(at, designs))
        value = rng.choice([choice for choice in choices if choice != getattr(order, column)])
        # An update moves a row to the end of its table; this moves it to the end of the dict.
        orders[order_id] = order._replace(**{column: value})


def _payment_history(
    rng: Random, entered: Mapping[int, tuple[int, Arrival]], days: Sequence[date]
) -> dict[int, Payment]:
    """The payments by key, of (transaction, arrival) by key. The run of each weekday's morning paid
    what was due that day and known by then: never what is due at a weekend or on the day of the
    order itself."""
    runs = {day.isoformat(): _moment(rng, day, PAYMENT_RUN) for day in days}
    payments = {}
    for payment_id, (transaction_id, (_, order)) in entered.items():
        run = runs.get(order.agreed_payment_date)
        paid_at = run if run and run > order.created_at else None
        payments[payment_id] = payment_of(rng, order, transaction_id, paid_at)
    return dict(sorted(payments.items(), key=lambda item: item[1].last_updated))


def _overlapping(
    rng: Random, rows: Iterable[tuple[int, Arrival]]
) -> dict[int, tuple[int, Arrival]]:
    """Number rows as concurrent transactions draw keys: nearly in the order of their writing."""
    return _numbered(sorted(rows, key=lambda row: row[1].written + rng.randrange(8) * MILLISECOND))


def _copy_orders(
    connection: Connection,
    rng: Random,
    arrivals: Sequence[Arrival],
    designs: Sequence[Design],
    days: Sequence[date],
) -> None:
    """Write the orders with their edits, then a transaction and a payment for each arrival."""
    closing = datetime.combine(days[-1], OPENS) + MINUTES_OPEN * MINUTE
    entered: list[tuple[int, Arrival]] = []
    for table, kind in (("sales_order", Sale), ("purchase_order", Purchase)):
        of_kind = _numbered([arrival for arrival in arrivals if isinstance(arrival.order, kind)])
        entered += of_kind.items()
        orders = {order_id: arrival.order for order_id, arrival in of_kind.items()}
        _edit_history(rng, table, orders, designs, closing)
        _copy(connection, table, kind._fields, orders)
    by_transaction = _overlapping(rng, entered)
    transactions = {
        transaction_id: transaction_of(arrival.order, order_id)
        for transaction_id, (order_id, arrival) in by_transaction.items()
    }
    _copy(connection, "transaction", Transaction._fields, transactions)
    by_payment = _overlapping(rng, ((key, row[1]) for key, row in by_transaction.items()))
    _copy(connection, "payment", Payment._fields, _payment_history(rng, by_payment, days))


# Live business: each event commits by itself and says what it was


def _next_business_day(connection: Connection) -> date:
    [(newest,)] = connection.execute(
        "SELECT max(created_at)::date"
        " FROM (SELECT created_at FROM sales_order UNION ALL SELECT created_at FROM purchase_order)"
        " AS entered"
    )
    if newest is None:
        raise LookupError("The source has no orders yet: fill its history first.")
    day: date = newest + DAY
    while day.weekday() >= SATURDAY:
        day += DAY
    return day


def _day_of_orders(rng: Random, day: date, references: References) -> list[Arrival]:
    """The orders of one day in the order of their writing. Each minute may bring one of a kind."""
    arrivals = []
    for minute in range(MINUTES_OPEN):
        tick = _moment(rng, day, OPENS) + minute * MINUTE
        for make, a_day in ((new_sale, SALES_A_DAY), (new_purchase, PURCHASES_A_DAY)):
            if rng.randrange(MINUTES_OPEN) < a_day:
                arrivals.append(_arrival(rng, make, tick, references))
    return sorted(arrivals, key=attrgetter("written"))


def _enter_order(connection: Connection, rng: Random, order: Order) -> int:
    """Insert an order with its transaction and payment, all in one commit; return its key."""
    table = "sales_order" if isinstance(order, Sale) else "purchase_order"
    with connection.transaction():
        order_id = _insert(connection, table, order)
        transaction_id = _insert(connection, "transaction", transaction_of(order, order_id))
        _insert(connection, "payment", payment_of(rng, order, transaction_id))
    return order_id


def _run_payments(connection: Connection, at: datetime) -> int:
    """Mark as paid, in one statement, what is due on the day of `at` and was known before it."""
    with connection.transaction():
        return connection.execute(
            "UPDATE payment SET paid = true, last_updated = %(at)s"
            " WHERE NOT paid AND payment_date = %(due)s AND created_at < %(at)s",
            {"at": at, "due": at.date().isoformat()},
        ).rowcount


def _edit_any(
    connection: Connection,
    rng: Random,
    table: str,
    column: str,
    choices: Iterable[Any],
    last_updated: datetime | None = None,
) -> Edit:
    """Give any row of `table` another of the `choices` in `column`. Without `last_updated` the edit
    is silent. LookupError when the table is empty."""
    pick = sql.SQL(
        "SELECT {key}, {column} FROM {table}"
        " WHERE {key} >= (SELECT ceil(max({key}) * %s)::integer FROM {table})"
        " ORDER BY {key} LIMIT 1"
    ).format(
        key=sql.Identifier(_key(table)),
        column=sql.Identifier(column),
        table=sql.Identifier(table),
    )
    with connection.transaction():
        row = connection.execute(pick, [rng.random()]).fetchone()
        if row is None:
            raise LookupError(f"The source has no {table}: fill its history first.")
        key, before = row
        after = rng.choice([choice for choice in choices if choice != before])
        stamp = {"last_updated": last_updated} if last_updated else {}
        _update(connection, table, key, {column: after, **stamp})
    return Edit(table, key, column, before, after)


def _edit_order(connection: Connection, rng: Random, at: datetime, references: References) -> Edit:
    """Change one value of any order, old or new, and leave its `last_updated`."""
    table = rng.choice(list(SILENTLY_EDITED))
    column = rng.choice(SILENTLY_EDITED[table])
    return _edit_any(connection, rng, table, column, edit_choices(rng, column, at, references))


def _perhaps(
    event: "LiveEvent", one_in: int, connection: Connection, rng: Random, at: datetime
) -> int:
    """Let `event` happen once in `one_in` times; return how often it did, 0 or 1."""
    if rng.randrange(one_in):
        return 0
    event(connection, rng, at)
    return 1


def _sell(connection: Connection, rng: Random, at: datetime) -> str:
    sale = new_sale(rng, at, _read_references(connection))
    key = _enter_order(connection, rng, sale)
    price = f"{sale.unit_price} {vocabulary.CURRENCIES[sale.currency_id - 1]}"
    return (
        f"Sales order {key} came in: {sale.units_sold:,} units of design {sale.design_id}"
        f" at {price} for counterparty {sale.counterparty_id}."
    )


def _buy(connection: Connection, rng: Random, at: datetime) -> str:
    purchase = new_purchase(rng, at, _read_references(connection))
    key = _enter_order(connection, rng, purchase)
    price = f"{purchase.item_unit_price} {vocabulary.CURRENCIES[purchase.currency_id - 1]}"
    return (
        f"Purchase order {key} went out: {purchase.item_quantity:,} of item {purchase.item_code}"
        f" at {price} from counterparty {purchase.counterparty_id}."
    )


def _edit_silently(connection: Connection, rng: Random, at: datetime) -> str:
    edit = _edit_order(connection, rng, at, _read_references(connection))
    return (
        f"{edit.table.capitalize().replace('_', ' ')} {edit.key} was edited without a trace:"
        f" {edit.column} {edit.before} became {edit.after}."
    )


def _receive_payment(connection: Connection, rng: Random, at: datetime) -> str:
    """A payment that was due in the last five working days comes in, or a sale if none is open."""
    recent = [day.isoformat() for day in _weekdays_up_to(at.date(), 5)]
    with connection.transaction():
        unpaid = connection.execute(
            "SELECT payment_id, payment_date FROM payment"
            " WHERE NOT paid AND payment_date = ANY(%s) AND created_at < %s ORDER BY payment_id",
            [recent, at],
        ).fetchall()
        if unpaid:
            key, due = rng.choice(unpaid)
            _update(connection, "payment", key, {"paid": True, "last_updated": at})
            return f"Payment {key}, due on {due}, was received."
    return _sell(connection, rng, at)


def _add_design(connection: Connection, rng: Random, at: datetime) -> str:
    design = new_design(rng, at)
    with connection.transaction():
        key = _insert(connection, "design", design)
    return f"Design {key}, {design.design_name}, was added."


def _edit_design(connection: Connection, rng: Random, _: datetime) -> str:
    edit = _edit_any(connection, rng, "design", "file_location", vocabulary.FILE_LOCATIONS)
    return f"The file of design {edit.key} moved to {edit.after} without a trace."


def _move_staff(connection: Connection, rng: Random, at: datetime) -> str:
    departments = _read_keys(connection, "department")
    edit = _edit_any(connection, rng, "staff", "department_id", departments, at)
    return f"Staff member {edit.key} moved to department {edit.after}."


def _edit_department(connection: Connection, rng: Random, at: datetime) -> str:
    edit = _edit_any(connection, rng, "department", "location", vocabulary.LOCATIONS, at)
    return f"Department {edit.key} moved to {edit.after}."


def _edit_address(connection: Connection, rng: Random, at: datetime) -> str:
    lines = vocabulary.ADDRESS_SECOND_LINES
    edit = _edit_any(connection, rng, "address", "address_line_2", lines, at)
    return f"The second line of address {edit.key} is now {edit.after or 'empty'}."


def _delete_order(connection: Connection, rng: Random, _: datetime) -> str:
    """Delete one of the fifty newest orders, with its transaction and payment, in one commit."""
    with connection.transaction():
        recent = connection.execute(
            "SELECT transaction_id, sales_order_id, purchase_order_id FROM transaction"
            " ORDER BY transaction_id DESC LIMIT 50"
        ).fetchall()
        transaction_id, sale_id, purchase_id = rng.choice(recent)
        connection.execute("DELETE FROM payment WHERE transaction_id = %s", [transaction_id])
        connection.execute("DELETE FROM transaction WHERE transaction_id = %s", [transaction_id])
        connection.execute("DELETE FROM sales_order WHERE sales_order_id = %s", [sale_id])
        connection.execute("DELETE FROM purchase_order WHERE purchase_order_id = %s", [purchase_id])
    kind = "Sales" if sale_id else "Purchase"
    return f"{kind} order {sale_id or purchase_id} was deleted, with its payment."


LiveEvent: TypeAlias = Callable[[Connection, Random, datetime], str]

# How often each happens, in a hundred.
_LIVE_EVENTS: Mapping[LiveEvent, int] = {
    _sell: 46,
    _buy: 19,
    _edit_silently: 14,
    _receive_payment: 10,
    _add_design: 4,
    _move_staff: 3,
    _edit_design: 2,
    _delete_order: 2,
}


# Single statements, part of the transaction around them


def _numbered(rows: Iterable[T]) -> dict[int, T]:
    """Rows by key, as a sequence that starts at 1 gives keys."""
    return dict(enumerate(rows, start=1))


def _key(table: str) -> str:
    return f"{table}_id"


def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Mapping[int, Sequence[object]]
) -> None:
    """Write `rows`, by key, in their order, and let the table's sequence go on after them."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, (_key(table), *columns)))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for key, row in rows.items():
            copy.write_row((key, *row))
    connection.execute(
        "SELECT setval(pg_get_serial_sequence(%s, %s), %s)", (table, _key(table), max(rows))
    )


def _insert(connection: Connection, table: str, row: Row) -> int:
    """Insert one row and return the key that it was given."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row._fields)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
        sql.Identifier(_key(table)),
    )
    [(key,)] = connection.execute(statement, row)
    return int(key)


def _update(connection: Connection, table: str, key: int, changes: Mapping[str, Any]) -> None:
    """Change one row. The edit is silent unless `last_updated` is among the changes."""
    statement = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in changes),
        sql.Identifier(_key(table)),
    )
    connection.execute(statement, (*changes.values(), key))


def _read_keys(connection: Connection, table: str) -> list[int]:
    statement = sql.SQL("SELECT {key} FROM {table} ORDER BY {key}").format(
        key=sql.Identifier(_key(table)), table=sql.Identifier(table)
    )
    return [key for (key,) in connection.execute(statement)]


def _read_references(connection: Connection) -> References:
    return References(*(_read_keys(connection, table) for table in References._fields))
