"""Progress bars on stderr for jobs that take a while."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """One bar a stage; where stderr is no terminal, one line a stage when it is over."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("  {task.description:<44}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._live,
        )
        self._open: _Bar | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._progress.stop()

    def stage(self, name: str, steps: int) -> _Bar:
        """Begins a stage of so many steps; the one before it is over."""
        self._close()
        self._open = _Bar(self._progress, self._progress.add_task(name, total=steps, note=""))
        return self._open

    def _close(self) -> None:
        if self._open is not None and not self._live:
            task = self._progress.tasks[self._open.task]
            note = f"  {task.fields['note']}" if task.fields["note"] else ""
            line = f"  {task.description}: {int(task.completed)}/{int(task.total or 0)}{note}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._open = None


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self.task = progress, task

    def advance(self, note: str = "") -> None:
        self._progress.update(self.task, advance=1, note=note)

    def moved(self, done: int, total: int) -> None:
        self._progress.update(self.task, completed=done, total=total)
