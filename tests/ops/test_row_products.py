"""Products of rows: their values, and that a row's result does not depend on the other rows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.ops import backend
from morphoscope.ops.dispatch import native_runs
from morphoscope.ops.row_products import linear, row_products

native = pytest.mark.skipif(not native_runs("cpu", None), reason="no native kernels can be built here")
sizes = st.integers(1, 70)
dtypes = st.sampled_from([torch.float32, torch.float64])


def operands(rows, columns, depth, dtype, batch=()):
    torch.manual_seed(rows + 100 * columns + depth)
    return torch.randn(*batch, rows, depth, dtype=dtype), torch.randn(*batch, columns, depth, dtype=dtype)


@settings(deadline=None)
@given(rows=sizes, columns=sizes, depth=st.integers(0, 300), dtype=dtypes, batch=st.sampled_from([(), (3,)]))
def test_values_are_those_of_a_matrix_product(rows, columns, depth, dtype, batch):
    x, w = operands(rows, columns, depth, dtype, batch)
    expected = (x.double() @ w.double().mT).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(
        row_products(x, w), expected, rtol=tolerance, atol=tolerance * (1 + depth**0.5)
    )


@native
@settings(deadline=None)
@given(
    rows=sizes,
    columns=sizes,
    depth=st.integers(1, 300),
    dtype=dtypes,
    data=st.data(),
)
def test_a_row_has_the_same_result_beside_any_others(rows, columns, depth, dtype, data):
    x, w = operands(rows, columns, depth, dtype)
    whole = row_products(x, w)
    chosen = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=9))
    assert torch.equal(row_products(x[chosen], w), whole[chosen])
    column = data.draw(st.integers(0, columns - 1))
    assert torch.equal(row_products(x, w[column:]), whole[:, column:])


@native
def test_the_number_of_threads_changes_nothing():
    x, w = operands(600, 100, 515, torch.float32)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = row_products(x, w)
        torch.set_num_threads(3)
        assert torch.equal(row_products(x, w), alone)
    finally:
        torch.set_num_threads(before)


@native
def test_one_weight_serves_all_batches():
    x, w = operands(5, 7, 33, torch.float32, (4,))
    assert torch.equal(row_products(x, w[0]), row_products(x, w[:1].expand(4, -1, -1)))


def test_infinities_and_nan_pass():
    x, w = torch.ones(2, 9), torch.ones(3, 9)
    x[1, 8], w[2, 0] = torch.inf, torch.nan
    y = row_products(x, w)
    assert y[0, 0] == 9 and y[1, 0] == torch.inf and y[:, 2].isnan().all()


def test_gradients_are_those_of_a_matrix_product():
    x, w = (t.requires_grad_() for t in operands(3, 4, 5, torch.float64))
    b = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(row_products, (x, w))
    assert torch.autograd.gradgradcheck(lambda x, w, b: linear(x, w, b, 0.3), (x, w, b))


def test_linear_is_the_same_with_and_without_gradients():
    x, w = operands(6, 8, 50, torch.float64)
    b = torch.randn(8, dtype=torch.float64)
    expected = torch.addmm(b, x, w.mT, alpha=0.7)
    torch.testing.assert_close(linear(x, w, b, 0.7), expected)
    with backend("reference"):
        assert torch.equal(linear(x, w, b, 0.7), expected)


@native
def test_the_dispatcher_accepts_the_operation():
    for batch in ((), (2,)):
        x, w = operands(3, 4, 5, torch.float32, batch)
        torch.library.opcheck(torch.ops.morphoscope.row_products.default, (x.reshape(-1, 3, 5), w))
