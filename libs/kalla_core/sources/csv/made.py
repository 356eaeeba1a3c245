"""Columns that a source has because its `format` asks for them: its rows' numbers, signed amounts.

They are made of what was parsed, exactly. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidFormat, UnknownColumn
from kalla_core.recipe.column_types import (
    INTEGER_DIGITS,
    MAX_DECIMAL128_DIGITS,
    MAX_DECIMAL_DIGITS,
    decimal_type,
)
from kalla_core.recipe.nearest import suggestion
from kalla_core.recipe.source_format import DebitSign, SignedAmount, SourceFormat

Numbers = npt.NDArray[np.int64]
_DEFAULT = pa.decimal128(18, 2)


@dataclass(frozen=True, slots=True)
class MadeColumns:
    """Which columns are made.

    Attributes:
        row_number: the name of the column that counts rows from 1; it stands first.
        amount: what the signed column, which stands last, is made of.
    """

    row_number: str | None = None
    amount: SignedAmount | None = None

    @staticmethod
    def of(found: SourceFormat) -> MadeColumns:
        """Return what a format asks for."""
        return MadeColumns(found.row_number, found.amount)

    def check(self, columns: Collection[str], types: Mapping[str, str]) -> None:
        """Check that the columns that are made fit those of the source.

        Args:
            columns: of the source as it is written.
            types: the recipe's.

        Raises:
            InvalidFormat: a name that is taken already, or given a type.
            UnknownColumn: credits or debits that are not there.
        """
        amount = self.amount
        names = [self.row_number, None if amount is None else amount.name]
        for field, name in zip(("row_number", "amount"), names, strict=True):
            if name is not None and (name in columns or names.count(name) > 1):
                raise InvalidFormat(
                    f"`{field}` makes a column `{name}`, and there is one already.", field=field
                )
            if name in types:
                raise InvalidFormat(
                    f"`{name}` is made by `{field}` and has its type by that, not by `types`.",
                    field=field,
                )
        for name in () if amount is None else (amount.credit, amount.debit):
            if name not in columns:
                raise UnknownColumn(
                    f"`amount` is made of the column `{name}`, which is not there."
                    f" {suggestion(name, columns)}",
                    column=name,
                )

    def schema(self, written: pa.Schema, reasons: Mapping[str, str]) -> pa.Schema:
        """Return the schema with the columns that are made.

        Args:
            written: the columns of the source as it is written.
            reasons: why a column is text.

        Raises:
            InvalidFormat: credits or debits that are no exact numbers.
        """
        fields = list(written)
        if self.row_number is not None:
            fields.insert(0, pa.field(self.row_number, pa.int64()))
        if self.amount is not None:
            columns = (self.amount.credit, self.amount.debit)
            types = [written.field(name).type for name in columns]
            for name, one in zip(columns, types, strict=True):
                _demand_number(name, one, reasons)
            fields.append(pa.field(self.amount.name, _signed_type(types)))
        return pa.schema(fields)

    def inputs(self, wanted: Collection[str]) -> tuple[str, ...]:
        """Return the columns that have to be read to make those among the wanted."""
        if self.amount is None or self.amount.name not in wanted:
            return ()
        return (self.amount.credit, self.amount.debit)

    def added(self, batch: pa.RecordBatch, schema: pa.Schema, numbers: Numbers) -> pa.RecordBatch:
        """Return rows with the columns that are made, as far as the schema has them.

        Args:
            batch: what was parsed, the inputs among it where a file has them.
            schema: what is wanted.
            numbers: of the rows.
        """
        if self.row_number is not None and self.row_number in schema.names:
            batch = batch.append_column(self.row_number, pa.array(numbers, pa.int64()))
        if self.amount is not None and self.amount.name in schema.names:
            wanted = schema.field(self.amount.name).type
            batch = batch.append_column(self.amount.name, _signed(batch, self.amount, wanted))
        return batch


def debit_remedy(amount: SignedAmount, debits: pa.Array) -> str:
    """Return what to say where all debits, as `-12.5`, are negative, and nobody said why."""
    if amount.debit_sign is not None:
        return ""
    some = debits.filter(pc.fill_null(pc.match_substring_regex(debits, "[1-9]"), False))
    if not len(some) or not pc.all(pc.starts_with(some, "-")).as_py():
        return ""
    return (
        f"`{amount.debit}`, of which `amount` is made, holds nothing but negative numbers. Say in"
        ' `amount` whether those go out ("debit_sign": "minus") or were taken back'
        ' ("debit_sign": "plus").'
    )


def _demand_number(name: str, found: pa.DataType, reasons: Mapping[str, str]) -> None:
    types = pa.types
    if types.is_integer(found) or types.is_decimal(found) or types.is_null(found):
        return
    why = f" {reasons[name]}" if name in reasons else ""
    what = "approximate" if types.is_floating(found) else "no number"
    raise InvalidFormat(
        f"`amount` is made of the column `{name}`, which is {what}.{why}", field="amount"
    )


def _signed_type(types: Collection[pa.DataType]) -> pa.DataType:
    """Return a type that holds every difference of two values of such types."""
    known = [one for one in types if not pa.types.is_null(one)]
    if not known:
        return _DEFAULT
    scale = max(_digits(one)[1] for one in known)
    precision = max(before for before, _ in map(_digits, known)) + 1 + scale
    if precision == MAX_DECIMAL128_DIGITS:
        precision += 1  # Arrow gives a difference of decimals one digit more, and there is none
    if precision >= MAX_DECIMAL_DIGITS:
        raise InvalidFormat(
            f"`amount` would have {precision} digits, and decimals have fewer than"
            f" {MAX_DECIMAL_DIGITS} here; `types` may give its columns less.",
            field="amount",
        )
    return decimal_type(precision, scale)


def _digits(found: pa.DataType) -> tuple[int, int]:
    if pa.types.is_integer(found):
        return INTEGER_DIGITS[found], 0
    return found.precision - found.scale, found.scale


def _signed(batch: pa.RecordBatch, amount: SignedAmount, wanted: pa.DataType) -> pa.Array:
    credit, debit = (_column(batch, name, wanted) for name in (amount.credit, amount.debit))
    zero = pa.scalar(Decimal(0)).cast(wanted)
    both = (pc.coalesce(credit, zero), pc.coalesce(debit, zero))
    added = amount.debit_sign is DebitSign.MINUS
    total = pc.add_checked(*both) if added else pc.subtract_checked(*both)
    known = pc.or_(credit.is_valid(), debit.is_valid())
    return pc.if_else(known, pc.cast(total, wanted), pa.scalar(None, wanted))


def _column(batch: pa.RecordBatch, name: str, wanted: pa.DataType) -> pa.Array:
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, wanted)
    return pc.cast(batch.column(name), wanted)
