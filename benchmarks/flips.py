"""Flips the champion a thousand times by promote and rollback while a service answers 50 requests a second.

    .venv/bin/python benchmarks/flips.py

The workspace is MovieLens-100K with an untrained model of the quickstart's size: what counts is which version answers,
not how good it is. Results are committed (benchmarks/results/flips.json).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.registry.flipping import flip  # noqa: E402
from benchmarks.registry.versions import allow, register_untrained, register_variant  # noqa: E402
from benchmarks.units.arguments import parsed  # noqa: E402
from benchmarks.units.files import stamp, write_json  # noqa: E402
from recsys.data.movielens import movielens_100k  # noqa: E402
from recsys.jobs.ingest import ingest  # noqa: E402
from recsys.jobs.materialise import materialise  # noqa: E402
from recsys.registry.promotion import promote  # noqa: E402
from recsys.serving.processes.process import ServerProcess  # noqa: E402
from recsys.workspace import HOME_VARIABLE, Workspace  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "flips.json"
START_SECONDS = 600.0


def main() -> None:
    """Makes the workspace, serves it, flips, writes the figures; ends with 1 where a request failed or was wrong."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="recsys-flips-") as folder:
        os.environ[HOME_VARIABLE] = folder
        workspace = Workspace(name="movielens-100k", home=Path(folder))
        ingest(workspace, movielens_100k())
        materialise(workspace)
        promote(workspace, register_untrained(workspace), by="flips", judge=allow)
        other = register_variant(workspace)
        service = ServerProcess.start(workspace, log=Path(folder) / "serve.log", timeout=START_SECONDS)
        try:
            users = [str(number) for number in range(1, 1 + asked.users)]
            figures = flip(
                workspace, service, other, flips=asked.flips, rate=asked.rate, users=users, progress=_tell(asked.flips)
            )
        finally:
            code = service.stop()
        said = (Path(folder) / "serve.log").read_text().splitlines()
    stamped = {
        **stamp("flips.py", asked.load),
        "service_ended_with": code,
        "lines_in_the_services_log": len(said),
    }
    write_json(asked.out, {**stamped, "figures": figures})
    print(
        f"{figures['requests']:,} requests, {len(figures['failed'])} kinds of failure, {figures['wrong_replies']} wrong"
    )
    print(f"memory {figures['memory']['largest_change']:+.1%}; written to {asked.out}")
    sys.exit(1 if figures["failed"] or figures["wrong_replies"] else 0)


def _tell(flips: int):
    def tell(done: int) -> None:
        if done % max(flips // 20, 1) == 0:
            print(f"  {done}/{flips} flips", flush=True)

    return tell


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flips", type=int, default=1_000, help="how many moves of the champion")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second meanwhile")
    parser.add_argument("--users", type=int, default=40, help="how many users are asked about")
    parser.add_argument("--work", type=Path, default=None, help="a folder with room for the workspace")
    return parsed(parser, RESULTS)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
