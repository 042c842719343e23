"""Reads one ``multipart/form-data`` body into its fields and its file. Whether they are right is decided elsewhere."""

from __future__ import annotations

from email.message import Message


class FormError(ValueError):
    """The body is no form with a file."""


def parse_form(content_type: str, data: bytes) -> tuple[dict[str, str], bytes]:
    """The fields by name, and the bytes of the part named ``file``, which must come last.

    Raises:
        FormError: It is no such form.
    """
    head = Message()
    head["content-type"] = content_type
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise FormError("The body of your POST request is not well-formed multipart/form-data.")
    parts = (b"\r\n" + data).split(b"\r\n--" + boundary.encode("utf-8", "replace"))
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise FormError("The body of your POST request is not well-formed multipart/form-data.")
    fields: dict[str, str] = {}
    for number, part in enumerate(parts[1:-1], start=1):
        name, content = _read_part(part)
        if name == "file":
            if number != len(parts) - 2:
                raise FormError("The file must be the last field of the form.")
            return fields, content
        fields[name] = content.decode("utf-8", "replace")
    raise FormError("The form has no field named file.")


def _read_part(part: bytes) -> tuple[str, bytes]:
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank:
        raise FormError("A part of the form has no end of its headers.")
    for line in head.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            disposition = Message()
            disposition["content-disposition"] = value.strip()
            found = disposition.get_param("name", header="content-disposition")
            if isinstance(found, str):
                return found, content
    raise FormError("A part of the form has no name.")
