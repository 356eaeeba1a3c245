"""What an error tells is bounded, whatever a request held."""

from kalla_core.errors import MOST_FAULTS, Fault, RecipeInvalid


def test_of_many_faults_the_first_are_listed_and_the_rest_counted() -> None:
    many = [Fault("unknown", f"field{number}", "It is not known.") for number in range(5000)]

    error = RecipeInvalid(many)

    assert len(error.faults) == MOST_FAULTS
    assert "has 5000 faults" in error.message
    assert error.message.endswith(f"… and {5000 - MOST_FAULTS} more")


def test_a_fault_that_repeats_a_long_text_is_cut() -> None:
    error = RecipeInvalid([Fault("x", "p" * 10**6, "m" * 10**6, {"value": "v" * 10**6, "n": 1})])

    assert len(error.message) < 10_000
    assert len(str(error.faults[0].details["value"])) < 5_000
    assert error.faults[0].details["n"] == 1
