"""A program that was made step by step, such as one fine-tuned as integers, as a deployment."""

import msgspec

from snn_deploy.backends.protocol import find_backend
from snn_deploy.deploy.deployment import Deployment, digest
from snn_deploy.frontends import Imported
from snn_deploy.ir.findings import Kind
from snn_deploy.quantize import Compiled
from snn_deploy.targets import Target


def deployment_of(compiled: Compiled, found: Imported, target: Target) -> Deployment:
    """Return the deployment whose artifact holds exactly the integers of `compiled`.

    The network that comes with it, to compare with, is the one that was read: as it was before it
    was fine-tuned.

    Args:
        compiled: What `compile_network` or `FineTune.compiled` gave.
        found: The network as it was read.
        target: The chip that it was compiled for.
    """
    program, findings = compiled.program, compiled.findings
    if target.writer:  # what runs natively is said by the chip's own backend
        own = find_backend(target.writer).supports(program, target)
        findings = (*(f for f in findings if f.kind is not Kind.SIMULATED), *own)
    return Deployment(
        program=program,
        target=target,
        encoding=found.encoding,
        nir=found.nir_bytes,
        pipeline=tuple(compiled.pipeline.splitlines()),
        findings=(*found.findings, *findings),
        layers=tuple(msgspec.json.decode(msgspec.json.encode(r)) for r in compiled.layers),
        model_digest=digest(found.nir_bytes),
        model_bytes=len(found.nir_bytes),
        configuration={"target": target.name},
    )
