"""Conditions on item columns, `{"column": "year", "op": ">=", "value": 1990}`: checked against the schema, then polars.

Nothing is parsed out of text, so nothing has to be quoted and nothing can be smuggled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from recsys.data.schema import ColumnType, WorkspaceSchema
from recsys.errors import DataError

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "lacks"]
Scalar = str | int | float
Part = Literal["column", "op", "value"]

OPERATORS: Mapping[ColumnType, tuple[Operator, ...]] = {
    "categorical": ("=", "!=", "in", "not in"),
    "numeric": ("=", "!=", "<", "<=", ">", ">=", "in", "not in"),
    "list": ("contains", "lacks"),
    "text": ("=", "!=", "contains", "lacks"),
}
_SEVERAL = ("in", "not in")
_COMPARED: Mapping[Operator, Callable[[pl.Expr, Scalar], pl.Expr]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


class ConditionError(DataError):
    """A condition that does not fit the schema: `part` is what is wrong with it, `number` its place among several."""

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part = part
        self.number = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on one item column.

    Attributes:
        column: an item column of the schema.
        op: one of the operators that its type has (`OPERATORS`). Text is searched without regard to case.
        value: a number for numeric columns, else text; a tuple of them for `in` and `not in`.
    """

    column: str
    op: Operator
    value: Scalar | tuple[Scalar, ...]

    def expression(self, schema: WorkspaceSchema) -> pl.Expr:
        """Boolean, never null, over an items frame. An item whose value is not known meets no condition.

        Raises:
            ConditionError: the column does not exist, or operator or value do not fit its type.
        """
        kind = schema.item_columns.get(self.column)
        if kind is None:
            known = ", ".join(schema.item_columns) or "none"
            raise ConditionError("column", f"There is no such item column; this workspace has: {known}.")
        if self.op not in OPERATORS[kind]:
            raise ConditionError("op", f"This column is {kind}; what can be asked of it: {', '.join(OPERATORS[kind])}.")
        values = [_typed(value, kind) for value in self._values()]
        return self._asked(pl.col(self.column), kind, values).fill_null(value=False)

    def _values(self) -> Sequence[Scalar]:
        several = isinstance(self.value, tuple)
        if several != (self.op in _SEVERAL):
            wanted = "a list of values" if self.op in _SEVERAL else "one value, not a list"
            raise ConditionError("value", f"'{self.op}' takes {wanted}.")
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def _asked(self, column: pl.Expr, kind: ColumnType, values: Sequence[Scalar]) -> pl.Expr:
        if self.op in _SEVERAL:
            among = column.is_in(list(values))
            return among if self.op == "in" else ~among
        if self.op in ("contains", "lacks"):
            holds = _holds(column, kind, str(values[0]))
            return holds if self.op == "contains" else ~holds
        return _COMPARED[self.op](column, values[0])


def all_of(conditions: Sequence[Condition], schema: WorkspaceSchema) -> pl.Expr:
    """Boolean, never null: which items meet every condition; no condition is met by all.

    Raises:
        ConditionError: see `Condition.expression`; of the first that does not fit.
    """
    met = pl.lit(value=True)
    for number, condition in enumerate(conditions):
        try:
            met &= condition.expression(schema)
        except ConditionError as error:
            error.number = number
            raise
    return met


def _holds(column: pl.Expr, kind: ColumnType, value: str) -> pl.Expr:
    if kind == "list":
        return column.list.contains(value)
    return column.str.to_lowercase().str.contains(value.lower(), literal=True)


def _typed(value: Scalar, kind: ColumnType) -> Scalar:
    if kind == "numeric":
        if isinstance(value, str):
            raise ConditionError("value", "This column is numeric: send a number.")
        try:
            return float(value)
        except OverflowError:
            raise ConditionError("value", "This number is too large.") from None
    if not isinstance(value, str):
        raise ConditionError("value", f"This column is {kind}: send text.")
    return value
