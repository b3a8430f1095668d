"""Finds the declarations that ship beside the code (Feast's, MLflow's, the lock), in a checkout and in a wheel.

This module knows where the folders lie and nothing of what is in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from recsys.errors import ConfigError

ShippedFolder = Literal["features", "mlflow", "requirements"]


def shipped_folder(name: ShippedFolder) -> Path:
    """The folder of that name: inside the package when it was installed from a wheel, else beside it in the checkout.

    Args:
        name: the folder's name in the checkout; the wheel holds it as `recsys/_<name>`.

    Returns:
        An absolute path of an existing folder.

    Raises:
        ConfigError: it is in neither place: the installation is not whole.
    """
    package = Path(__file__).resolve().parent
    candidates = (package / f"_{name}", package.parent / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigError(
        f"The folder '{name}' that ships with recsys is missing (looked in {' and '.join(map(str, candidates))}). "
        "Install recsys again: `make setup` in a checkout, `pip install --force-reinstall --no-deps WHEEL` elsewhere."
    )
