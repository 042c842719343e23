"""Looks at pictures and films. Where they are kept belongs to ``storage``."""
