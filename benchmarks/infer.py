"""What is inferred for pairs of tables with a known truth, beside recipes written by hand.

python -m benchmarks.infer                 # all cases, with an oracle of eight answers at most
python -m benchmarks.infer --only fee      # those whose name has this
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

from benchmarks.inferred import amounts, keys, loose, people
from benchmarks.inferred.score import scored, taught

ENOUGH = 0.95


def main() -> None:
    """Print a line for each case, and how many are good enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--passes", action="store_true", help="show the inferred passes")
    asked = parser.parse_args()
    good = count = 0
    for case in itertools.chain(keys.cases(), amounts.cases(), loose.cases(), people.cases()):
        if asked.only not in case.name:
            continue
        began = time.process_time()
        proposal, answers = taught(case)
        took = time.process_time() - began
        mine = scored(case, [one.document for one in proposal.passes])
        theirs = scored(case, case.passes)
        count += 1
        enough = mine.f1 >= ENOUGH * theirs.f1
        good += enough
        sys.stdout.write(
            f"{'ok ' if enough else 'NO '} {case.name:48} inferred {mine.f1:.3f}"
            f" (p {mine.precision:.2f} r {mine.recall:.2f})  by hand {theirs.f1:.3f}"
            f"  answers {answers}  {took:.1f} s\n"
        )
        if asked.passes:
            for one in proposal.passes:
                sys.stdout.write(f"      {one.evidence.pairs} {one.document}\n")
            sys.stdout.write(f"      tried {proposal.tried}\n")
    sys.stdout.write(f"{good} of {count} reach {ENOUGH:.0%} of the best by hand\n")


if __name__ == "__main__":
    main()
