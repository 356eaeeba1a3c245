"""From samples of two tables, and a few judged pairs, to rules that match them; no model, no I/O.

    transforms   ways to write a text, each as SQL and as Arrow kernels
    values       columns as keys, amounts and days, with their SQL
    profiles     what a column holds: type, nulls, distinct values, patterns, range
    overlaps     which columns of both sides share values, and written how
    joining      rows with equal codes, as pairs of row numbers
    agreement    how often amounts, days and texts agree in pairs, beside pairs at random
    likeness     texts that are alike without being equal
    anchors      equalities that bring rows together, ranked by what agrees beside them
    traits       what pairs have in common beside what brings them together
    classes      kinds of pairs that a rule takes or leaves, and what is believed of each
    keyed        pairs with equal keys, in classes
    unkeyed      pairs without a key: by amount, day, and what else agrees
    listed       references of which one text lists several
    sums         rows of which several add up to one of the other side
    rules        passes out of classes that are believed, with evidence
    statements   the SQL of a pass
    sample       rows of large tables, chosen so that partners stay together
    mappings     which columns go together, and as what
    infer        all of it, in order

A column that both sides number from 1 has all its values in common, and means nothing. So equal
values are not believed by themselves: what counts is that *other* columns agree in the pairs they
bring out far more often than in pairs at random (Fellegi and Sunter, 1969), and that few rows have
several partners (Auto-FuzzyJoin, Li et al., 2021). What is left open, classes of pairs that may or
may not be matches, is weighed by the judged pairs; the next question is about the class in which
doubt times rows is largest.

Everything is deterministic. Samples are Arrow tables, of which at most `MAX_ROWS` rows are looked
at (`sample`), chosen so that partners stay together.
"""

from kalla_core.inference.infer import infer
from kalla_core.inference.model import (
    Evidence,
    InferredPass,
    Judged,
    Judgement,
    Proposal,
    Question,
)

__all__ = ["Evidence", "InferredPass", "Judged", "Judgement", "Proposal", "Question", "infer"]
