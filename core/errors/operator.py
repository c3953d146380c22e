"""What the operator can mend."""

from __future__ import annotations

from core.errors.base import ParleyError


class OperatorError(ParleyError):
    """A service that Parley needs is not working."""

    code = "service_error"


class SettingsInvalid(OperatorError):
    """A setting is missing or wrong."""

    code = "settings_invalid"


class PromptInvalid(OperatorError):
    """A prompt's file is wrong."""

    code = "prompt_invalid"


class AddressRefused(OperatorError):
    """Parley has no accounts yet, so it serves this machine only: set API_HOST=127.0.0.1."""

    code = "address_refused"


class PortInUse(OperatorError):
    """The port is in use; set API_PORT to a free one."""

    code = "port_in_use"


class ServerStopping(OperatorError):
    """The server is stopping; ask again in a moment."""

    code = "server_stopping"


class DatabaseUnavailable(OperatorError):
    """The database does not answer."""

    code = "database_unavailable"


class DatabaseBusy(DatabaseUnavailable):
    """All database connections are busy; try again in a moment."""

    code = "database_busy"


class DatabaseUnusable(OperatorError):
    """The database cannot be used as it is."""

    code = "database_unusable"


class DataFolderUnusable(DatabaseUnusable):
    """The data folder cannot be used."""

    code = "data_folder_unusable"


class RoleTooPowerful(DatabaseUnusable):
    """The database role could bypass row-level security; connect as parley_app."""

    code = "role_too_powerful"


class SchemaOutdated(DatabaseUnusable):
    """The database schema is older than this version; run `python -m db migrate`."""

    code = "schema_outdated"


class CheckpointRefused(DatabaseUnusable):
    """A stored step of this run holds what no step holds; it was not loaded."""

    code = "checkpoint_refused"


class EmbeddingUnavailable(OperatorError):
    """The embedding model could not be loaded."""

    code = "embedding_unavailable"


class RerankerUnavailable(OperatorError):
    """The reranking server does not answer."""

    code = "reranker_unavailable"


class CacheFailed(OperatorError):
    """The answer cache failed; the turn goes on without it."""

    code = "cache_failed"


class VectorEngineUnavailable(OperatorError):
    """The vector engine does not answer."""

    code = "vector_engine_unavailable"


class ClusterUnavailable(OperatorError):
    """The cluster for ingestion does not work."""

    code = "cluster_unavailable"


class ModelError(OperatorError):
    """The model server failed."""

    code = "model_error"


class ModelUnavailable(ModelError):
    """The model server does not answer."""

    code = "model_unavailable"


class ModelOverloaded(ModelError):
    """The model server is overloaded; try again in a moment."""

    code = "model_overloaded"


class ModelTimeout(ModelError):
    """The model server took too long."""

    code = "model_timeout"


class ModelRejected(ModelError):
    """The model server rejected the request."""

    code = "model_rejected"


class StreamCut(ModelError):
    """The model's answer broke off before its end."""

    code = "stream_cut"


class AnswerMisfit(ModelError):
    """The model's answer does not have the shape that was asked for."""

    code = "answer_misfit"


class AdapterMissing(ModelError):
    """The model server does not have the adapter that was asked for."""

    code = "adapter_missing"


class RemoteUnavailable(OperatorError):
    """A server that a tool talks to did not answer as it should."""

    code = "remote_unavailable"


class RemoteUnreachable(RemoteUnavailable):
    """A server that a tool talks to cannot be reached; nothing was sent."""

    code = "remote_unreachable"


class CheckFailed(OperatorError):
    """A safety check could not run, so the turn was refused."""

    code = "check_failed"


class TurnTimeout(OperatorError):
    """The turn took too long."""

    code = "turn_timeout"


class LeaseLost(OperatorError):
    """Another process has taken this run over."""

    code = "lease_lost"


class RunAbandoned(OperatorError):
    """The run was given up after its process died repeatedly."""

    code = "run_abandoned"
