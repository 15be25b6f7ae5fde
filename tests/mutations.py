"""The mutations that the tests must notice: see mutation.py."""

from typing import NamedTuple

LOSSES, MINERS = "tests/contract/test_losses.py", "tests/contract/test_miners.py"
MEMORY = "tests/losses/test_cross_batch_memory.py"


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
    Mutation("losses/nca.py", "negative - positive", "positive - negative", LOSSES, "nca"),
    Mutation("losses/ranked_list.py", "torch.lerp(pulls, pushes", "torch.lerp(pushes, pulls", LOSSES, "ranked"),
    Mutation(
        "losses/large_margin_softmax.py",
        "(1 - 2 * (k % 2)) * power - 2 * k",
        "power - 2 * k",
        LOSSES,
        "large or sphere",
    ),
    # Masks
    Mutation(
        "functional/pairs.py",
        "same.scatter_(1, own[:, None], False)",
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
        "others = distances.masked_fill(~pairs.negative, torch.inf)",
        "others = distances.masked_fill(pairs.positive, torch.inf)",
        MINERS,
        "random-hard or semi-hard",
    ),
    Mutation(
        "functional/draws.py",
        "return (far > near + above) & (far < near + below)",
        "return far < near + below",
        MINERS,
        "semi-hard",
    ),
    Mutation(
        "functional/draws.py",
        "return (far > near + above) & (far < near + below)",
        "return far > near + above",
        MINERS,
        "random-hard or semi-hard",
    ),
    Mutation("miners/angular.py", " & look(pairs.negative, anchor)", "", MINERS, "angular"),
    Mutation(
        "losses/multi_similarity.py",
        "candidates.positive.any(dim=1) & candidates.negative.any(dim=1)",
        "pairs.positive.any(dim=1) & pairs.negative.any(dim=1)",
        LOSSES,
        "multi-similarity",
    ),
    Mutation(
        "losses/sub_center_arcface.py",
        "rest = rest - slopes[:, k]",
        "pass",
        "tests/losses/test_class_weights.py",
        "ties",
    ),
    Mutation("functional/soft_histogram.py", "torch.zeros_like(gradient[:, -1])", "-gradient[:, -1]", LOSSES, "fast"),
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
    Mutation("losses/fast_ap.py", "pairs.positive | pairs.negative", "pairs.negative", LOSSES, "fast"),
    Mutation("relevance.py", "common > 0, own", "common >= self.share, own", LOSSES, "multi-label"),
    Mutation(
        "miners/batch_easy_hard.py", "distances > near[:, None]", "distances >= near[:, None]", MINERS, "easy-hard"
    ),
    # Margins and bounds
    Mutation(
        "losses/contrastive.py",
        "contrastive_slopes(fixed, pairs.positive, self.margin, self.positive_margin)",
        "contrastive_slopes(fixed, pairs.positive)",
        LOSSES,
        "contrastive",
    ),
    Mutation("losses/contrastive.py", "distances - positive_margin", "distances", LOSSES, "contrastive"),
    Mutation("losses/contrastive.py", 'kept != 0 if self.average == "active" else mask', "mask", LOSSES, "contrastive"),
    Mutation("losses/contrastive.py", "kept.sign_()", "kept.abs_()", LOSSES, "contrastive"),
    Mutation("losses/triplet.py", "softplus(differences + self.margin)", "softplus(differences)", LOSSES, "soft-easy"),
    Mutation(
        "losses/triplet.py",
        "triplet_soft_margin_sums(distances, pairs.positive, pairs.negative, self.margin)",
        "triplet_soft_margin_sums(distances, pairs.positive, pairs.negative)",
        LOSSES,
        "triplet-soft",
    ),
    Mutation(
        "losses/triplet.py",
        "triplet_hinge_sums(distances, pairs.positive, pairs.negative, self.margin)",
        "triplet_hinge_sums(distances, pairs.positive, pairs.negative, 1.0)",
        LOSSES,
        "triplet-active",
    ),
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
    Mutation("losses/ranked_list.py", "self.boundary - self.margin)", "self.boundary)", LOSSES, "ranked"),
    Mutation(
        "losses/circle.py",
        "(similarities.detach() + self.margin)",
        "(similarities.detach() - self.margin)",
        LOSSES,
        "circle",
    ),
    Mutation("losses/arcface.py", "beyond = cosines < -math.cos(margin)", "beyond = cosines < -1", LOSSES, "arcface"),
    # What is remembered
    Mutation(
        "losses/cross_batch_memory.py",
        "nonzero()[-self.size :, 0]",
        "nonzero()[: self.size, 0]",
        MEMORY,
        "last_remembered",
    ),
    Mutation(
        "losses/cross_batch_memory.py", "references.embeddings.detach()", "references.embeddings", LOSSES, "memory"
    ),
    Mutation("losses/cross_batch_memory.py", "part.total * self.memory_weight", "part.total", LOSSES, "memory"),
    Mutation("losses/cross_batch_memory.py", "isfinite()", "isnan().logical_not()", MEMORY, "not_finite"),
    Mutation(
        "losses/cross_batch_memory.py",
        "int(self.step) <= self.start_step",
        "int(self.step) < self.start_step",
        MEMORY,
        "last_remembered",
    ),
    Mutation(
        "losses/dynamic_soft_margin.py",
        "torch.where(self.started, self.momentum, 1.0)",
        "torch.where(self.started, 1.0, 1.0)",
        "tests/losses/test_whole_batch.py",
        "histogram",
    ),
    # Draws, sums and blocks
    Mutation("losses/vicreg.py", "(len(rows) - 1)", "len(rows)", LOSSES, "vicreg"),
    Mutation("losses/histogram.py", "positive.cumsum(0)", "(positive.cumsum(0) - positive)", LOSSES, "histogram"),
    Mutation("losses/weighted_sum.py", "part.total * weight", "part.total", LOSSES, "weighted"),
    Mutation(
        "miners/hard_negative_pairs.py",
        "row_counts(pairs.positive).sum()",
        "row_counts(pairs.negative).sum()",
        MINERS,
        "hard-negative-pairs",
    ),
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
        "None if keys is None else keys[: part.stop - part.start]",
        MINERS,
        "random-hard",
    ),
]
