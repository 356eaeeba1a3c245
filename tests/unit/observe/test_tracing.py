import pytest

from kalla_core.observe.tracing import as_trace, past, span

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("told", [TRACE, TRACE.encode()])
def test_a_trace_is_taken_from_whoever_tells_of_it(told: object) -> None:
    assert as_trace(told) == TRACE


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        TRACE.upper(),
        TRACE + "-00",
        TRACE.replace("00-0a", "ff-0a"),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        TRACE + "\nX-Other: 1",
        "0" * 100_000,
        b"\xff" * 55,
    ],
)
def test_what_is_no_trace_is_as_none(told: object) -> None:
    assert as_trace(told) == ""


def test_where_nothing_is_traced_the_trace_of_the_caller_is_handed_on() -> None:
    with span("work", TRACE, rows=1) as working:
        past("before", TRACE, 0)

    assert working.trace == TRACE


def test_an_error_leaves_a_span_as_it_is() -> None:
    with pytest.raises(ValueError, match="mine"), span("work"):
        raise ValueError("mine")
