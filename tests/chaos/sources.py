"""The rows of a dataset in places that can be cut off: buckets and databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc

from benchmarks.generate.dataset import Dataset
from kalla_core.recipe.model import Recipe, SourceSpec, SourceType
from kalla_core.recipe.parse import load_recipe
from tests.support.postgres import Database
from tests.support.s3 import TestBucket
from tests.support.wires import Wire


def in_bucket(dataset: Dataset, bucket: TestBucket) -> Recipe:
    """Put both sides into a bucket; return the recipe that reads them from there."""
    recipe = load_recipe(dataset.recipe_path)
    return replace(
        recipe,
        left=_object(recipe.left, bucket),
        right=_object(recipe.right, bucket),
    )


def in_database(dataset: Dataset, database: Database, over: Wire) -> Recipe:
    """Put both sides into tables; return the recipe that reads them over a wire."""
    recipe = load_recipe(dataset.recipe_path)
    return replace(
        recipe,
        left=_table(recipe.left, "invoices", database, over),
        right=_table(recipe.right, "payments", database, over),
    )


def _object(spec: SourceSpec, bucket: TestBucket) -> SourceSpec:
    path = Path(spec.uri or "")
    return replace(spec, type=SourceType.S3, uri=bucket.put(path.name, path.read_bytes()))


def _table(spec: SourceSpec, name: str, database: Database, over: Wire) -> SourceSpec:
    types = {column: _arrow(kind) for column, kind in spec.types.items()}
    options = pc.ConvertOptions(column_types=types, strings_can_be_null=True)
    database.put(name, pc.read_csv(spec.uri, convert_options=options))
    uri = f"postgresql://kalla@127.0.0.1:{over.port}/{database.name}?table={name}"
    return replace(spec, type=SourceType.POSTGRES, uri=uri, types={})


def _arrow(kind: str) -> pa.DataType:
    word, _, digits = kind.rstrip(")").partition("(")
    if word == "decimal":
        return pa.decimal128(*map(int, digits.split(",")))
    return {"date": pa.date32(), "text": pa.string()}[word]
