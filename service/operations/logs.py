"""The formats of log lines."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Literal

from service.operations.request_ids import RequestIdFilter


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: time (UTC), level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", ""):
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_config(style: Literal["console", "json"]) -> dict[str, Any]:
    """Make a `logging.config` dictionary that sends everything from INFO up to stderr, by a `LogQueue`."""
    formatter: dict[str, Any] = {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}
    if style == "json":
        formatter = {"()": JsonFormatter}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "filters": {"request": {"()": RequestIdFilter}},
        "handlers": {
            "stderr": {
                "class": "service.operations.log_queue.LogQueue",
                "formatter": "line",
                "filters": ["request"],
            }
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
        # At INFO uvicorn logs the path of every socket, which holds the session's id.
        "loggers": {"uvicorn.error": {"level": "WARNING"}},
    }
