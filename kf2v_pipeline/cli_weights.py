"""The command that gets the learned flow's weights for the local renderer."""

from __future__ import annotations

from typing import Any

import click

from kf2v_pipeline.command import UNUSABLE, Sentences, end, read_settings

_SHORTLY: dict[str, Any] = {"retries": 0, "timeout_s": 5, "limit_s": 30}
"""``make run`` waits for it."""


@click.command()
@click.option("--home", metavar="DIR", help="Folder of the state on this machine (default .kf2v).")
@click.option("--try", "only_try", is_flag=True, help="Ask once and shortly; failing is no error.")
def weights(only_try: bool, **flags: Any) -> None:
    """Download the learned flow's weights (23 MB) for the local renderer. It works without them."""
    with Sentences():
        from kf2v_pipeline.localserver.weights import WeightsError, fetch_weights, find_weights

        directory = read_settings(flags).server_directory
        if find_weights(directory):
            if not only_try:
                click.echo(f"The learned flow's weights are in {directory / 'weights'} already.")
            return
        try:
            path = fetch_weights(directory, **(_SHORTLY if only_try else {}))
        except (WeightsError, OSError) as error:
            if not only_try:
                end(f"{error} The local renderer goes on without them.", UNUSABLE)
            click.echo("The learned flow's weights could not be had (kf2v weights says why); rendering without them.")
        else:
            click.echo(f"The learned flow's weights are in {path.parent}, with their licences.")
