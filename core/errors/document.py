"""Documents that cannot be read."""

from __future__ import annotations

from core.errors.base import ParleyError


class DocumentError(ParleyError):
    """The document could not be read."""

    code = "document_error"


class DocumentUnreadable(DocumentError):
    """The document is damaged or is not what its name says."""

    code = "document_unreadable"


class DocumentEncrypted(DocumentError):
    """The document is encrypted; remove the password and ingest it again."""

    code = "document_encrypted"


class DocumentUnsupported(DocumentError):
    """This kind of document is not supported."""

    code = "document_unsupported"


class DocumentEmpty(DocumentError):
    """The document holds no text."""

    code = "document_empty"


class DocumentInvalid(DocumentError):
    """What was read of the document does not have the form of one."""

    code = "document_invalid"


class DocumentTooLarge(DocumentError):
    """The document is larger than the limit."""

    code = "document_too_large"
