"""Distillation: a student imitates a larger network's maps and embeddings of the same views.

Teacher and student may differ in stride, channels and sizes: the teacher's values are read, bilinearly, where the
student's cells lie, and a 1 x 1 convolution, trained along, carries the student's channels to the teacher's.
Shape legend as in `model.training.objective`; index t for the teacher's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import NetworkConfig
from model.training.config import TrainingConfig
from model.training.objective import Maps
from model.training.teachers import Teacher


class Distillation(nn.Module):
    """The teacher, frozen, and the projection that is trained with the student."""

    def __init__(self, teacher: Teacher, student: NetworkConfig) -> None:
        super().__init__()
        self._teacher = teacher
        self._student = student
        self.projection: nn.Module = nn.Identity()
        if teacher.channels != student.channels:
            convolution = nn.Conv2d(student.channels, teacher.channels, 1, bias=False)
            nn.init.orthogonal_(convolution.weight, generator=torch.Generator().manual_seed(0))
            self.projection = convolution

    def place(self, device: torch.device) -> Distillation:
        """Move teacher and projection to the device."""
        self._teacher.place(device)
        return self.to(device)

    def forward(self, crops: Tensor, embeddings: Tensor, maps: Maps, shifts: Tensor, config: TrainingConfig) -> Tensor:
        """The weighted distance of student and teacher, a scalar; 0 where they agree.

        crops: float [M, 3, side, side], RGB 0..255; embeddings: the student's [M, C, s, s]; shifts: [M, 2]. A teacher
        without maps teaches its embedding alone.
        """
        shown = slice(None, None, config.distill_every)
        with torch.no_grad():
            theirs = self._teacher.embed(crops[shown])
            answer = self._teacher.maps(theirs, shifts) if config.distill_maps else None
        total = embeddings.new_zeros((), dtype=torch.float32)
        if config.distill_embedding:
            total = total + config.distill_embedding * self._embedding_distance(embeddings[shown], theirs)
        if answer is not None:
            total = total + config.distill_maps * self._map_distance(maps, answer)
        return total

    def _embedding_distance(self, embeddings: Tensor, theirs: Tensor) -> Tensor:
        """1 - cosine, the mean over the cells that lie within the teacher's."""
        projected = self.projection(embeddings)
        teacher = self._teacher
        offsets = projected.new_full((len(projected), 2), -teacher.offset, dtype=torch.float32)
        wanted, inside = resampled(theirs, teacher.stride, projected.shape[-1], self._student.stride, offsets)
        cosine = F.cosine_similarity(projected.float(), wanted.float(), dim=1)
        return (1 - cosine)[inside].mean()

    def _map_distance(self, maps: Maps, answer: Maps) -> Tensor:
        """Divergence of the maps' values as single probabilities, and as a distribution over the partner's map."""
        m, _, side, _ = maps.logits.shape
        # The exemplar windows of teacher and student lie apart by less than a cell.
        offsets = answer.residuals - maps.residuals
        other = self._teacher.stride
        wanted, inside = resampled(answer.logits.float(), other, side, self._student.stride, offsets)
        logits, mask = maps.logits.float(), inside[:, None].expand(m, m, side, side)
        cells = F.binary_cross_entropy_with_logits(logits, wanted.sigmoid(), reduction="none")
        cells = cells - F.binary_cross_entropy_with_logits(wanted, wanted.sigmoid(), reduction="none")
        views = torch.arange(m, device=logits.device)
        ours, theirs = (each[views, views ^ 1].masked_fill(~inside, -1e4).flatten(1) for each in (logits, wanted))
        divergence = F.kl_div(ours.log_softmax(1), theirs.log_softmax(1), reduction="batchmean", log_target=True)
        return cells[mask].mean() + divergence


def resampled(values: Tensor, step: float, side: int, wanted: float, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Values [M, K, t, t], `step` px apart around the middle, read on a grid of `side` values, `wanted` px apart.

    offsets: [M, 2] (x, y), px that the grid is moved by. Returns [M, K, side, side], with the nearest value beyond the
    given ones' edge, and whether a place lies within them (to a quarter of a cell), bool [M, side, side].
    """
    line = (torch.arange(side, device=values.device, dtype=torch.float32) - (side - 1) / 2) * wanted
    place = torch.stack([line.expand(side, side), line[:, None].expand(side, side)], dim=-1)
    grid = (place + offsets[:, None, None, :]) / step  # (M, side, side, 2), in cells
    reach = (values.shape[-1] - 1) / 2
    inside = (grid.abs() <= reach + 0.25).all(-1)
    sampled = F.grid_sample(values, (grid / reach).to(values.dtype), padding_mode="border", align_corners=True)
    return sampled, inside
