"""SpikingJelly's layers: neurons, containers and what it wraps of torch.nn."""

from snn_deploy.frontends.layers import Pooling
from snn_deploy.frontends.registry import Frontend
from snn_deploy.frontends.spikingjelly.cells import PACKAGE
from snn_deploy.frontends.spikingjelly.containers import linear_recurrent, recurrent, stateless
from snn_deploy.frontends.spikingjelly.layers import (
    channel_scaler,
    delay,
    scaler,
    standardised_convolution,
    standardised_linear,
    temporal_norm,
    voting,
)
from snn_deploy.frontends.spikingjelly.neurons import NEURONS
from snn_deploy.frontends.torch_layers import (
    adaptive,
    batch_norm,
    convolution,
    flatten,
    linear,
    pooling,
    reader,
    transposed,
    unchanged,
    upsample,
)

_OTHER_STEPS = "it reads other steps than the present one"
_OF_THE_STEP = "it normalises by what the values of this very step are"
_PER_STEP = "its parameters differ from step to step"
_THREE_AXES = "kernels have one or two spatial axes here"
_PRODUCT = "it multiplies values of the step with each other"
_GATES = (
    "its products of spikes are followed in a module of one's own class, whose values keep the "
    "axes [step, sample, channel, height, width], and not here"
)
_MOVES = "it has no fixed connections: where values go depends on the values"
_STEPS = "it changes the number of steps"
_TABLE = "its thresholds and weights follow a table within a step"
_ENCODER = "an encoder is not a layer of the network: give the network its spikes as input"
_RANDOM = "it adds noise"
_NONLINEAR = "its membrane follows a non-linear equation"
_RECURRENT = "its gates are no spiking neurons of a chip"


FRONTEND = Frontend(
    name=PACKAGE,
    packages=(f"{PACKAGE}.activation_based",),
    containers=frozenset({"MultiStepContainer", "TLastMultiStepContainer", "OTTTSequential"}),
    layers={
        **NEURONS,
        "SeqToANNContainer": stateless,
        "TLastSeqToANNContainer": stateless,
        "StepModeContainer": stateless,
        "ElementWiseRecurrentContainer": recurrent,
        "LinearRecurrentContainer": linear_recurrent,
        "Linear": reader(linear),
        "Conv1d": reader(convolution),
        "Conv2d": reader(convolution),
        "WSLinear": reader(standardised_linear),
        "WSConv2d": reader(standardised_convolution),
        "ConvTranspose1d": reader(transposed),
        "ConvTranspose2d": reader(transposed),
        "BatchNorm1d": reader(batch_norm),
        "BatchNorm2d": reader(batch_norm),
        "ThresholdDependentBatchNorm1d": reader(batch_norm),
        "ThresholdDependentBatchNorm2d": reader(batch_norm),
        "TemporalEffectiveBatchNorm1d": temporal_norm,
        "TemporalEffectiveBatchNorm2d": temporal_norm,
        "AvgPool1d": pooling(Pooling.AVERAGE, 1),
        "AvgPool2d": pooling(Pooling.AVERAGE, 2),
        "MaxPool1d": pooling(Pooling.MAX, 1),
        "MaxPool2d": pooling(Pooling.MAX, 2),
        "AdaptiveAvgPool1d": adaptive(1),
        "AdaptiveAvgPool2d": adaptive(2),
        "Upsample": reader(upsample),
        "Flatten": reader(flatten),
        "Dropout": unchanged,
        "Dropout2d": unchanged,
        "PrintShapeModule": unchanged,
        "VotingLayer": voting,
        "Delay": delay,
        "VoltageHook": unchanged,
        "VoltageScaler": reader(scaler),
        "ChannelVoltageScaler": reader(channel_scaler),
    },
    wrong={
        "QIFNode": _NONLINEAR,
        "EIFNode": _NONLINEAR,
        "IzhikevichNode": _NONLINEAR,
        "RAFNode": "it resonates: two states turn around each other",
        "GatedLIFNode": f"{_PER_STEP}, and a spike takes away a share of the membrane",
        "ComplementaryLIFNode": "its reset depends on a second, non-linear state",
        "LIAFNode": "it sends a function of its membrane, not spikes",
        "STBIFNode": "its spikes are positive and negative, and bounded by what it sent so far",
        "PSN": _OTHER_STEPS,
        "MaskedPSN": _OTHER_STEPS,
        "SlidingPSN": _OTHER_STEPS,
        "FlexSN": "its step is a function of the user's",
        "FewSpikeNode": _TABLE,
        "OutlierAwareThresholdNode": _TABLE,
        "HGNode": _TABLE,
        "NoisyCUBALIFNode": _RANDOM,
        "NoisyILCCUBALIFNode": _RANDOM,
        "NoisyNonSpikingIFNode": _RANDOM,
        "SynapseFilter": "its current decays only in steps without a spike",
        "DropConnectLinear": "it draws its output at random, after training as well",
        "NeuNorm": "it subtracts a filtered sum over all channels",
        "GroupNorm": _OF_THE_STEP,
        "BatchNormThroughTime1d": _PER_STEP,
        "BatchNormThroughTime2d": _PER_STEP,
        "BatchNormThroughTime3d": _PER_STEP,
        "BatchNorm3d": _THREE_AXES,
        "ThresholdDependentBatchNorm3d": _THREE_AXES,
        "TemporalEffectiveBatchNorm3d": _THREE_AXES,
        "Conv3d": _THREE_AXES,
        "ConvTranspose3d": _THREE_AXES,
        "MaxPool3d": _THREE_AXES,
        "AvgPool3d": _THREE_AXES,
        "AdaptiveAvgPool3d": _THREE_AXES,
        "MaxUnpool1d": _MOVES,
        "MaxUnpool2d": _MOVES,
        "MaxUnpool3d": _MOVES,
        "SpikeCountToBinary": _STEPS,
        "TemporalBinSum": _STEPS,
        "TemporalWiseAttention": _PRODUCT,
        "MultiDimensionalAttention": _PRODUCT,
        "SpikingSelfAttention": _PRODUCT,
        "QKAttention": _PRODUCT,
        "TokenQKAttention": _PRODUCT,
        "ChannelQKAttention": _PRODUCT,
        "SpikeDrivenSelfAttention": _GATES,
        "GradwithTrace": "it exists for training only: OTTTSequential adds it by itself",
        "SpikeTraceOp": "it exists for training only: OTTTSequential adds it by itself",
        "SpikingLSTM": _RECURRENT,
        "SpikingGRU": _RECURRENT,
        "SpikingVanillaRNN": _RECURRENT,
        "PeriodicEncoder": _ENCODER,
        "LatencyEncoder": _ENCODER,
        "PoissonEncoder": _ENCODER,
        "WeightedPhaseEncoder": _ENCODER,
    },
)
