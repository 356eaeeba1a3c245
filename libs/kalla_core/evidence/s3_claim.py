"""A claim on a prefix in S3: the object `.kalla/claim.json` below it.

It is made by a conditional write, so that one of several runs gets it, and renewed every quarter
of its lease. A run that finds one may take it over when

- it has not been renewed for the lease, by the store's clock, or
- it is of an earlier attempt at the same run, or
- it was made on this machine below the same workspace: whoever asks holds the lock there, so the
  one who made it is gone.

Taking over is a conditional write as well. What it protects is told in `s3_output`.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kalla_core.errors import OutputInUse
from kalla_core.s3.bucket import Bucket, SmallObject
from kalla_core.s3.location import S3Location
from kalla_core.s3.troubles import S3Error, Trouble

CLAIM = ".kalla/claim.json"
LEASE_S = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What the object says.

    Attributes:
        token: of this claim and no other.
        place: machine and workspace; None if nobody can tell.
        keys: what a commit that has begun makes, replaces or removes; none of it counts without
            metadata.json.
        renewals: so that each renewal is another content.
    """

    run_id: str
    attempt: int
    token: str
    place: str | None
    keys: tuple[str, ...] = ()
    renewals: int = 0

    def as_bytes(self) -> bytes:
        """Return the object."""
        return json.dumps(asdict(self)).encode()


def claim_of(body: bytes) -> Claim | None:
    """Return the claim that an object holds; None if it is not one."""
    try:
        fields = json.loads(body)
        return Claim(**{**fields, "keys": tuple(fields["keys"])})
    except (ValueError, TypeError, KeyError):
        return None


def run_of_claim(bucket: Bucket, prefix: S3Location) -> str | None:
    """Return whose claim there is on a prefix; None if there is none.

    Raises:
        S3Error: the store does not answer.
    """
    found = _look(bucket, prefix.below(CLAIM).key)
    claim = None if found is None else claim_of(found.body)
    return None if claim is None else claim.run_id


def may_be_taken(found: Claim | None, age_s: float, mine: Claim, lease_s: float) -> bool:
    """Whether the holder of a claim is certainly, or by agreement, gone."""
    if found is None or age_s > lease_s:
        return age_s > lease_s
    if found.run_id == mine.run_id and found.attempt < mine.attempt:
        return True
    return found.place is not None and found.place == mine.place


class HeldClaim:
    """A claim that this process holds and a thread renews; `acquire` makes it.

    Attributes:
        leftover: keys that a run which died in its commit was about to make or replace.
    """

    def __init__(self, bucket: Bucket, prefix: S3Location, claim: Claim, lease_s: float) -> None:
        self.leftover: tuple[str, ...] = ()
        self._bucket = bucket
        self._prefix = prefix
        self._key = prefix.below(CLAIM).key
        self._claim = claim
        self._lease_s = lease_s
        self._etag = ""
        self._lost = False
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew_until_ended, daemon=True)

    @classmethod
    def acquire(
        cls,
        bucket: Bucket,
        prefix: S3Location,
        run_id: str,
        attempt: int,
        workspace: Path,
        lease_s: float = LEASE_S,
    ) -> HeldClaim:
        """Make the claim, or take over one whose holder is gone.

        Raises:
            OutputInUse: another run holds it.
            S3Error: the store does not take it.
        """
        claim = Claim(run_id, attempt, uuid.uuid4().hex, _place(workspace))
        held = cls(bucket, prefix, claim, lease_s)
        held._take()
        held._renewing.start()
        return held

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has it now."""
        return self._lost

    def journal(self, keys: tuple[str, ...]) -> None:
        """Say which keys a commit is about to change; from now on they are swept if it dies.

        Raises:
            OutputInUse: somebody else has taken the claim.
            S3Error: the store does not take it.
        """
        with self._writing:
            self._write(replace(self._claim, keys=keys, renewals=self._claim.renewals + 1))
            if self._lost:
                raise _in_use(self._prefix)

    def release(self) -> None:
        """Remove the object if it is still ours.

        Raises:
            S3Error: the store does not answer; others have to wait until the lease has passed.
        """
        self.abandon()
        found = None if self._lost else _look(self._bucket, self._key)
        if found is not None and found.etag == self._etag:
            self._bucket.delete(self._key)

    def abandon(self) -> None:
        """Renew it no more, but leave it with its journal: the next claim sweeps by that."""
        self._ended.set()
        self._renewing.join()

    def _take(self) -> None:
        found = _look(self._bucket, self._key)
        if found is not None:
            theirs = claim_of(found.body)
            if not may_be_taken(theirs, found.age_s, self._claim, self._lease_s):
                raise _in_use(self._prefix)
            self.leftover = () if theirs is None else theirs.keys
            # Kept until they are swept: whoever does that may be killed as well.
            self._claim = replace(self._claim, keys=self.leftover)
        expected = None if found is None else found.etag
        etag = self._bucket.put(self._key, self._claim.as_bytes(), expected=expected)
        made = _look(self._bucket, self._key)
        if etag is None or made is None or claim_of(made.body) != self._claim:
            raise _in_use(self._prefix)  # the last where the store knows no conditions
        self._etag = etag

    def _write(self, claim: Claim) -> None:
        """Replace what is still ours; an earlier write may have come through unheard."""
        for _ in range(2):
            etag = self._bucket.put(self._key, claim.as_bytes(), expected=self._etag)
            if etag is not None:
                self._claim, self._etag = claim, etag
                return
            found = _look(self._bucket, self._key)
            theirs = None if found is None else claim_of(found.body)
            if found is None or theirs is None or theirs.token != claim.token:
                break
            self._etag = found.etag
        self._lost = True

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(self._lease_s / 4):
            with self._writing:
                if self._lost:
                    return
                try:
                    self._write(replace(self._claim, renewals=self._claim.renewals + 1))
                except S3Error:
                    continue  # the commit asks again, and says why it cannot


def _look(bucket: Bucket, key: str) -> SmallObject | None:
    try:
        return bucket.get(key)
    except S3Error as error:
        if error.trouble is Trouble.NO_KEY:
            return None
        raise


def _in_use(prefix: S3Location) -> OutputInUse:
    return OutputInUse(
        f"Another run is writing its evidence to {prefix}; wait for it, or choose another"
        " output. If that run was killed on another machine, its claim"
        f" ends {LEASE_S:.0f} seconds after its death.",
        path=str(prefix),
    )


def _place(workspace: Path) -> str | None:
    """Return what is the same for all processes that see the same locks in a workspace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.stat('/proc/self/ns/mnt').st_ino}:{workspace.resolve()}"
    except OSError:
        return None
