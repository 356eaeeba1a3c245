"""Text of data that is no command to a terminal."""

from __future__ import annotations

import io
import json

import pytest
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kalla_core.cli.console import print_json, write_line
from kalla_core.cli.harmless import harmless, harmless_lines
from kalla_core.cli.pipe_console import PipeConsole

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb\rc\x7f"
SHOWN = "a␛[2J␛]0;title␇<U+009B>31m<U+202E>b␍c␡"


@pytest.mark.parametrize("terminal", [True, False])
def test_no_table_or_sentence_lets_commands_through(terminal: bool) -> None:
    screen = io.StringIO()
    console = PipeConsole(file=screen, width=200, force_terminal=terminal, color_system=None)
    table = Table(HOSTILE)
    table.add_row(Text(HOSTILE, style="bold"))

    console.print(table)
    console.print(Padding(Text(HOSTILE), (0, 2)))
    console.print(HOSTILE)

    shown = SHOWN.replace("␇", "").replace("␍", "")  # which rich itself leaves out
    assert screen.getvalue().count(shown) == 2
    assert screen.getvalue().count("␛[2J␛]0;title") == 4
    assert not set(screen.getvalue()) & set("\x07\x9b\u202e\r\x7f")


def test_styles_of_our_own_still_reach_a_terminal() -> None:
    screen = io.StringIO()

    console = PipeConsole(file=screen, force_terminal=True, color_system="standard")
    console.print(Text("\x1b[31m", style="bold"))

    assert screen.getvalue() == "\x1b[1m␛[31m\x1b[0m\n"


def test_lines_and_json_are_harmless_and_json_means_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()

    write_line(stream, f"Error: {HOSTILE}")
    print_json({"note": HOSTILE})

    printed = capsys.readouterr().out
    assert stream.getvalue() == f"Error: {SHOWN}\n"
    assert json.loads(printed) == {"note": HOSTILE}
    assert not set(printed) & set("\x1b\x07\x9b\u202e\r\x7f")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_rows_on_a_terminal_are_harmless_wherever_they_are_cut(size: int) -> None:
    rows = '"id","é\u202e"\r\n"1","\x1b[31m\rx"\r\n'.encode()
    pieces = [rows[at : at + size] for at in range(0, len(rows), size)]

    shown = b"".join(harmless_lines(pieces)).decode()

    assert shown == '"id","é<U+202E>"\n"1","␛[31m␍x"\n'


def test_text_without_such_characters_stays_as_it_is() -> None:
    assert harmless("Zoë 北京 😀\tש\n") == "Zoë 北京 😀\tש\n"
