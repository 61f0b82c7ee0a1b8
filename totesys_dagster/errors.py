"""Errors that a person can act on: each message is one sentence that says what is wrong and what
to do. No message contains a secret or a row's content."""

from __future__ import annotations


class TotesysError(Exception):
    """Anything that stops the platform for a reason that a person can remove."""


class SettingError(TotesysError):
    """A setting is missing, malformed or points to something that cannot be reached."""


class SourceError(TotesysError):
    """ToteSys cannot be read as the catalogue declares it."""


class SchemaChangedError(SourceError):
    """A table of ToteSys has changed: it is gone, became something else, or lacks a column."""


class LakeError(TotesysError):
    """The lake does not contain what its manifests say, or already contains it in another form."""


class LakeUnusableError(LakeError):
    """A zone of the lake cannot be used at all: the place, the credentials, or the permissions."""


class NewerFormatError(LakeUnusableError):
    """A newer release has written to the lake, in a format that this one does not know."""


class ObjectMissingError(LakeError):
    """An object that a manifest names is not in the lake."""


class ObjectConflictError(LakeError):
    """An object of this name exists with other content; objects are never overwritten."""


class CommitConflictError(LakeError):
    """Another capture committed its batch first. Nothing is lost; the next one continues there."""


class ProcessingError(TotesysError):
    """A batch cannot be processed, or was processed differently before."""


class DropsError(TotesysError):
    """The place of the drops cannot be read."""


class ProcessedOtherwiseError(ProcessingError):
    """A batch was processed before, with another result than it gives now."""


class DeclarationError(TotesysError):
    """A table cannot be what the catalogue declares it to be."""


class LoadError(TotesysError):
    """A batch cannot be loaded into the warehouse; nothing of it was written."""


class NotProvedError(LoadError):
    """The result of a rebuild is not proved to be right, so nothing was replaced."""


class NotConfirmedError(TotesysError):
    """A question before an irreversible step was not answered."""


class RebuildRunningError(LoadError):
    """Another rebuild or erasure of this warehouse is running, so this one changed nothing."""


class SequenceGapError(LoadError):
    """An earlier batch must be loaded first."""


class NotProcessedError(LoadError):
    """The batch must be processed first."""


class QuarantineError(LoadError):
    """The batch has more rows in quarantine than it may be loaded with."""


class OtherLakeError(LoadError):
    """The warehouse was loaded from another lake, or the lake's log was changed since."""


class NotErasedInSourceError(LakeError):
    """ToteSys still has the PII that is to be erased."""
