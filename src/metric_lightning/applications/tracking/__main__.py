"""Tracks the people of a video: `python -m metric_lightning.applications.tracking --video V --detections D ...`.

Writes to a folder: tracks.txt in MOT format, strip.png, and with --movie tracks.mp4. Detections are a CSV file or a MOT
text; their identities, if any, are not looked at. Without --checkpoint boxes alone are compared (overlap at constant
velocity); with it a classifier of appearance, motion and overlap is learned from --annotations, boxes with identities
of the same or another video (--annotated_video), best of people that the checkpoint was not trained on (--identities).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from metric_lightning.applications.tracking.appearance import appearance_of
from metric_lightning.applications.tracking.association import OverlapScore, Score
from metric_lightning.applications.tracking.detections import read_detections, write_mot
from metric_lightning.applications.tracking.evaluation import learned_score, mot_figures
from metric_lightning.applications.tracking.rendering import crossings, strip, write_video
from metric_lightning.applications.tracking.tracker import Tracker
from metric_lightning.applications.tracking.video import crops
from metric_lightning.command_line.failures import sentence_of
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.plots.canvas import png


def track(arguments: Sequence[str]) -> str:
    """Track, write the files, and return what to say.

    Raises:
        UserError: an argument or a file is wrong.
    """
    options = _options(arguments)
    found = read_detections(options.detections)
    kept = (found.frames >= options.first_frame) & found.considered
    if options.last_frame is not None:
        kept &= found.frames <= options.last_frame
    detections = found.where(kept)
    if not len(detections.frames):
        raise UserError(f"{options.detections} has no box from frame {options.first_frame} on; move --first_frame")
    score, images = _score(options), None
    if score.appearance is not None:
        images = crops(options.video, detections.frames, detections.boxes, tuple(options.size), options.margin)
    tracks = Tracker(score, options.least_score, options.max_gap, options.least_detections).track(detections, images)
    folder = Path(options.output)
    write_mot(folder / "tracks.txt", tracks)
    write_atomically(folder / "strip.png", png(strip(options.video, tracks, crossings(tracks))))
    if options.movie:
        write_video(folder / "tracks.mp4", options.video, tracks)
    count = len(set(tracks.identities.tolist()))
    said = [f"{count} tracks of {len(tracks.frames)} boxes in {folder}"]
    if options.evaluate:
        said += [f"{name}: {value:.4g}" for name, value in mot_figures(detections, tracks).items()]
    return "\n".join(said)


def _score(options: argparse.Namespace) -> Score:
    if options.checkpoint is None:
        return OverlapScore(velocity=True)
    if options.annotations is None:
        raise UserError("--checkpoint needs --annotations: boxes with identities to learn the weighing of cues from")
    known = read_detections(options.annotations)
    known = known.where(known.considered)
    if options.annotated_until is not None:
        known = known.where(known.frames <= options.annotated_until)
    video = options.annotated_video or options.video
    images = crops(video, known.frames, known.boxes, tuple(options.size), options.margin)
    identities = options.identities or sorted(set(known.identities.tolist()))
    return learned_score(appearance_of(options.checkpoint), known, images, identities)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m metric_lightning.applications.tracking",
        description=(__doc__ or "").partition("\n\n")[2],
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--video", required=True, help="file that OpenCV reads")
    add("--detections", required=True, help="boxes to be tracked: CSV (frame,id,x,y,w,h[,conf]) or MOT text")
    add("--output", default="tracks", help="folder to write to")
    add("--checkpoint", help="of an embedding or a stacked-pair classifier (experiments/tracking)")
    add("--annotations", help="boxes with identities, to learn the weighing of cues from")
    add("--annotated_video", help="the video of --annotations, where it is another one")
    add("--annotated_until", type=int, help="last frame of --annotations to learn from")
    add("--identities", type=int, nargs="+", help="whom to learn from; default: all annotated")
    add("--first_frame", type=int, default=1, help="of the detections")
    add("--last_frame", type=int, help="of the detections")
    add("--least_score", type=float, default=0.3, help="below it a detection does not continue a track")
    add("--max_gap", type=int, default=30, help="frames for which a lost track is looked for")
    add("--least_detections", type=int, default=1, help="tracks with fewer are left out")
    add(
        "--size",
        type=int,
        nargs=2,
        default=(64, 32),
        help="height and width of crops, as in training",
    )
    add("--margin", type=float, default=0.1, help="share of a box added on each side, likewise")
    add("--movie", action="store_true", help="write tracks.mp4 too")
    add("--evaluate", action="store_true", help="the detections' identities are true ones: print MOT figures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        print(track(sys.argv[1:]))
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        sys.exit(2)
