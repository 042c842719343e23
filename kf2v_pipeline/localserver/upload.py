"""Temporary uploads: policies handed out, files taken in, ``oss://`` addresses found again. HTTP belongs to the routes.

Source: vendor page "upload a local file and get a temporary URL", and a recorded ``getPolicy`` reply.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .clock import Clock
from .signature import is_signed, sign
from .store import Store

POLICY_LIFE = timedelta(seconds=300)
FILE_LIFE = timedelta(hours=48)
MOST_MB = 100
"""Largest file (vendor page; a recorded reply said 1024)."""

ACCESS_KEY_ID = "LOCAL"
_FIXED = {"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}


class UploadRefused(Exception):
    """An upload is answered with an error, in an object store's words.

    Attributes:
        http_status: Status of the reply.
    """

    def __init__(self, http_status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message


class Uploads:
    """The uploaded files of one directory."""

    def __init__(self, directory: Path, *, store: Store, clock: Clock, secret: bytes) -> None:
        self._directory, self._store, self._clock, self._secret = directory, store, clock, secret
        directory.mkdir(parents=True, exist_ok=True)

    def policy(self, *, model: str, request_id: str, upload_url: str) -> dict[str, Any]:
        """``data`` of the reply to ``getPolicy``: a directory and a permission for one or more files."""
        now = self._clock.now()
        owner = hashlib.sha256(self._secret).hexdigest()[:32]
        folder = f"dashscope-instant/{owner}/{now:%Y-%m-%d}/{request_id}"
        policy = {
            "expiration": (now + POLICY_LIFE).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "conditions": [
                ["content-length-range", 0, MOST_MB * 1024 * 1024],
                ["starts-with", "$key", folder],
                {"bucket": "local"},
                *({name: value} for name, value in _FIXED.items()),
                {"model": model},  # the real policy does not tell the model; here it carries what the service keeps
            ],
        }
        encoded = base64.b64encode(json.dumps(policy).encode()).decode()
        return {
            "policy": encoded,
            "signature": sign(self._secret, encoded),
            "upload_dir": folder,
            "upload_host": upload_url,
            "expire_in_seconds": int(POLICY_LIFE.total_seconds()),
            "max_file_size_mb": MOST_MB,
            "capacity_limit_mb": 999_999_999,
            "oss_access_key_id": ACCESS_KEY_ID,
            "x_oss_object_acl": _FIXED["x-oss-object-acl"],
            "x_oss_forbid_overwrite": _FIXED["x-oss-forbid-overwrite"],
        }

    def accept(self, fields: Mapping[str, str], data: bytes) -> None:
        """Take a file in.

        Raises:
            UploadRefused: The form does not fit its policy.
        """
        policy, key = fields.get("policy", ""), fields.get("key", "")
        if fields.get("OSSAccessKeyId") != ACCESS_KEY_ID:
            raise UploadRefused(403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist.")
        if not policy or not is_signed(self._secret, fields.get("Signature", ""), policy):
            raise UploadRefused(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
        model = self._check_conditions(json.loads(base64.b64decode(policy)), fields, key, len(data))
        if self._store.upload(key):
            raise UploadRefused(
                409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."
            )
        path = self._file(key)
        part_path = path.with_name(f"{path.name}.part")
        part_path.write_bytes(data)
        part_path.replace(path)
        self._store.put_upload(key, model, self._clock.now())

    def path(self, key: str, model: str) -> Path | None:
        """The file of an ``oss://`` address; None if there is none, it has expired, or is for another model."""
        upload = self._store.upload(key)
        if upload is None or upload[0] != model or self._clock.now() - upload[1] >= FILE_LIFE:
            return None
        return self._file(key)

    def sweep(self) -> None:
        """Delete what has expired."""
        for key in self._store.drop_uploads(self._clock.now() - FILE_LIFE):
            self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._directory / hashlib.sha256(key.encode()).hexdigest()

    def _check_conditions(self, policy: Mapping[str, Any], fields: Mapping[str, str], key: str, size: int) -> str:
        """The model that the policy is for."""
        expires_at = datetime.strptime(policy["expiration"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        if self._clock.now() >= expires_at:
            raise UploadRefused(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        length, starts_with = policy["conditions"][0], policy["conditions"][1]
        if not length[1] <= size <= length[2]:
            raise UploadRefused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        wrong = [name for name, value in _FIXED.items() if fields.get(name) != value]
        if not key.startswith(f"{starts_with[2]}/") or len(key) > 1023:
            wrong.append("key")
        if wrong:
            raise UploadRefused(
                403, "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {wrong[0]}"
            )
        return str(policy["conditions"][-1]["model"])
