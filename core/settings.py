"""All settings, read once from the environment (and `.env`) where things are built."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import SettingsInvalid

MIN_SECRET = 16  # characters of a key that signs
_CONFIG = SettingsConfigDict(frozen=True, env_file=".env", extra="ignore", env_ignore_empty=True)


class DatabaseSettings(BaseSettings):
    """Postgres: embedded in a folder by default, any server by URL."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="DATABASE_")

    url: SecretStr | None = Field(
        None, description="Server to use, as role parley_app. Empty: embedded Postgres."
    )
    admin_url: SecretStr | None = Field(
        None, description="The same database as an owner that may migrate. Empty: only verify."
    )
    reader_url: SecretStr | None = Field(
        None,
        description="The same database as role parley_reader, for questions in SQL. "
        "Empty: none, but with embedded Postgres.",
    )
    folder: Path = Field(
        Path(".parley/postgres"), description="Data folder of the embedded Postgres."
    )
    pool_min_size: int = Field(2, ge=1, description="Connections kept open, per process.")
    pool_max_size: int = Field(8, ge=2, description="Connections at most, per process.")
    pool_timeout_seconds: float = Field(3.0, gt=0, description="Wait for a free connection.")


class ModelSettings(BaseSettings):
    """The model server: TGI by URL, the embedded extractive model without one."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="MODEL_")

    file: Path | None = Field(
        None, description="File of models, with their servers, prices and tasks. Empty: one model."
    )
    url: str | None = Field(None, description="Base URL of the server. Empty: embedded server.")
    api_key: SecretStr | None = Field(None, description="Bearer token for the server, if it asks.")
    profile: Literal["tgi", "vllm", "llamacpp", "openai"] = Field(
        "tgi", description="Which dialect the server speaks."
    )
    name: str = Field("tgi", description="Model name to send; TGI takes `tgi` for its base model.")
    context_tokens: int = Field(
        8192, ge=512, description="Tokens of a prompt and its answer together at most."
    )
    max_output_tokens: int = Field(512, ge=1, description="Tokens of one answer at most.")
    connect_timeout_seconds: float = Field(5.0, gt=0, description="Until the connection stands.")
    first_token_timeout_seconds: float = Field(60.0, gt=0, description="Until the first token.")
    idle_timeout_seconds: float = Field(30.0, gt=0, description="Between two tokens.")
    total_timeout_seconds: float = Field(120.0, gt=0, description="Until the end of an answer.")
    breaker_failures: int = Field(
        5, ge=1, description="In a row; then a server is left alone for a while."
    )
    breaker_seconds: float = Field(60.0, gt=0, description="That while.")

    @property
    def embedded(self) -> bool:
        """Return whether nobody but the embedded server is asked."""
        return not (self.url or self.file)


class KnowledgeSettings(BaseSettings):
    """Ingestion and retrieval."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="KNOWLEDGE_")

    chunking: Literal["structure", "sentence", "semantic"] = Field(
        "structure", description="Chunks of paragraphs, of sentences, or of one subject."
    )
    chunk_tokens: int = Field(250, ge=32, le=254, description="Tokens of a chunk at most.")
    overlap_tokens: int = Field(30, ge=0, description="Tokens a chunk shares with the next.")
    max_document_mb: int = Field(64, ge=1, description="Larger files are refused.")
    document_timeout_seconds: float = Field(
        60.0, gt=0, description="Reading one document; one that takes longer is given up."
    )
    passages: int = Field(5, ge=1, le=20, description="Passages put into the prompt.")
    candidates: int = Field(100, ge=10, description="Candidates per retriever before fusion.")
    context: Literal["relevance", "diversity", "recency"] = Field(
        "relevance", description="What counts when passages are chosen for the prompt."
    )
    context_tokens: int = Field(
        2400, ge=512, description="Tokens of all passages in the prompt at most."
    )
    context_order: Literal["best_first", "edges"] = Field(
        "best_first", description="edges: the best at both ends, for models with long prompts."
    )
    embed_threads: int = Field(0, ge=0, description="Threads of the embedding model; 0: all cores.")
    workers: int = Field(
        1,
        ge=0,
        description="Jobs at the same time in `python -m api`; 0: none.",
    )
    max_attempts: int = Field(3, ge=1, description="Attempts at one document; then it is parked.")
    worker_timeout_seconds: float = Field(
        15.0, ge=1, description="Without a sign of life, a worker's jobs go to others."
    )
    rerank_url: str | None = Field(
        None, description="Text Embeddings Inference with a reranker. Empty: token vectors alone."
    )
    rerank_api_key: SecretStr | None = Field(None, description="Key for that server, if it asks.")
    rerank_timeout_seconds: float = Field(
        1.0, gt=0, description="Then passages stay in the order they have."
    )
    qdrant_url: str | None = Field(
        None, description="Qdrant server to search vectors in. Empty: Postgres alone."
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key for Qdrant, if it asks.")


class CacheSettings(BaseSettings):
    """Finished answers, given again to whom asks the same while nothing has changed."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="CACHE_")

    enabled: bool = Field(True, description="Give answers again.")
    ttl_seconds: float = Field(3600.0, gt=0, description="Life of an answer in the cache at most.")
    entries: int = Field(2000, ge=1, le=20_000, description="Answers kept, per tenant.")
    similarity: float = Field(
        0.9, ge=0.8, le=1, description="Cosine of two questions that may share an answer, at least."
    )


class ApiSettings(BaseSettings):
    """The HTTP service."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="API_")

    host: str = Field("127.0.0.1", description="Loopback only, until there are accounts.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 picks a free one.")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Larger requests get 413.")
    heartbeat_seconds: float = Field(15.0, gt=0, description="SSE comment when nothing happens.")
    drain_seconds: float = Field(20.0, ge=0, description="Running turns may finish at shutdown.")
    keys_file: Path | None = Field(
        None, description="File of API keys. Empty: whoever reaches the port is trusted."
    )


class RunSettings(BaseSettings):
    """Limits of a turn and of its lease."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="RUN_")

    lease_seconds: float = Field(8.0, gt=0, description="A run without heartbeat is taken over.")
    heartbeat_seconds: float = Field(2.0, gt=0, description="Renewal of the leases.")
    max_attempts: int = Field(3, ge=1, description="Then the run is given up.")
    flush_seconds: float = Field(0.25, gt=0, description="Events are stored at least this often.")
    max_seconds: float = Field(300.0, gt=0, description="Wall time of one turn (requirement A5).")
    history_tokens: int = Field(2000, ge=0, description="Earlier messages in the prompt.")
    intents_folder: Path = Field(
        Path(".parley/intents"),
        description="Folder of TENANT.yaml files with examples of intents; may be absent.",
    )
    unsupported: Literal["drop", "mark", "keep"] = Field(
        "drop", description="What happens to a sentence that its sources do not support."
    )


class ToolSettings(BaseSettings):
    """What the agent can do besides answering."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="TOOLS_")

    search_url: str | None = Field(
        None, description="SearXNG server to search the web with. Empty: no search."
    )
    http_file: Path | None = Field(
        None, description="File of HTTP operations that may be called. Empty: none."
    )
    mcp_file: Path | None = Field(
        None, description="File of MCP servers whose tools are offered. Empty: none."
    )
    policy_file: Path | None = Field(
        None, description="What may run, what a person decides. Empty: the one that comes along."
    )
    offer: Literal["tasks", "always"] = Field(
        "tasks", description="tasks: for messages that sound like one. always: for questions too."
    )


class SafetySettings(BaseSettings):
    """The checks of what goes in and comes out."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="SAFETY_")

    policy_file: Path | None = Field(
        None, description="What is checked and how strictly. Empty: the one that comes along."
    )
    placeholder_key: SecretStr | None = Field(
        None,
        min_length=MIN_SECRET,
        description="Digests personal data where a policy keeps no values; 16 characters or more.",
    )


class WebhookSettings(BaseSettings):
    """Tells a server of yours about approvals, and about runs whose caller asked for it."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="WEBHOOK_")

    url: str | None = Field(None, description="Where notices are posted. Empty: nobody is told.")
    secret: SecretStr | None = Field(
        None,
        description="Signs them; at least 16 characters, or `whsec_` and the base64 of a key.",
        validate_default=True,
    )
    timeout_seconds: float = Field(10.0, gt=0, description="For an answer; then again later.")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        named = parts.hostname and parts.port != 0  # a port that is no number is a ValueError
        if url is not None and not (parts.scheme in ("http", "https") and named):
            raise ValueError("an http or https address is needed")
        return url

    @field_validator("secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None:
            if info.data.get("url") is not None:
                raise ValueError("notices have to be signed, so WEBHOOK_URL needs a secret")
            return None
        value = secret.get_secret_value()
        if len(value) < MIN_SECRET:
            raise ValueError(f"at least {MIN_SECRET} characters are needed")
        if value.startswith("whsec_"):
            b64decode(value.removeprefix("whsec_"), validate=True)  # its error is a ValueError
        return secret


class LangfuseSettings(BaseSettings):
    """Langfuse: traces are off without keys."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="LANGFUSE_")

    public_key: str | None = Field(None, description="Project's public key.")
    secret_key: SecretStr | None = Field(None, description="Project's secret key.")
    base_url: str | None = Field(None, description="Server address; required with keys.")
    environment: str = Field("default", description="Environment name shown in Langfuse.")
    sample_rate: float = Field(1.0, ge=0, le=1, description="Share of turns traced.")


class LogSettings(BaseSettings):
    """Logs: one JSON object a line, never message text."""

    model_config = SettingsConfigDict(**_CONFIG, env_prefix="LOG_")

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Threshold.")
    format: Literal["json", "text"] = Field("text", description="json for machines.")


class Settings(BaseSettings):
    """Everything that can be set, grouped by service."""

    model_config = SettingsConfigDict(frozen=True)

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    run: RunSettings = Field(default_factory=RunSettings)
    tools: ToolSettings = Field(default_factory=ToolSettings)
    safety: SafetySettings = Field(default_factory=SafetySettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    langfuse: LangfuseSettings = Field(default_factory=LangfuseSettings)
    log: LogSettings = Field(default_factory=LogSettings)


def read() -> Settings:
    """Return the settings of this process; raises SettingsInvalid naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        prefix = _prefixes()[error.title]
        lines = [f"{prefix}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsInvalid("; ".join(lines)) from error


def _prefixes() -> dict[str, str]:
    """Return the prefix of the variables of each group, by its class."""
    groups = (field.annotation for field in Settings.model_fields.values())
    return {g.__name__: g.model_config.get("env_prefix", "") for g in groups if g is not None}
