"""The function's entry points, as Nuclio calls them; `siamfc.adapters.cvat_nuclio` does the work."""

import os
from typing import Any

from siamfc.adapters.cvat_nuclio import Trackers, handle
from siamfc.backends import open_backend


def init_context(context: Any) -> None:
    """Open the server that SERVER names, or load the network into this function."""
    server = os.environ.get("SERVER") or None
    api_key = os.environ.get("API_KEY") or None
    context.user_data.trackers = Trackers(open_backend(server, api_key=api_key, restart=server is not None))
    context.logger.info(f"tracking {'on ' + server if server else 'in this function'}")


def handler(context: Any, event: Any) -> Any:
    """Answer one request of CVAT."""
    return handle(context.user_data.trackers, context, event)
