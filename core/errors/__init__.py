"""Every failure Parley expects, as one tree.

ParleyError
├── UserError                     the caller can mend it
│   ├── InvalidInput
│   │   ├── EmptyInput
│   │   ├── InputTooLong
│   │   │   └── PromptTooLong
│   │   ├── BodyTooLarge
│   │   ├── MediaTypeRefused
│   │   └── UnsupportedParameter
│   ├── NotFound
│   │   ├── ThreadNotFound
│   │   ├── RunNotFound
│   │   ├── ModelNotFound
│   │   ├── DocumentNotFound
│   │   ├── IngestionNotFound
│   │   └── ApprovalNotFound
│   ├── Conflict
│   │   ├── RunActive
│   │   ├── RunEnded
│   │   ├── RunCancelled
│   │   ├── RetryRefused
│   │   ├── KeyInFlight
│   │   ├── ApprovalDecided
│   │   ├── ApprovalChanged
│   │   └── ApprovalClaimed
│   ├── ApprovalExpired
│   ├── KeyReused
│   ├── NotAuthenticated
│   ├── NotPermitted
│   └── HostRefused
├── DocumentError                 one document cannot be read; the others go on
│   ├── DocumentUnreadable
│   ├── DocumentEncrypted
│   ├── DocumentUnsupported
│   ├── DocumentEmpty
│   ├── DocumentInvalid
│   └── DocumentTooLarge
└── OperatorError                 a service or a setting is wrong; the operator can mend it
    ├── SettingsInvalid
    ├── PromptInvalid
    ├── AddressRefused
    ├── PortInUse
    ├── ServerStopping
    ├── DatabaseUnavailable
    │   └── DatabaseBusy
    ├── DatabaseUnusable
    │   ├── DataFolderUnusable
    │   ├── RoleTooPowerful
    │   ├── SchemaOutdated
    │   └── CheckpointRefused
    ├── EmbeddingUnavailable
    ├── RerankerUnavailable
    ├── VectorEngineUnavailable
    ├── ClusterUnavailable
    ├── CacheFailed
    ├── ModelError
    │   ├── ModelUnavailable
    │   ├── ModelOverloaded
    │   ├── ModelTimeout
    │   ├── ModelRejected
    │   ├── StreamCut
    │   ├── AnswerMisfit
    │   └── AdapterMissing
    ├── RemoteUnavailable
    │   └── RemoteUnreachable
    ├── CheckFailed
    ├── TurnTimeout
    ├── LeaseLost
    └── RunAbandoned

The docstring of an error is its default message, written for whoever will read it.
`code` is stable: clients and dashboards may rely on it.
"""

from __future__ import annotations

from core.errors.base import (
    ParleyError,
)
from core.errors.document import (
    DocumentEmpty,
    DocumentEncrypted,
    DocumentError,
    DocumentInvalid,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
)
from core.errors.operator import (
    AdapterMissing,
    AddressRefused,
    AnswerMisfit,
    CacheFailed,
    CheckFailed,
    CheckpointRefused,
    ClusterUnavailable,
    DatabaseBusy,
    DatabaseUnavailable,
    DatabaseUnusable,
    DataFolderUnusable,
    EmbeddingUnavailable,
    LeaseLost,
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    OperatorError,
    PortInUse,
    PromptInvalid,
    RemoteUnavailable,
    RemoteUnreachable,
    RerankerUnavailable,
    RoleTooPowerful,
    RunAbandoned,
    SchemaOutdated,
    ServerStopping,
    SettingsInvalid,
    StreamCut,
    TurnTimeout,
    VectorEngineUnavailable,
)
from core.errors.user import (
    ApprovalChanged,
    ApprovalClaimed,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalNotFound,
    BodyTooLarge,
    Conflict,
    DocumentNotFound,
    EmptyInput,
    HostRefused,
    IngestionNotFound,
    InputTooLong,
    InvalidInput,
    KeyInFlight,
    KeyReused,
    MediaTypeRefused,
    ModelNotFound,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PromptTooLong,
    RetryRefused,
    RunActive,
    RunCancelled,
    RunEnded,
    RunNotFound,
    ThreadNotFound,
    UnsupportedParameter,
    UserError,
)

__all__ = [
    "AdapterMissing",
    "AddressRefused",
    "AnswerMisfit",
    "ApprovalChanged",
    "ApprovalClaimed",
    "ApprovalDecided",
    "ApprovalExpired",
    "ApprovalNotFound",
    "BodyTooLarge",
    "CacheFailed",
    "CheckFailed",
    "CheckpointRefused",
    "ClusterUnavailable",
    "Conflict",
    "DataFolderUnusable",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "DatabaseUnusable",
    "DocumentEmpty",
    "DocumentEncrypted",
    "DocumentError",
    "DocumentInvalid",
    "DocumentNotFound",
    "DocumentTooLarge",
    "DocumentUnreadable",
    "DocumentUnsupported",
    "EmbeddingUnavailable",
    "EmptyInput",
    "HostRefused",
    "IngestionNotFound",
    "InputTooLong",
    "InvalidInput",
    "KeyInFlight",
    "KeyReused",
    "LeaseLost",
    "MediaTypeRefused",
    "ModelError",
    "ModelNotFound",
    "ModelOverloaded",
    "ModelRejected",
    "ModelTimeout",
    "ModelUnavailable",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "OperatorError",
    "ParleyError",
    "PortInUse",
    "PromptInvalid",
    "PromptTooLong",
    "RemoteUnavailable",
    "RemoteUnreachable",
    "RerankerUnavailable",
    "RetryRefused",
    "RoleTooPowerful",
    "RunAbandoned",
    "RunActive",
    "RunCancelled",
    "RunEnded",
    "RunNotFound",
    "SchemaOutdated",
    "ServerStopping",
    "SettingsInvalid",
    "StreamCut",
    "ThreadNotFound",
    "TurnTimeout",
    "UnsupportedParameter",
    "UserError",
    "VectorEngineUnavailable",
]
