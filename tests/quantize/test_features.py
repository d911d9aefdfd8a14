"""What needs more than a chip or the training has: a late population, a map that is too large."""

import numpy as np
import pytest

from snn_deploy.errors import UnsupportedError
from snn_deploy.ir.arithmetic import Arithmetic, Overflow, Register
from snn_deploy.ir.maps import Sparse
from snn_deploy.ir.network import Output
from snn_deploy.ir.neuron import Compare, Fires
from snn_deploy.ir.program import Bias, Current, Floor, Input, Population, Program, Projection
from snn_deploy.quantize.features import moves_before_lag, parameter_groups

WIDE = Register(bits=24, overflow=Overflow.SATURATE_FULL)
RULES = Arithmetic(current=WIDE, membrane=WIDE, decay_bits=12)
LAG = 3


def whole(value):
    return np.asarray(value, np.int32)


def late(**fields):
    standard = {"decay": whole(4096), "threshold": whole(100), "lag": LAG}
    return Population(name="l", shape=(2,), **standard | fields)


MOVING = {
    "a leak": {"initial": whole([0, 5]), "decay": whole(2048)},
    "a bias from the first step": {"biases": (Bias(value=whole([0, 1])),)},
    "a bias from the lag on": {"biases": (Bias(value=whole(1), start=LAG),)},
    "a current": {"current": Current(decay=whole(0), initial=whole([0, 3]))},
    "a spike above the threshold": {"initial": whole([0, 101])},
    "a spike at it": {"initial": whole([0, 100]), "compare": Compare.GREATER_EQUAL},
    "a negative spike": {"initial": whole([0, -5]), "lower": whole(-5), "fires": Fires.TERNARY},
    "a floor": {"initial": whole(2), "floor": Floor(value=whole([0, 3]))},
}
STAYING = {
    "nothing": {},
    "a leak of nothing": {"decay": whole(2048)},
    "a membrane without leak": {"initial": whole([0, 5])},
    "a bias that starts behind the lag": {"biases": (Bias(value=whole(1), start=LAG + 1),)},
    "a bias that waits": {"biases": (Bias(value=whole(1), waits=True),)},
    "a bias of nothing": {"biases": (Bias(value=whole(0)),)},
    "a current of nothing": {"current": Current(decay=whole(0))},
    "a membrane at the threshold": {"initial": whole([0, 100]), "compare": Compare.GREATER},
    "a membrane that never fires": {"initial": whole(101), "fires": Fires.NEVER},
    "a membrane above the lower one": {
        "initial": whole([0, -4]), "lower": whole(-5), "fires": Fires.TERNARY,
    },
    "a membrane at its floor": {"initial": whole(3), "floor": Floor(value=whole([0, 3]))},
}  # fmt: skip


@pytest.mark.parametrize("what", [*MOVING, *STAYING])
def test_a_population_needs_a_gate_where_a_state_would_change_or_a_spike_go_out(what):
    fields = {**MOVING, **STAYING}[what]
    assert moves_before_lag(late(**fields), RULES) is (what in MOVING)
    assert not moves_before_lag(late(**{**fields, "lag": 0}), RULES)


def test_a_sparse_map_that_would_be_too_large_as_a_matrix_cannot_be_trained():
    pytest.importorskip("torch")
    from snn_deploy.quantize.torch_trainable import check_trainable

    def wide(post):
        linear = Sparse(
            post=whole([3]),
            pre=whole([2]),
            weight=whole([1]),
            post_shape=(post,),
            pre_shape=(2**13,),
        )
        return Program(
            name="wide",
            target="cpu",
            arithmetic=RULES,
            inputs=(Input(name="x", shape=(2**13,)),),
            populations=(Population(name="l", shape=(post,), decay=whole(0)),),
            projections=(Projection(name="w", source="x", target="l", map=linear),),
            outputs=(Output(name="o", population="l"),),
        )

    check_trainable(wide(2**13))  # 2**26 numbers are not too many
    with pytest.raises(UnsupportedError) as caught:
        check_trainable(wide(2**13 + 1))
    assert str(caught.value) == (
        "error[SNN301]: its 8193 x 8192 single synapses cannot be trained as integers\n"
        "  at: w\n"
        "  fix: compile_network with Options(weight_bits=...), which trains nothing"
    )


def test_lower_thresholds_that_differ_are_groups_of_parameters_of_their_own():
    lower = whole([-5, -4])
    assert parameter_groups(late(lower=lower, fires=Fires.TERNARY)) == 2
    assert parameter_groups(late(lower=whole([-5, -5]), fires=Fires.TERNARY)) == 1
    assert parameter_groups(late(lower=lower)) == 1  # which nothing is compared with
