from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.functions import wide

WORDS = 4
LIMIT = 2 ** (64 * WORDS - 1)
EDGES = st.sampled_from([0, 1, -1, 2**32 - 1, 2**32, -(2**32), 2**63, -(2**63), LIMIT - 1, -LIMIT])
INTEGERS = st.one_of(EDGES, st.integers(-LIMIT, LIMIT - 1), st.integers(-1000, 1000))
PAIRS = st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=5)


def digits(numbers: Sequence[int]) -> wide.Digits:
    data = b"".join(number.to_bytes(8 * WORDS, "little", signed=True) for number in numbers)
    return wide.from_words(np.frombuffer(data, np.int64).reshape(len(numbers), WORDS))


def integers(number: wide.Digits) -> list[int]:
    rows = zip(*(digit.tolist() for digit in number), strict=True)
    return [sum(digit << (32 * place) for place, digit in enumerate(row)) for row in rows]


def in_range(number: wide.Digits) -> bool:
    return all(((digit >= 0) & (digit < 2**32)).all() for digit in number[:-1])


@given(PAIRS, st.integers(0, 90))
def test_shifting_multiplies_by_a_power_of_ten(pairs: list[tuple[int, int]], places: int) -> None:
    numbers = [a for a, _ in pairs]

    shifted = wide.shifted(digits(numbers), places)

    assert integers(shifted) == [number * 10**places for number in numbers]
    assert in_range(shifted)


@given(PAIRS, st.integers(0, 20))
def test_a_difference_has_as_many_digits_as_it_needs(
    pairs: list[tuple[int, int]], places: int
) -> None:
    left, right = wide.shifted(digits([a for a, _ in pairs]), places), digits([b for _, b in pairs])

    apart = wide.difference(left, right)

    assert integers(apart) == [a * 10**places - b for a, b in pairs]
    assert integers(wide.absolute(apart)) == [abs(a * 10**places - b) for a, b in pairs]
    assert in_range(wide.absolute(apart))


@given(PAIRS)
def test_a_product_has_as_many_digits_as_it_needs(pairs: list[tuple[int, int]]) -> None:
    left = wide.absolute(digits([a for a, _ in pairs]))
    right = wide.absolute(digits([b for _, b in pairs]))

    assert integers(wide.product(left, right)) == [abs(a * b) for a, b in pairs]


@given(PAIRS)
def test_at_most_is_the_order_of_integers(pairs: list[tuple[int, int]]) -> None:
    found = wide.at_most(digits([a for a, _ in pairs]), digits([b for _, b in pairs]))

    assert found.tolist() == [a <= b for a, b in pairs]


@given(PAIRS)
def test_a_double_near_a_number_is_off_by_its_last_bits_only(pairs: list[tuple[int, int]]) -> None:
    numbers = [a for a, _ in pairs]

    near = wide.approximate(digits(numbers)).tolist()

    assert all(
        abs(int(double) - number) * 2**48 <= abs(number)
        for double, number in zip(near, numbers, strict=True)
    )
