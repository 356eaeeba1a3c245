"""The keys of the rows of both sides, and numbers for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from datafusion import col

from kalla_core.engine.keys.codes import joined_codes, key_codes
from kalla_core.engine.keys.hashing import digest
from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.rows import Ints, Rows, one_chunk
from kalla_core.matching.keys.keys import KeyComponent
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_table
from kalla_core.matching.strategy.planned import Planned

_FEW_ROWS = 1 << 16
"""For so few rows a join is not worth its planning."""


class KeyedSides:
    """One key, evaluated over all rows of both sides when first asked for."""

    def __init__(
        self,
        planned: Planned,
        components: Sequence[KeyComponent],
        rows: Mapping[Side, Rows],
        threads: int,
    ) -> None:
        self.components = components
        self._planned = planned
        self._rows = rows
        self._threads = threads
        self._tables: dict[Side, pa.Table] = {}

    def table(self, side: Side) -> pa.Table:
        """Return the keys of all rows of a side, in their order, as `__k0`, `__k1`, ...

        Raises:
            FailedOnValue: a key fails for a row, which the SQL need not have computed where the
                other side has no rows at all.
        """
        if side not in self._tables:
            batches = self._rows[side].batches
            self._tables[side] = key_values(self._planned.query, self.components, side, batches)
        return self._tables[side]

    def codes(self, wanted: pa.Table, offered: pa.Table) -> tuple[Ints, Ints]:
        """Number the keys of some rows of either side alike (see `key_codes`)."""
        names = [f"__k{number}" for number in range(len(self.components))]
        null_safe = [key.null_safe for key in self.components]
        if len(wanted) > _FEW_ROWS and self._all_differ(wanted):
            return joined_codes(wanted, offered, names, null_safe, self._threads)
        ours = [one_chunk(wanted.column(name)) for name in names]
        return key_codes(ours, [offered.column(name) for name in names], null_safe)

    def _all_differ(self, keys: pa.Table) -> bool:
        """Tell whether no two rows have the same key; now and then wrongly that some have."""
        typed = [(col(f"__k{n}"), key.type) for n, key in enumerate(self.components)]
        session = new_session()
        register_table(session, "keys", keys)
        hashes = session.table("keys").select(digest(typed).alias("h")).to_arrow_table()
        ordered = np.sort(hashes.column(0).to_numpy())
        return not bool((ordered[1:] == ordered[:-1]).any())
