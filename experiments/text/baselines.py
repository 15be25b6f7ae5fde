"""What a learned lookup of texts has to beat: edit distance and character n-grams, on the very queries and items.

    python -m experiments.text.baselines --config experiments/text/misspellings.yaml [--ckpt_path PATH] [--table FILE]

prints recall@1 of the test part's first texts among all different second texts, with 95% intervals over queries (1.96
standard errors). Equally near items count with the expected value of a draw among them. With `--ckpt_path` the trained
network stands beside them.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from jsonargparse import ArgumentParser
from sklearn.feature_extraction.text import TfidfVectorizer

from metric_lightning.data import TextPairsModule
from metric_lightning.functional.few_shot import Estimate, accuracy_of_scores, estimate
from metric_lightning.metrics import LookupAccuracy
from metric_lightning.modules import TwoTowerModule

_ROWS = 256

Scores = Callable[[Sequence[str]], np.ndarray]


def queries_and_items(data: TextPairsModule) -> tuple[list[str], list[str], torch.Tensor]:
    """Return the test part's first texts, all different second texts, and which of these is right for each query."""
    tested = set(data.split.classes(data.own_class_names).test)
    names = [data.own_class_names[number] for number in sorted(tested)]
    right = set(names)
    items = data.own_class_names
    place = {name: number for number, name in enumerate(items)}
    asked = [(first, place[second]) for first, second in data.pairs if second in right]
    return [first for first, _ in asked], items, torch.tensor([number for _, number in asked])


def recall_at_1(queries: Sequence[str], right: torch.Tensor, scores: Scores) -> Estimate:
    """Return the share of queries whose right item has the highest score (rows of queries -> (rows, items))."""
    hits = []
    for start in range(0, len(queries), _ROWS):
        table = torch.from_numpy(np.asarray(scores(queries[start : start + _ROWS])))
        hits.append(accuracy_of_scores(table, right[start : start + _ROWS]))
    return estimate(torch.cat(hits))


def edit_distance(items: Sequence[str]) -> Scores:
    """Score by minus the Levenshtein distance: the least number of letters put in, left out or replaced."""
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    return lambda queries: -process.cdist(queries, items, scorer=Levenshtein.distance, dtype=np.int32)


def transposing_distance(items: Sequence[str]) -> Scores:
    """Score by minus the optimal string alignment distance: swapping two neighbours is one step too."""
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    return lambda queries: -process.cdist(queries, items, scorer=OSA.distance, dtype=np.int32)


def character_ngrams(items: Sequence[str]) -> Scores:
    """Score by the cosine of TF-IDF weighted counts of 1 to 3 characters within words, weights from the items."""
    counter = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), sublinear_tf=True)
    known = counter.fit_transform(items).T.tocsr()
    # Rounded, so that equal texts tie whatever the order of their sums.
    return lambda queries: (counter.transform(queries) @ known).toarray().round(9)


def of_network(data: TextPairsModule, checkpoint: Path) -> dict[str, float]:
    """Return the figures of a trained network, as `test` has them."""
    module = TwoTowerModule.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu")
    tested, others = module.embed(data.test_dataloader()), module.embed(data.untested_dataloader())
    figures = LookupAccuracy().evaluate(tested, others)
    assert figures["lookup_items"] == len(data.own_class_names), "every different second text must be there to choose"
    return figures


def data_of(config: Path, table: str | None) -> TextPairsModule:
    """Build the data module that a config names."""
    parser = ArgumentParser()
    parser.add_subclass_arguments(TextPairsModule, "data")
    wanted = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]
    if table is not None:
        wanted["init_args"]["table"] = table
    data: TextPairsModule = parser.instantiate(parser.parse_object({"data": wanted})).data
    return data


def main(arguments: Sequence[str] | None = None) -> dict[str, Estimate]:
    """Print the table, and return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--ckpt_path", type=Path)
    parser.add_argument("--table")
    given = parser.parse_args(arguments)
    data = data_of(given.config, given.table)
    queries, items, right = queries_and_items(data)
    print(f"{len(queries)} queries, {len(items)} items")
    print("| method | recall@1 |\n| --- | ---: |")
    found: dict[str, Estimate] = {}
    for method in (edit_distance, transposing_distance, character_ngrams):
        found[method.__name__] = recall_at_1(queries, right, method(items))
        _row(method.__name__.replace("_", " "), found[method.__name__])
    if given.ckpt_path:
        figures = of_network(data, given.ckpt_path)
        found["network"] = Estimate(figures["lookup_recall_at_1"], figures["lookup_recall_at_1_interval"])
        _row("network", found["network"])
    return found


def _row(name: str, value: Estimate) -> None:
    print(f"| {name} | {value.mean:.4f} ± {value.interval:.4f} |", flush=True)


if __name__ == "__main__":
    main()
