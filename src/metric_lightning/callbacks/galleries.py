"""Pictures of the samples that an embedding gets wrong."""

from lightning.pytorch import Trainer
from torch import Tensor

from metric_lightning.callbacks.hard_cases import hardest_triplets, worst_queries
from metric_lightning.callbacks.images import as_images
from metric_lightning.callbacks.loss_distances import distance_name, loss_distances
from metric_lightning.callbacks.pictures import write_figure
from metric_lightning.callbacks.samples import PART_TITLES, Samples, Stage, samples_of
from metric_lightning.callbacks.snapshot import SnapshotCallback
from metric_lightning.modules import MetricModule
from metric_lightning.plots import Picture, gallery_figure


class Galleries(SnapshotCallback):
    """Shows images that lie in the wrong place, in TensorBoard and as PNG in the run's folder `figures/`.

    Of the validation set, and after `test` of the test set:

    - `hardest_val.png`: anchor, farthest sample of its class, closest sample of another, with the distances;
    - `retrieval_val.png`: queries and what they retrieve from training samples, the worst queries first, and in the
      last quarter of the rows queries as good as half of all; right ones framed in solid blue, wrong ones in dashed
      vermilion.

    Where inputs are no images nothing is drawn, and that is said once.

    Cost: 0.6 s for 500 samples on one core, most of it for drawing; O(max_points^2) memory.

    Args:
        every_n_epochs: also draw during training; None: only at its end.
        max_points: samples of the validation (test) and of the training set that are searched.
        rows: of a gallery.
        neighbours: retrieved for a query.
        seed: of the choice of samples.

    Raises:
        ValueError: max_points is less than 2, rows or neighbours less than 1, or see `SnapshotCallback`.
    """

    def __init__(
        self,
        every_n_epochs: int | None = None,
        max_points: int = 500,
        rows: int = 8,
        neighbours: int = 8,
        seed: int = 0,
    ):
        super().__init__(every_n_epochs)
        for name, value, least in (("max_points", max_points, 2), ("rows", rows, 1), ("neighbours", neighbours, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self.max_points = max_points
        self.rows = rows
        self.neighbours = neighbours
        self.seed = seed

    def snapshot(self, trainer: Trainer, module: MetricModule, stage: Stage, epoch: int) -> None:
        samples = samples_of(trainer, module, stage, self.max_points, self.seed)
        gallery = samples_of(trainer, module, "train", self.max_points, self.seed)
        if samples is None or not trainer.is_global_zero:
            return
        images = as_images(samples.inputs())
        items = None if gallery is None else as_images(gallery.inputs())
        if images is None:
            self.say_once(trainer, "draws nothing: inputs are no images, or there is no data module to load them.")
            return
        where = f"{PART_TITLES[stage]}, {'after the test' if stage == 'test' else f'after epoch {epoch}'}"
        self._hardest(trainer, module, samples, images, f"hardest_{stage}", where)
        if gallery is not None and items is not None:
            self._retrieval(trainer, module, (samples, images), (gallery, items), f"retrieval_{stage}", where)

    def _hardest(
        self, trainer: Trainer, module: MetricModule, samples: Samples, images: Tensor, name: str, where: str
    ) -> None:
        distances = loss_distances(module.loss, samples.embeddings, samples.embeddings)
        rows = []
        for anchor, positive, negative in zip(
            *(column.tolist() for column in hardest_triplets(distances, samples.labels, self.rows)), strict=True
        ):
            caption = "{} at {:.3g}"
            rows.append(
                [
                    Picture(images[anchor], f"{samples.name(anchor)}, index {int(samples.indices[anchor])}"),
                    Picture(images[positive], caption.format(samples.name(positive), distances[anchor, positive])),
                    Picture(images[negative], caption.format(samples.name(negative), distances[anchor, negative])),
                ]
            )
        if rows:
            titles = ["anchor", "farthest of\nits class", "closest of\nanother"]
            write_figure(
                trainer,
                name,
                gallery_figure(rows, titles, f"Hardest triplets by {distance_name(module.loss)} distance, {where}"),
            )

    def _retrieval(
        self,
        trainer: Trainer,
        module: MetricModule,
        queries: tuple[Samples, Tensor],
        gallery: tuple[Samples, Tensor],
        name: str,
        where: str,
    ) -> None:
        (samples, images), (items, item_images) = queries, gallery
        distances = loss_distances(module.loss, samples.embeddings, items.embeddings)
        ranked = worst_queries(distances, samples.labels, items.labels, self.neighbours, len(samples.labels))
        chosen, middling = _worst_and_middling(len(ranked.query), self.rows)
        rows = []
        for query, found, right in zip(*(column[chosen].tolist() for column in ranked), strict=True):
            rows.append([Picture(images[query], f"{samples.name(query)}, index {int(samples.indices[query])}")])
            for item, is_right in zip(found, right, strict=True):
                caption = f"{items.name(item)} at {distances[query, item]:.3g}"
                rows[-1].append(Picture(item_images[item], caption, is_right))
        if rows:
            titles = ["query", *(f"nearest\n{rank + 1}" for rank in range(ranked.items.shape[1]))]
            then = f", then {middling} of the middle," if middling else ""
            title = f"Worst queries{then} among training samples by {distance_name(module.loss)} distance, {where}"
            write_figure(trainer, name, gallery_figure(rows, titles, title))


def _worst_and_middling(count: int, rows: int) -> tuple[list[int], int]:
    """Return the places of the queries to show, of `count` from worst to best, and how many of them are middling."""
    if count <= rows:
        return list(range(count)), 0
    middling = rows // 4
    worst = rows - middling
    start = max(worst, (count - middling) // 2)
    return [*range(worst), *range(start, start + middling)], middling
