"""Batches: every sample once an epoch, in an order that seed and epoch decide; parts that waste little."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.train.batches import epoch_order, pieces
from pipeline.train.params import Recipe
from pipeline.train.samples import Encoded, TokenSet
from pipeline.train.schedule import Schedule


def token_set(lengths: list[int], prefix: int = 60) -> TokenSet:
    """Samples of the given lengths."""
    return TokenSet([1] * prefix, [Encoded([5] * length, ((length - 1, length),)) for length in lengths], 0)


def cost(tokens: TokenSet, parts: list[list[int]]) -> int:
    """Rows that are computed."""
    widest = [max(len(tokens.samples[i].tokens) for i in part) for part in parts]
    return sum(len(tokens.prefix) + 64 + len(part) * wide for part, wide in zip(parts, widest, strict=True))


@given(st.lists(st.integers(2, 400), min_size=1, max_size=24), st.integers(1, 24), st.integers(16, 2000))
def test_parts_hold_each_sample_once_and_keep_their_limits(lengths: list[int], samples: int, most: int) -> None:
    tokens = token_set(lengths)
    parts = pieces(tokens, list(range(len(lengths))), samples, most, 64)
    assert sorted(i for part in parts for i in part) == list(range(len(lengths)))
    for part in parts:
        assert len(part) <= samples
        assert len(part) == 1 or len(part) * max(lengths[i] for i in part) <= most
    if len(lengths) <= samples and len(lengths) * max(lengths) <= most:
        assert cost(tokens, parts) <= cost(tokens, [list(range(len(lengths)))])


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_has_every_sample_once(count: int, batch: int, seed: int, epoch: int) -> None:
    tokens = token_set([3 + (i * 7) % 90 for i in range(count)])
    order = epoch_order(tokens, batch, seed, epoch)
    assert sorted(i for numbers in order for i in numbers) == list(range(count))
    assert max(map(len, order)) <= batch
    assert order == epoch_order(tokens, batch, seed, epoch)


def test_epochs_differ() -> None:
    tokens = token_set(random.Random(0).choices(range(5, 200), k=100))
    assert epoch_order(tokens, 8, 0, 0) != epoch_order(tokens, 8, 0, 1) != epoch_order(tokens, 8, 1, 1)


@given(st.integers(1, 100), st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.floats(0.1, 3))
def test_a_schedule_can_start_anywhere(
    count: int, batch: int, accumulation: int, processes: int, epochs: float
) -> None:
    recipe = Recipe(
        per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, num_train_epochs=epochs
    )
    schedule = Schedule(token_set([4] * count), recipe, 0, processes)
    steps = list(schedule.steps(0))
    assert len(steps) == schedule.total_steps
    assert all(batches for _, batches in steps)
    assert list(schedule.steps(len(steps) // 2)) == steps[len(steps) // 2 :]
    rates = [schedule.learning_rate(step) for step, _ in steps]
    assert min(rates) > 0 and max(rates) <= recipe.learning_rate * (1 + 1e-9)
