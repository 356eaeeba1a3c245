"""Recipes of every kind, for properties."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from kalla_core.recipe.model import (
    EngineChoice,
    Filter,
    FilterOp,
    GroupForm,
    Options,
    Recipe,
    SourceSpec,
    SourceType,
)

SOME_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)
SCALARS = st.one_of(
    SOME_TEXT,
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
TYPE_WORDS = st.sampled_from(["text", "integer", "decimal(12,2)", "date", "timestamptz"])
URIS = {
    SourceType.POSTGRES: ["postgres://user:p%40ss@host/db?table=t", "postgresql://h/d?table=s.t"],
    SourceType.MYSQL: ["mysql://user:p%40ss@host/db?table=t", "mariadb://h/d?table=s.t"],
    SourceType.FILE: ["/data/x.csv", "file:///data/x.csv", "s3://b/k.csv", "/d/x.csv?delimiter=;"],
    SourceType.CSV_UPLOAD: ["/data/x.csv", "s3://bucket/k.csv"],
    SourceType.S3: ["s3://bucket/folder/", "s3://bucket/k.parquet"],
    SourceType.BIGQUERY: ["bigquery://p/d/t"],
    SourceType.ELASTICSEARCH: ["elasticsearch://host/index"],
}
OPTIONS = st.builds(
    Options,
    engine=st.sampled_from(EngineChoice),
    partitions=st.none() | st.integers(1, 1024),
    buckets=st.none() | st.integers(1, 4096),
    timeout=st.none() | st.integers(1, 86_400_000).map(lambda ms: timedelta(milliseconds=ms)),
    overwrite=st.booleans(),
    single_file=st.booleans(),
    max_pairs_per_row=st.none() | st.integers(1, 10**9),
)


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    op = draw(st.sampled_from(FilterOp))
    value: Any
    if op is FilterOp.BETWEEN:
        value = tuple(draw(st.lists(SCALARS, min_size=2, max_size=2)))
    elif op is FilterOp.IN:
        value = tuple(draw(st.lists(SCALARS, min_size=1, max_size=3)))
    else:
        value = draw(SOME_TEXT if op is FilterOp.LIKE else SCALARS)
    return Filter(draw(NAMES), op, value)


@st.composite
def specs(draw: st.DrawFn, alias: str, keyed: bool) -> SourceSpec:
    source_type = draw(st.sampled_from(SourceType))
    key = st.lists(NAMES, min_size=1, max_size=3, unique=True)
    return SourceSpec(
        alias=alias,
        type=source_type,
        uri=draw(st.sampled_from(URIS[source_type])),
        primary_key=tuple(draw(key)) if keyed else (),
        columns=tuple(draw(st.lists(NAMES, max_size=3, unique=True))),
        filters=tuple(draw(st.lists(filters(), max_size=2))),
        types=draw(st.dictionaries(NAMES, TYPE_WORDS, max_size=2)),
    )


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    names = [f"extra {index}" for index in range(draw(st.integers(0, 2)))]
    return Recipe(
        recipe_id=draw(NAMES),
        name=draw(NAMES),
        match_sql=draw(NAMES),
        left=draw(specs("Invoices", keyed=True)),
        right=draw(specs("payments", keyed=True)),
        extras=tuple(draw(specs(name, keyed=False)) for name in names),
        description=draw(SOME_TEXT),
        match_description=draw(SOME_TEXT),
        options=draw(OPTIONS),
        groups=draw(st.sampled_from(GroupForm)),
    )
