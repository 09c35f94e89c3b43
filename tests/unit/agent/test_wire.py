"""The order that crosses from the agent to the process of a run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.agent.wire import Order

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, derandomize=True)
@given(
    order=st.builds(
        Order,
        flow_run_id=TEXT,
        env=st.dictionaries(TEXT, TEXT),
        cwd=TEXT,
        entrypoint=st.none() | TEXT,
        flow_name=st.none() | TEXT,
        cpus=st.lists(st.integers(0, 63)).map(tuple),
        quiet=st.booleans(),
        hook_state=st.none() | TEXT,
        related=st.lists(st.dictionaries(TEXT, TEXT | st.lists(TEXT))).map(tuple),
    )
)
def test_an_order_arrives_as_it_was_sent_and_on_one_line(order: Order) -> None:
    line = order.encode()
    assert line.index(b"\n") == len(line) - 1
    assert Order.decode(line) == order


def test_half_an_order_is_refused() -> None:
    with pytest.raises(ValueError, match="Not an order"):
        Order.decode(b'{"cwd": "/"}\n')
