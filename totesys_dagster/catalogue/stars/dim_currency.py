from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from totesys_dagster.catalogue.model import Kind, StarTable, Type
from totesys_dagster.catalogue.star_columns import carry, compute

if TYPE_CHECKING:
    import pandas as pd


def currency_name(codes: pd.Series, currencies: Mapping[str, str]) -> pd.Series:
    """The name that ISO 4217 gives to a code: `currencies` has it for each."""
    return codes.map(currencies)


TABLE = StarTable(
    "dim_currency",
    Kind.DIMENSION,
    "Currencies of orders and payments.",
    base="currency",
    columns=(
        carry("currency.currency_id"),
        carry("currency.currency_code", description="ISO 4217 code, such as GBP."),
        compute(
            "currency_name",
            Type.TEXT,
            "ISO 4217 name of the currency, such as Pound Sterling.",
            currency_name,
            ("currency.currency_code",),
            currencies=True,
        ),
    ),
)
