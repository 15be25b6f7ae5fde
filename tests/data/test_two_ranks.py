"""A real run of two processes: what they see together is what one process sees."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from metric_lightning.data import ArrayDataset, BalancedBatches, MetricDataModule

LABELS = torch.arange(55) % 5


class Numbers(MetricDataModule):
    def __init__(self):
        super().__init__(list("abcde"), (1, 2, 2), BalancedBatches(2, 3), eval_batch_size=2)

    def load(self):
        return ArrayDataset(torch.zeros(55, 1, 2, 2).byte(), LABELS, list("abcde")), None


class Witness(LightningModule):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.layer = torch.nn.Linear(4, 1)
        self.trained: list[list[int]] = []
        self.validated: list[int] = []

    def training_step(self, batch, batch_idx):
        self.trained.append(batch.indices.tolist())
        return self.layer(batch.inputs.flatten(1)).sum()

    def validation_step(self, batch, batch_idx):
        self.validated += batch.indices.tolist()

    def on_train_end(self):
        torch.save((self.trained, self.validated), self.folder / f"{self.global_rank}.pt")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
def test_two_ranks_see_what_one_process_sees(tmp_path):
    # With Lightning's own distributed sampler left on: it has nothing to say about our loaders.
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        max_epochs=2,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Witness(tmp_path), Numbers())
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    trained = [batch for step in zip(*(rank[0] for rank in ranks), strict=True) for batch in step]
    loader = Numbers().train_dataloader()
    epochs = [[batch.indices.tolist() for batch in loader] for _ in range(2)]
    whole = len(loader) // 2 * 2
    assert whole >= 6
    assert trained == [batch for epoch in epochs for batch in epoch[:whole]]
    validated = sorted(ranks[0][1] + ranks[1][1])
    assert validated == sorted(2 * list(range(len(Numbers().val_dataloader().dataset))))
