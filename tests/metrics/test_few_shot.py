import io
import math
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from metric_lightning.functional.few_shot import draw_episodes, estimate
from metric_lightning.metrics import (
    EmbeddedSet,
    FewShotAccuracy,
    OneShotRun,
    load_trials,
    score_trials,
    trial_scores_of_embeddings,
)


def embedded(embeddings, labels):
    return EmbeddedSet(embeddings, labels, torch.arange(len(labels)))


def slow(embeddings, episodes, prototype):
    values = []
    for support, queries in zip(*episodes, strict=True):
        hits = []
        for right, asked in enumerate(queries):
            for q in asked:
                known = [embeddings[one] for one in support]
                if prototype:
                    known = [k.double().mean(0, keepdim=True) for k in known]
                d = torch.stack([(k.double() - embeddings[q].double()).norm(dim=1).min() for k in known])
                nearest = (d <= d.min() + 1e-12).nonzero()[:, 0].tolist()
                hits.append((right in nearest) / len(nearest))
        values.append(np.mean(hits))
    return values


@pytest.mark.parametrize("kind", ["random", "tied", "duplicates"])
@pytest.mark.parametrize(("ways", "shots", "queries"), [(5, 1, 3), (2, 4, 1), (6, 2, 2)])
def test_equals_a_loop(ways, shots, queries, kind):
    labels = torch.randint(6, (90,)) * 5
    embeddings = torch.randn(90, 4)
    if kind == "tied":
        embeddings = torch.randint(3, (90, 2)).float()
    if kind == "duplicates":
        embeddings[:60] = embeddings[0]
    episodes = draw_episodes(labels, 70, ways, shots, queries, seed=3)
    metric = FewShotAccuracy(ways, shots, queries, episodes=70, seed=3)
    values = metric.values(embedded(embeddings, labels))
    figures = metric.evaluate(embedded(embeddings, labels))
    for rule in ("nearest", "prototype"):
        expected = slow(embeddings, episodes, rule == "prototype")
        np.testing.assert_allclose(values[rule].numpy(), expected, atol=1e-12)
        assert figures[f"{ways}_way_{shots}_shot_{rule}"] == pytest.approx(np.mean(expected))
        interval = 1.96 * np.std(expected, ddof=1) / math.sqrt(70)
        assert figures[f"{ways}_way_{shots}_shot_{rule}_interval"] == pytest.approx(interval)


def test_episodes_are_fair_and_seeded():
    labels = torch.tensor([0] * 10 + [3] * 7 + [4] * 30 + [9] * 2)
    drawn = draw_episodes(labels, 400, 2, 3, 2, seed=0)
    both = torch.cat(drawn, dim=2)
    assert all(len(set(episode.flatten().tolist())) == 10 for episode in both)
    classes = labels[both]
    assert (classes == classes[..., :1]).all()
    assert (classes[:, 0, 0] != classes[:, 1, 0]).all()
    assert set(classes.unique().tolist()) == {0, 3, 4}
    assert torch.bincount(classes[..., 0].flatten())[[0, 3, 4]].min() > 200
    assert len(both[classes == 4].unique()) == 30
    again, other = draw_episodes(labels, 400, 2, 3, 2, seed=0), draw_episodes(labels, 400, 2, 3, 2, seed=1)
    assert torch.equal(again.support, drawn.support) and not torch.equal(other.support, drawn.support)


def test_perfect_constant_and_too_small():
    labels = torch.arange(100) % 5
    metric = FewShotAccuracy(ways=5, shots=2, queries=3, episodes=20)
    perfect = metric.evaluate(embedded(torch.eye(5)[labels], labels))
    assert perfect["5_way_2_shot_nearest"] == perfect["5_way_2_shot_prototype"] == 1.0
    assert perfect["5_way_2_shot_nearest_interval"] == 0.0
    constant = metric.evaluate(embedded(torch.full((100, 3), 0.1), labels))
    assert constant["5_way_2_shot_nearest"] == pytest.approx(0.2)
    assert constant["5_way_2_shot_prototype"] == pytest.approx(0.2)
    small = metric.evaluate(embedded(torch.randn(20, 2), torch.arange(20) % 5))
    assert len(small) == 4 and all(math.isnan(value) for value in small.values())
    with pytest.raises(ValueError, match="ways=5 classes of at least 5 samples are needed, and there are 0"):
        draw_episodes(torch.arange(20) % 5, 1, 5, 2, 3, seed=0)
    with pytest.raises(ValueError, match="shots=0"):
        FewShotAccuracy(shots=0)
    with pytest.raises(ValueError, match="one right class"):
        metric.evaluate(embedded(torch.randn(4, 2), torch.ones(4, 2, dtype=torch.bool)))
    assert math.isnan(estimate(torch.tensor([1.0])).interval)


def test_cosine():
    labels = torch.arange(60) % 3
    directions = torch.eye(3)[labels] + 0.1 * torch.randn(60, 3)
    metric = FewShotAccuracy(3, 1, 2, episodes=30, distance="cosine")
    scaled = directions * torch.rand(60, 1).mul(5).exp()
    assert metric.evaluate(embedded(scaled, labels))["3_way_1_shot_nearest"] == 1.0


@pytest.fixture
def layout(tmp_path):
    """Two runs of 3 classes and 4 items; a picture's brightness is 40 times its class, the items' a little more."""
    answers = {"run01": [2, 0, 1, 1], "run02": [0, 1, 2, 0]}
    for run, right in answers.items():
        for folder in ("training", "test"):
            (tmp_path / "all" / run / folder).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((5, 6), 40 * i, np.uint8)).save(
                tmp_path / f"all/{run}/training/class{i + 1:02d}.png"
            )
        lines = []
        for i, answer in enumerate(right):
            Image.fromarray(np.full((5, 6), 40 * answer + 3, np.uint8)).save(
                tmp_path / f"all/{run}/test/item{i + 1:02d}.png"
            )
            lines.append(f"{run}/test/item{i + 1:02d}.png {run}/training/class{answer + 1:02d}.png\n")
        (tmp_path / f"all/{run}/class_labels.txt").write_text("".join(lines))
    return tmp_path / "all", answers


def zipped(folder, prefix):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, prefix + str(file.relative_to(folder)))
    path = folder.parent / "trials.zip"
    path.write_bytes(content.getvalue())
    return path


@pytest.mark.parametrize("source", ["folder", "folder above", "zip", "zip with a folder"])
def test_trials_of_files(layout, source):
    folder, answers = layout
    path = {"folder": folder, "folder above": folder.parent}.get(source)
    runs = load_trials(path or zipped(folder, "" if source == "zip" else "one_shot/"))
    assert [run.name for run in runs] == ["run01", "run02"]
    for run in runs:
        assert run.training.shape == (3, 1, 5, 6) and run.training.dtype == torch.uint8
        assert run.classes.tolist() == answers[run.name]
        assert run.training[:, 0, 0, 0].tolist() == [0, 40, 80]
        assert run.test[:, 0, 0, 0].tolist() == [40 * answer + 3 for answer in answers[run.name]]
    pixels = score_trials(runs, lambda a, b: trial_scores_of_embeddings(a.flatten(1), b.flatten(1)))
    assert pixels == (1.0, 0.0)
    none = score_trials(runs, lambda a, b: torch.zeros(len(b), len(a)))
    assert none.mean == pytest.approx(1 / 3)
    first = score_trials(runs, lambda a, b: torch.eye(len(a))[torch.zeros(len(b), dtype=torch.int64)])
    assert first.mean == pytest.approx(3 / 8)
    assert first.interval == pytest.approx(1.96 * np.std([1] * 3 + [0] * 5, ddof=1) / math.sqrt(8))


def test_bad_trials(layout, tmp_path):
    folder, _ = layout
    with pytest.raises(FileNotFoundError, match="nowhere doesn't exist"):
        load_trials(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no runNN/class_labels.txt"):
        load_trials(folder / "run01" / "test")
    (folder / "run02/test/item03.png").unlink()
    with pytest.raises(FileNotFoundError, match="run02/test/item03.png, which isn't there"):
        load_trials(folder)
    run = OneShotRun("run01", torch.zeros(2, 1), torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="scores of run01"):
        score_trials([run], lambda a, b: torch.zeros(2, 3))
    with pytest.raises(ValueError, match="no trial"):
        score_trials([], lambda a, b: b)
