"""Seals: a file that no other lists says its own digest, so that a change of it is noticed.

They guard against damage and careless edits. Whoever changes a file on purpose can seal it anew:
a seal is no signature.
"""

import hashlib

OPEN = "0" * 64
"""What stands for the digest while it is taken."""

SEAL = b'"seal": "%s"'

MARK = b"<!-- sha256 of this page and report.json: %s -->\n"


def sealed(manifest: bytes) -> bytes:
    """Return a manifest, JSON with the seal `OPEN`, with its digest."""
    opened = SEAL % OPEN.encode()
    return manifest.replace(opened, SEAL % _digest(manifest), 1)


def is_sealed(manifest: bytes, seal: str) -> bool:
    """Return whether a manifest is as it was sealed."""
    opened = manifest.replace(SEAL % seal.encode(), SEAL % OPEN.encode(), 1)
    return opened != manifest and _digest(opened) == seal.encode()


def marked(page: bytes, report: bytes) -> bytes:
    """Return a page that ends with the digest of itself and of the report it was drawn from."""
    return page + MARK % _digest(page + report)


def is_marked(page: bytes, report: bytes) -> bool:
    """Return whether a page is as it was marked, and drawn from `report`."""
    size = len(MARK % OPEN.encode())
    body, mark = page[:-size], page[-size:]
    return mark == MARK % _digest(body + report)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
