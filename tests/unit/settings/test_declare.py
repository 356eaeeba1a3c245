import pytest

from kalla_core import machine
from kalla_core.errors import InvalidSetting
from kalla_core.settings import (
    LogFormat,
    LogLevel,
    Settings,
    load_settings,
)
from kalla_core.settings.declare import table

VARIABLES = [
    str(name) for field in Settings.model_fields.values() for name in field.validation_alias.choices
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_suit_this_machine():
    settings = load_settings()

    assert settings.memory_limit_bytes == int(machine.memory_bytes() * 0.7)
    assert settings.slots == machine.cores()
    assert settings.log_level is LogLevel.INFO
    assert settings.log_format is None


def test_a_flag_beats_its_variable(monkeypatch):
    monkeypatch.setenv("KALLA_MEMORY_LIMIT", "1GiB")

    assert load_settings().memory_limit_bytes == 2**30
    assert load_settings(memory_limit_bytes="512MB").memory_limit_bytes == 512_000_000


def test_a_flag_that_was_not_given_leaves_the_variable(monkeypatch):
    monkeypatch.setenv("KALLA_SLOTS", "3")

    assert load_settings(slots=None).slots == 3


def test_a_variable_that_is_set_to_nothing_is_not_set(monkeypatch):
    monkeypatch.setenv("KALLA_MEMORY_LIMIT", "")

    assert load_settings().memory_limit_bytes == machine.default_memory_bytes()


def test_the_preferred_variable_beats_the_older_one(monkeypatch):
    monkeypatch.setenv("RUST_LOG", "error")
    monkeypatch.setenv("KALLA_LOG", "debug")

    assert load_settings().log_level is LogLevel.DEBUG


@pytest.mark.parametrize(
    ("directives", "level"),
    [
        ("warn", LogLevel.WARNING),
        ("TRACE", LogLevel.DEBUG),
        ("info,hyper=debug", LogLevel.INFO),
        ("warn,kalla_core=debug", LogLevel.DEBUG),
        ("hyper=error", LogLevel.INFO),
        ("off", LogLevel.OFF),
    ],
)
def test_the_directives_of_rust_log_are_understood(monkeypatch, directives, level):
    monkeypatch.setenv("RUST_LOG", directives)

    assert load_settings().log_level is level


def test_the_log_format_is_read_in_any_case(monkeypatch):
    monkeypatch.setenv("KALLA_LOG_FORMAT", "JSON")

    assert load_settings().log_format is LogFormat.JSON


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KALLA_MEMORY_LIMIT", "plenty"),
        ("KALLA_MEMORY_LIMIT", "1"),
        ("KALLA_SLOTS", "0"),
        ("KALLA_SLOTS", "two"),
        ("KALLA_MEMORY_LIMIT", "1g"),
        ("RUST_LOG", "loud"),
        ("KALLA_LOG_FORMAT", "xml"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named_with_its_value(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    with pytest.raises(InvalidSetting) as refused:
        load_settings()

    assert f'{variable} cannot be "{value}"' in refused.value.message


def test_a_flag_that_makes_no_sense_is_named_even_if_its_variable_is_fine(monkeypatch):
    monkeypatch.setenv("KALLA_MEMORY_LIMIT", "1GiB")

    with pytest.raises(InvalidSetting, match='--memory-limit cannot be "some"'):
        load_settings(memory_limit_bytes="some")


def test_all_settings_that_make_no_sense_are_named_at_once(monkeypatch):
    monkeypatch.setenv("KALLA_SLOTS", "x")

    with pytest.raises(InvalidSetting) as refused:
        load_settings(log_format="xml")

    assert refused.value.details["settings"] == ["--log-format", "KALLA_SLOTS"]


def test_a_setting_that_does_not_exist_is_a_programming_error():
    with pytest.raises(TypeError, match="memory"):
        load_settings(memory="1GiB")


def test_the_table_has_a_row_per_setting_with_its_flag_and_variables():
    rows = table(Settings).splitlines()[2:]

    assert len(rows) == len(Settings.model_fields)
    assert any("`--log-level`" in row and "`KALLA_LOG`, else `RUST_LOG`" in row for row in rows)
    assert all(row.count(" | ") == 3 for row in rows)
