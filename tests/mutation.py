"""Flips signs, masks and margins in losses, miners and their functions, and shows that the contract tests notice.

    OMP_NUM_THREADS=1 python -m tests.mutation            (about five minutes)
    OMP_NUM_THREADS=1 python -m tests.mutation triplet    (mutations of files whose path holds the word)

Each mutation is made in a copy of the repository, never in the repository itself. The status is 1 where one survives.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "src/metric_lightning"
LOSSES, MINERS = "tests/contract/test_losses.py", "tests/contract/test_miners.py"


class Mutation(NamedTuple):
    """Text that stands once in a file, what replaces it, and where the tests that must notice are."""

    file: str
    before: str
    after: str
    tests: str
    cases: str


MUTATIONS = [
    # Signs
    Mutation(
        "losses/contrastive.py",
        "(distances - margin).clamp_max_(0)",
        "(margin - distances).clamp_max_(0)",
        LOSSES,
        "contrastive",
    ),
    Mutation("functional/triplets.py", "torch.neg(beaten, out", "torch.abs(beaten, out", LOSSES, "triplet"),
    Mutation("functional/triplets.py", "torch.neg(pushes, out", "torch.abs(pushes, out", LOSSES, "triplet-soft"),
    Mutation(
        "functional/triplet_bands.py", "slopes[rows] -= pushes", "slopes[rows] += pushes", LOSSES, "triplet-margin"
    ),
    Mutation(
        "functional/distance_derivatives.py",
        "weights, y, alpha=-1) if needed[0]",
        "weights, y, alpha=1) if needed[0]",
        LOSSES,
        "contrastive or triplet",
    ),
    Mutation(
        "functional/distance_derivatives.py",
        "weights.T, x, alpha=-1) if needed[1]",
        "weights.T, x, alpha=1) if needed[1]",
        LOSSES,
        "contrastive or triplet",
    ),
    Mutation(
        "functional/distance_derivatives.py",
        "weights, x, alpha=-1).addmm_(weights.T, x, alpha=-1)",
        "weights, x, alpha=-1).addmm_(weights.T, x, alpha=1)",
        LOSSES,
        "contrastive or triplet",
    ),
    Mutation(
        "functional/distance_derivatives.py",
        "to_x.addmm_(weights.T, x, alpha=-1), None",
        "to_x.addmm_(weights.T, x, alpha=1), None",
        LOSSES,
        "n-pairs or info-nce",
    ),
    Mutation(
        "functional/log_sums.py", "pulls.mul_(-ctx.scale)", "pulls.mul_(ctx.scale)", LOSSES, "n-pairs or info-nce"
    ),
    Mutation("functional/log_sums.py", "pulls.mul_(bend)", "pass", LOSSES, "tuplet"),
    Mutation(
        "functional/triplet_bands.py", "scatter_add_(1, columns[rows], of_positives)", "zero_()", LOSSES, "margin-band"
    ),
    Mutation("losses/margin.py", "positive, gaps, -gaps)", "positive, gaps, gaps)", LOSSES, "margin-band"),
    Mutation("losses/soft_triple.py", "classes, pulls, classes, alpha=-1", "classes, pulls, classes", LOSSES, "triple"),
    Mutation("losses/instance.py", "div_(-self.scale)", "div_(self.scale)", LOSSES, "instance"),
    Mutation(
        "functional/class_costs.py", "scatter_(1, column, -margin", "scatter_(1, column, margin", LOSSES, "cosface"
    ),
    Mutation(
        "miners/multi_similarity.py", "closest - self.epsilon", "closest + self.epsilon", MINERS, "multi-similarity"
    ),
    Mutation(
        "miners/distance_weighted.py",
        "2 - self.dimensions_used",
        "self.dimensions_used - 2",
        MINERS,
        "distance-weighted",
    ),
    # Masks
    Mutation(
        "functional/pairs.py",
        "return Pairs(without_self(same, own), ~same)",
        "return Pairs(same, ~same)",
        LOSSES,
        "contrastive or triplet",
    ),
    Mutation("losses/contrastive.py", "slopes.masked_fill(~mask, 0)", "slopes", LOSSES, "contrastive"),
    Mutation(
        "functional/triplets.py",
        "active[rows] = closer.sum(dim=1)",
        "active[rows] = closer.sum(dim=1) + 1",
        LOSSES,
        "triplet-active",
    ),
    Mutation(
        "functional/distance_derivatives.py",
        "threshold(distances, 0, torch.inf)",
        "distances.clone()",
        LOSSES,
        "contrastive or triplet",
    ),
    Mutation(
        "functional/draws.py",
        "fits(anchor, positive, look_at_tries) & look_at_tries(pairs.negative, anchor)",
        "fits(anchor, positive, look_at_tries)",
        MINERS,
        "random-hard or semi-hard",
    ),
    Mutation(
        "functional/draws.py",
        "fits(anchor[few], positive[few], look_at_all) & pairs.negative[anchor[few]]",
        "fits(anchor[few], positive[few], look_at_all)",
        MINERS,
        "random-hard or semi-hard",
    ),
    Mutation(
        "miners/batch_hard.py",
        "masked_fill(~pairs.negative, torch.inf)",
        "masked_fill(pairs.positive, torch.inf)",
        MINERS,
        "batch-hard",
    ),
    Mutation(
        "miners/uniform_histogram.py", "mask.reshape(-1)", "torch.ones_like(mask).view(-1)", MINERS, "uniform-histogram"
    ),
    # Margins and bounds
    Mutation(
        "losses/contrastive.py",
        "contrastive_slopes(fixed, pairs.positive, self.margin)",
        "contrastive_slopes(fixed, pairs.positive)",
        LOSSES,
        "contrastive",
    ),
    Mutation("losses/triplet.py", "pairs.negative, self.margin)", "pairs.negative, 1.0)", LOSSES, "triplet-active"),
    Mutation(
        "losses/base.py", "self.miner.use_margin(margin)", "self.miner.use_margin(0.0)", LOSSES, "triplet-hardest"
    ),
    Mutation("miners/hardest_negative.py", "+ self.margin_used > 0", "> 0", MINERS, "hardest-negative"),
    Mutation("miners/semi_hard_negative.py", "0.0, self.margin_used", "-1.0, self.margin_used", MINERS, "semi-hard"),
    Mutation(
        "miners/pair_margin.py",
        "distances < self.negative_margin",
        "distances < self.positive_margin",
        MINERS,
        "pair-margin",
    ),
    Mutation("miners/angular.py", "- side / 4", "", MINERS, "angular"),
    # Draws, sums and blocks
    Mutation("functional/draws.py", "random_below(keys, counts)", "0", MINERS, "random-hard or semi-hard or angular"),
    Mutation(
        "functional/hashing.py", "anchors + start", "anchors * 0 + start", MINERS, "random-hard or random-negative"
    ),
    Mutation("miners/base.py", "self.step += 1", "pass", MINERS, "random-hard"),
    Mutation(
        "losses/blocks.py",
        "accumulated[start : start + len(gradient)]",
        "accumulated[: len(gradient)]",
        LOSSES,
        "contrastive",
    ),
    Mutation(
        "losses/base.py",
        "ratio.count.masked_fill(ratio.count == 0, 1)",
        "ratio.count",
        LOSSES,
        "contrastive or triplet",
    ),
    Mutation(
        "losses/base.py",
        "None if keys is None else keys[part]",
        "None if keys is None else keys[: len(x)]",
        MINERS,
        "random-hard",
    ),
]


def copy_of_the_repository(folder: Path) -> None:
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def tests_pass(folder: Path, tests: str, cases: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests, "-k", cases]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} did not run:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == 0


def survives(folder: Path, mutation: Mutation) -> bool:
    path = folder / PACKAGE / mutation.file
    original = path.read_text()
    if original.count(mutation.before) != 1:
        raise ValueError(f"{mutation.file} holds {mutation.before!r} {original.count(mutation.before)} times, not once")
    path.write_text(original.replace(mutation.before, mutation.after))
    try:
        return tests_pass(folder, mutation.tests, mutation.cases)
    finally:
        path.write_text(original)


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [mutation for mutation in MUTATIONS if wanted in mutation.file]
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_repository(folder)
        for tests, cases in sorted({(mutation.tests, mutation.cases) for mutation in chosen}):
            if not tests_pass(folder, tests, cases):
                raise RuntimeError(f"{tests} -k {cases!r} fails without any mutation")
        for mutation in chosen:
            alive = survives(folder, mutation)
            survivors += alive
            words = "SURVIVES" if alive else "caught"
            print(f"{words:9}{mutation.file}: {mutation.before}  ->  {mutation.after or '(nothing)'}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutations caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
