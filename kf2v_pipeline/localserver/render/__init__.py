"""Renders a film between two pictures on the CPU, with learned flow or without. Knows nothing of HTTP or of tasks."""

from .film import RenderReport, RenderRequest, render_film
from .picture import RenderError, output_size

__all__ = ["RenderError", "RenderReport", "RenderRequest", "output_size", "render_film"]
