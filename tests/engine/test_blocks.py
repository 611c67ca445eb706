"""The block pool: who holds a block, and which idle ones can be found again."""

import pytest

from friendli_endpoint.engine.blocks import BlockPool, IntegrityError


def test_released_blocks_can_be_allocated_again():
    pool = BlockPool(3)
    blocks = [pool.allocate() for _ in range(3)]
    assert pool.available == 0
    pool.release(blocks)
    assert pool.available == 3
    pool.check_integrity([])


def test_a_shared_block_stays_held_until_its_last_holder_releases_it():
    pool = BlockPool(2)
    block = pool.allocate()
    pool.share(block)
    assert pool.is_shared(block)
    pool.release([block])
    assert not pool.is_shared(block)
    pool.check_integrity([[block]])
    pool.release([block])
    assert pool.available == 2


def test_a_published_block_is_found_while_idle_and_forgotten_once_allocated_anew():
    pool = BlockPool(1)
    block = pool.allocate()
    pool.publish(block, b"key")
    pool.release([block])
    assert pool.find(b"key") == block
    assert pool.is_idle(block)
    assert pool.allocate() == block
    assert pool.find(b"key") is None


def test_the_least_recently_released_prefix_goes_first_and_its_tail_before_its_start():
    pool = BlockPool(4)
    old, new = [pool.allocate(), pool.allocate()], [pool.allocate(), pool.allocate()]
    for block, key in zip(old + new, [b"old0", b"old1", b"new0", b"new1"], strict=True):
        pool.publish(block, key)
    pool.release(old)
    pool.release(new)
    assert [pool.allocate() for _ in range(4)] == [old[1], old[0], new[1], new[0]]


def test_of_two_blocks_with_the_same_key_the_first_is_found_and_the_second_becomes_free():
    pool = BlockPool(2)
    first, second = pool.allocate(), pool.allocate()
    pool.publish(first, b"key")
    pool.publish(second, b"key")
    assert pool.find(b"key") == first
    pool.release([second])
    assert not pool.is_idle(second)
    pool.check_integrity([[first]])


@pytest.mark.parametrize("tables", [[], [[0], [0]], [[1]]], ids=["a lost block", "held twice", "another block"])
def test_tables_that_contradict_the_accounts_are_found_out(tables):
    pool = BlockPool(2)
    assert pool.allocate() == 0
    with pytest.raises(IntegrityError):
        pool.check_integrity(tables)
