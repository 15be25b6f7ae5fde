"""Measures tracking on the part of a video that was not trained on, against overlap and colours.

    python -m experiments.track --embeddings a.ckpt b.ckpt c.ckpt --pairs d.ckpt e.ckpt f.ckpt

Checkpoints of one list are the same method from different seeds. Prints, and writes to lightning_logs/tracking/:
- how often the right person is found again after some frames, in one optimal assignment, by each score alone and fused;
- IDF1, identity switches and MOTA of whole trackers, on the annotated boxes without their identities and on a poorer
  detector's (boxes left out and shaken). Each tracker's threshold and patience are chosen by IDF1 in the time to train
  on, on boxes without identities; the test part takes no part in the choice.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from itertools import product

import numpy as np

from experiments.harness.statistics import interval
from metric_lightning.applications.tracking.appearance import (
    Appearance,
    ColourHistogram,
    RememberedAppearance,
    appearance_of,
)
from metric_lightning.applications.tracking.association import AppearanceScore, OverlapScore, Score
from metric_lightning.applications.tracking.data import VideoIdentities
from metric_lightning.applications.tracking.detections import Detections, write_mot
from metric_lightning.applications.tracking.evaluation import (
    association_accuracy,
    degraded,
    learned_score,
    mot_figures,
)
from metric_lightning.applications.tracking.rendering import crossings, strip
from metric_lightning.applications.tracking.tracker import Tracker
from metric_lightning.applications.tracking.video import crops
from metric_lightning.command_line.run_folder import LOGS
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.plots.canvas import png

_FOLDER = LOGS / "tracking"
_THRESHOLDS, _PATIENCE = (0.05, 0.2, 0.5), (5, 15, 30, 50)
_DETECTORS = {"annotated boxes": (0.0, 0.0), "30% missing, shaken": (0.3, 0.05)}


class Part:
    """Boxes of a time, with their crops."""

    def __init__(self, data: VideoIdentities, boxes: Detections):
        self.boxes = boxes
        self.crops = crops(data.video, boxes.frames, boxes.boxes, data.size, data.margin)
        self._remembered: dict[Appearance, Appearance] = {}

    def score(self, score: Score) -> Score:
        """Return the score for these crops, each pair of which is judged once, whoever asks."""
        if score.appearance is None:
            return score
        if score.appearance not in self._remembered:
            self._remembered[score.appearance] = RememberedAppearance(score.appearance, self.crops)
        here = copy.copy(score)
        here.appearance = self._remembered[score.appearance]
        return here


def main(arguments: Sequence[str]) -> str:
    """Measure and return the tables."""
    options = _options(arguments)
    data = VideoIdentities(
        options.video,
        options.annotations,
        train_until=options.train_until,
        validation_identities=options.validation_identities,
    )
    is_early = data.annotated.frames <= data.train_until
    early, late = Part(data, data.annotated.where(is_early)), Part(data, data.annotated.where(~is_early))
    methods = _methods(options, data, early)
    tables = []
    if "association" in options.tables:
        tables.append(_association_table(methods, late, options.gaps))
    if "trackers" in options.tables:
        tables.append(_tracker_table(methods, data, early, late, options.video))
    text = "\n\n".join(tables) + "\n"
    write_atomically(_FOLDER / f"{'_'.join(options.tables)}.md", text)
    return text


def _methods(options: argparse.Namespace, data: VideoIdentities, early: Part) -> dict[str, list[Score]]:
    """Return each method's scores, one for each seed."""
    known: dict[str, list[Appearance]] = {"colours": [ColourHistogram()]}
    known |= {"embedding": [appearance_of(path) for path in options.embeddings]}
    known |= {"stacked pairs": [appearance_of(path) for path in options.pairs]}

    # Whoever trained the networks is left out: they know their own too well. People of the test part are not there.
    allowed = np.isin(early.boxes.identities, [*data.train_identities, *data.validation_identities])

    def fused(appearance: Appearance | None, seed: int) -> Score:
        boxes, images = early.boxes.where(allowed), early.crops[allowed]
        return learned_score(appearance, boxes, images, data.validation_identities, seed=seed)

    methods: dict[str, list[Score]] = {"overlap": [OverlapScore()], "overlap, moved on": [OverlapScore(velocity=True)]}
    methods |= {name: [AppearanceScore(one) for one in found] for name, found in known.items()}
    methods["motion and overlap, learned"] = [fused(None, 0)]
    for name, found in known.items():
        methods[f"{name} + motion and overlap"] = [fused(one, seed) for seed, one in enumerate(found)]
    return {name: scores for name, scores in methods.items() if scores}


def _association_table(methods: dict[str, list[Score]], late: Part, gaps: Sequence[int]) -> str:
    counts = [association_accuracy(OverlapScore(), late.boxes, late.crops, gap).asked for gap in gaps]
    rows = [["found again after", *(f"{gap} frames ({count})" for gap, count in zip(gaps, counts, strict=True))]]
    for name, scores in methods.items():
        cells = []
        for gap in gaps:
            cells.append(_cell([_found_again(one, late, gap) for one in scores]))
        rows.append([name, *cells])
        print(rows[-1], file=sys.stderr, flush=True)
    return _table(rows)


def _found_again(score: Score, part: Part, gap: int) -> float:
    return association_accuracy(part.score(score), part.boxes, part.crops, gap).accuracy


def _tracker_table(methods: dict[str, list[Score]], data: VideoIdentities, early: Part, late: Part, video: str) -> str:
    rows = [["tracker", "detector", "threshold, patience", "IDF1", "identity switches", "MOTA"]]
    for detector, (missing, jitter) in _DETECTORS.items():
        tuning, test = (
            Part(data, degraded(part.boxes, missing, jitter, seed)) for seed, part in enumerate((early, late))
        )
        for name, scores in methods.items():
            if isinstance(scores[0], AppearanceScore):
                continue  # looks alone make no tracker: half the people here wear black
            settings = [_tuned(one, tuning, early.boxes) for one in scores]
            found = []
            for number, (one, (least, patience)) in enumerate(zip(scores, settings, strict=True)):
                tracks = Tracker(test.score(one), least, patience).track(test.boxes, test.crops)
                found.append(mot_figures(late.boxes, tracks))
                label = f"{name}, {detector}, {number}".replace(" ", "_").replace("%", "").replace(",", "")
                write_mot(_FOLDER / f"{label}.txt", tracks)
                if number == 0:
                    shown = crossings(test.boxes)
                    write_atomically(_FOLDER / f"{label}.png", png(strip(video, tracks, shown)))
            figures = [_cell([each[key] for each in found]) for key in ("idf1", "num_switches", "mota")]
            rows.append([name, detector, "; ".join(f"{least}, {patience}" for least, patience in settings), *figures])
            print(rows[-1], file=sys.stderr, flush=True)
    return _table(rows)


def _tuned(score: Score, part: Part, truth: Detections) -> tuple[float, int]:
    """Return the threshold and patience with the best IDF1 in the time to train on; of equal ones the first."""
    here = part.score(score)

    def idf1(setting: tuple[float, int]) -> float:
        tracker = Tracker(here, *setting)
        return mot_figures(truth, tracker.track(part.boxes, part.crops))["idf1"]

    return max(product(_THRESHOLDS, _PATIENCE), key=idf1)


def _cell(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    mean, half, _ = interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- |" + " ---: |" * (len(rows[0]) - 1), *lines[1:]])


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m experiments.track", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--video", default="data/tracking/vtest.avi")
    add("--annotations", default="data/tracking/ground_truth.csv")
    add("--train_until", type=int, default=405)
    add("--validation_identities", type=int, nargs="+", default=[11, 15, 17], help="as the checkpoints had them")
    add("--embeddings", nargs="*", default=[], help="checkpoints of experiments/tracking/siamese.yaml")
    add("--pairs", nargs="*", default=[], help="checkpoints of experiments/tracking/stacked_pairs.yaml")
    add("--gaps", type=int, nargs="+", default=[5, 10, 30, 50], help="in frames")
    add("--tables", nargs="+", choices=("association", "trackers"), default=["association", "trackers"])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
