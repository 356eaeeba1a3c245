import io
import json
import logging

import pytest
import structlog

from kalla_core.observe.logs import configure_logs, get_logger, log_context
from kalla_core.settings import LogFormat, LogLevel


@pytest.fixture
def lines():
    """What is logged, as a stream; the configuration is put back afterwards."""
    handlers = logging.getLogger().handlers
    yield io.StringIO()
    structlog.reset_defaults()
    logging.getLogger().handlers = handlers


def events(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_fields(lines):
    configure_logs(LogLevel.INFO, LogFormat.JSON, lines)

    get_logger(job="j1").warning("fragment_lost", attempt=2)

    (event,) = events(lines)
    assert event.pop("at").endswith("Z")
    assert event == {"event": "fragment_lost", "job": "j1", "attempt": 2, "level": "warning"}


def test_what_is_below_the_level_is_not_written(lines):
    configure_logs(LogLevel.WARNING, LogFormat.JSON, lines)

    get_logger().info("quiet")
    get_logger().error("loud")

    assert [event["event"] for event in events(lines)] == ["loud"]


def test_logs_can_be_turned_off(lines):
    configure_logs(LogLevel.OFF, LogFormat.JSON, lines)

    get_logger().critical("anything")

    assert lines.getvalue() == ""


def test_a_context_is_on_every_line_inside_it_only(lines):
    configure_logs(LogLevel.INFO, LogFormat.JSON, lines)
    log = get_logger()

    with log_context(run_id="r1"), log_context(stage="scan"):
        log.info("inside")
    log.info("outside")

    inside, outside = events(lines)
    assert (inside["run_id"], inside["stage"]) == ("r1", "scan")
    assert "run_id" not in outside


@pytest.mark.parametrize("format", list(LogFormat))
def test_secrets_are_masked_wherever_they_stand(lines, format):
    configure_logs(LogLevel.INFO, format, lines)
    log = get_logger(uri="postgres://u:hunter2@db/x")

    try:
        raise OSError("could not open postgres://u:hunter2@db/y")
    except OSError:
        log.exception("failed postgres://u:hunter2@db/z", nested={"token": "hunter2"})

    assert "hunter2" not in lines.getvalue()
    assert lines.getvalue().count("postgres://u:***@db") >= 3


def test_off_a_terminal_the_format_is_json(lines):
    configure_logs(stream=lines)

    get_logger().info("started")

    assert events(lines)[0]["event"] == "started"


def test_lines_for_people_name_the_event_and_the_fields(lines):
    configure_logs(LogLevel.INFO, LogFormat.CONSOLE, lines)

    get_logger().info("started", rows=3)

    assert "started" in lines.getvalue()
    assert "rows=3" in lines.getvalue()


def test_a_logger_made_before_the_configuration_follows_it(lines):
    log = get_logger()

    configure_logs(LogLevel.INFO, LogFormat.JSON, lines)
    log.info("late")

    assert events(lines)[0]["event"] == "late"


@pytest.mark.parametrize("format", list(LogFormat))
def test_a_traceback_tells_no_values_of_variables(lines, format):
    configure_logs(LogLevel.INFO, format, lines)

    def stumble():
        body = "what a caller sent"
        raise ValueError(len(body))

    try:
        stumble()
    except ValueError:
        get_logger().exception("stumbled")

    assert "stumble" in lines.getvalue()
    assert "ValueError" in lines.getvalue()
    assert "a caller sent" not in lines.getvalue().replace('body = "what a caller sent"', "")


def test_what_a_library_logs_comes_out_as_our_lines_do(lines):
    configure_logs(LogLevel.INFO, LogFormat.JSON, lines)

    try:
        raise ValueError("postgres://u:secret@host/db")
    except ValueError:
        logging.getLogger("asyncio").exception("lost postgres://u:secret@host/db")
    logging.getLogger("asyncio").info("not worth a line")

    (event,) = events(lines)
    assert (event["event"], event["library"]) == ("library_log", "asyncio")
    assert event["message"] == "lost postgres://u:***@host/db"
    assert event["exception"][0]["exc_type"] == "ValueError"
    assert "secret" not in lines.getvalue()
