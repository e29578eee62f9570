"""Log lines in both formats."""

from __future__ import annotations

import json
import logging
import logging.config
import sys

import pytest

from service.operations.logs import JsonFormatter, log_config


def record(message: str, *arguments: object, failed: bool = False) -> logging.LogRecord:
    details = None
    try:
        if failed:
            raise ValueError("broken")
    except ValueError:
        details = sys.exc_info()
    made = logging.LogRecord("service.app", logging.WARNING, __file__, 1, message, arguments, details)
    made.created, made.msecs = 1_700_000_000.25, 250.0
    return made


def test_a_line_is_one_object() -> None:
    text = JsonFormatter().format(record("two\nlines of %s", "größe"))
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "service.app",
        "message": "two\nlines of größe",
    }


def test_a_failure_carries_its_traceback() -> None:
    text = JsonFormatter().format(record("failed", failed=True))
    assert "\n" not in text
    assert json.loads(text)["exception"].endswith("ValueError: broken")


@pytest.mark.parametrize(
    ("style", "formatter"),
    [pytest.param("json", JsonFormatter, id="json"), pytest.param("console", None, id="console")],
)
def test_logging_accepts_the_configuration(style: str, formatter: type[logging.Formatter] | None) -> None:
    config = log_config(style)  # type: ignore[arg-type]
    configurator = logging.config.DictConfigurator(config)
    made = configurator.configure_formatter(config["formatters"]["line"])
    assert isinstance(made, formatter or logging.Formatter)
    assert "failed" in made.format(record("failed"))
    assert config["root"] == {"level": "INFO", "handlers": ["stderr"]}
