"""The errors a user can meet. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RecsysError(Exception):
    """Base of all errors this library raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class DataError(RecsysError):
    """The data brought in cannot be used as they are."""

    exit_code = 2


class ConfigError(RecsysError):
    """A setting, a name or an argument is wrong."""

    exit_code = 2


class FeatureStoreError(RecsysError):
    """The feature store could not be written or read."""


class LeaseError(FeatureStoreError):
    """Another process is changing the feature store, or has taken over from this one."""


class StoreTimeoutError(FeatureStoreError):
    """A read was not answered within its time budget."""


class TrainingError(RecsysError):
    """A fit went wrong (non-finite loss, a lost worker); nothing was registered."""


class ClusterError(RecsysError):
    """Ray could not be started or joined."""


class SnapshotError(RecsysError):
    """A snapshot is missing, damaged or does not fit this workspace."""


class ServiceError(RecsysError):
    """A service answered with a problem, or not at all, or could not be started.

    Attributes:
        status: the HTTP status; 0 when there was no answer.
        problem: the problem document (RFC 9457), empty when there was none.
        retry_after: in how many seconds the service wants to be asked again; None when it did not say.
    """

    def __init__(
        self,
        message: str,
        status: int = 0,
        problem: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problem = dict(problem or {})
        self.retry_after = retry_after


class RegistryError(RecsysError):
    """The model registry refused or could not be reached."""


def last_line(error: BaseException) -> str:
    """What a library's error ends with, below its traces; the name of its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
