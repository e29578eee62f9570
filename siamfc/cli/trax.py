"""`siamfc trax`: the tracker behind the TraX protocol, for the VOT toolkit."""

from __future__ import annotations

from pathlib import Path

import click

from siamfc.cli.failures import Failure, InputError, needs_extra
from siamfc.cli.options import network_options, refuse_both, server_options


@click.command()
@server_options
@network_options
def trax(
    server: str | None,
    api_key: str | None,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    precision: str | None,
) -> None:
    """Speak the TraX protocol.

    The VOT toolkit, or another TraX client, starts this command and talks to it over standard input and output. In
    process, or through a server with --server.
    """
    refuse_both(server, weights=weights, device=device, runtime=runtime, precision=precision, api_key=api_key)
    with needs_extra("tools", "the TraX protocol"):
        from siamfc.adapters.trax import serve
    from siamfc.backends import open_backend

    try:
        backend = open_backend(
            server,
            api_key=api_key,
            weights=weights,
            device=device or "auto",
            runtime=runtime or "auto",
            precision=precision or "auto",
        )
    except (ImportError, ValueError) as error:
        raise InputError(str(error)) from error
    said_so = serve(backend)
    backend.close()
    if not said_so:
        raise Failure("the TraX client has gone without saying so")
