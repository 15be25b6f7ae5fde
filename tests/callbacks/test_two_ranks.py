import torch

from metric_lightning.callbacks import (
    CollapseDiagnosis,
    DataCheck,
    DistanceFigures,
    EmbeddingFigures,
    EmbeddingFilm,
    Galleries,
    LearningCurveFigure,
    Projector,
    RunSummary,
)
from tests.callbacks.small import Quarters, folder_of, module, trainer


def test_two_ranks_write_once_what_one_process_writes(tmp_path):
    for ranks in (1, 2):
        callbacks = [
            kind()
            for kind in (
                CollapseDiagnosis,
                DataCheck,
                DistanceFigures,
                EmbeddingFigures,
                EmbeddingFilm,
                Galleries,
                LearningCurveFigure,
                Projector,
                RunSummary,
            )
        ]
        torch.manual_seed(0)
        options = {"devices": 2, "strategy": "ddp_fork"} if ranks == 2 else {}
        run = trainer(tmp_path / str(ranks), callbacks, max_epochs=2, **options)
        run.fit(module(lr=0.0), datamodule=Quarters())
    one, two = (folder_of(tmp_path / ranks) for ranks in ("1", "2"))
    names = [{str(path.relative_to(folder)) for path in folder.rglob("*.*")} for folder in (one, two)]
    written = [{name for name in found if "tfevents" not in name and "ckpt" not in name} for found in names]
    assert written[0] == written[1] and "figures/embedding_val.png" in written[0]
    assert (one / "projector_config.pbtxt").read_text() == (two / "projector_config.pbtxt").read_text()
    tensor = "projector/train_and_val_epoch_00002.tsv"
    values = [[float(value) for value in (folder / tensor).read_text().split()] for folder in (one, two)]
    torch.testing.assert_close(torch.tensor(values[0]), torch.tensor(values[1]), rtol=1e-4, atol=1e-5)
