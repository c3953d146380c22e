"""Writes a llama of random weights: nonsense, but a real model to a real server.

Runs in the environment of llama-cpp-python: python -m tests.tgi.llamacpp.tiny FILE
"""

from __future__ import annotations

import sys

import gguf  # type: ignore[import-not-found]  # it is in that environment alone
import numpy as np

WIDTH, INNER, LAYERS, HEADS, KV_HEADS, CONTEXT = 64, 128, 2, 4, 2, 512
SPACE = "▁"  # as the tokenizer writes it
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}"
    "<|assistant|>"
)


def write(path: str) -> None:
    """Write the model, with a token for each byte and each printable character of ASCII."""
    random = np.random.default_rng(7)  # the same nonsense every time
    printable = [chr(code) for code in range(33, 127)]
    # Bytes above ASCII would rarely make a character, and the server waits until they do.
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(128))]
    kinds = [
        gguf.TokenType.UNKNOWN,
        gguf.TokenType.CONTROL,
        gguf.TokenType.CONTROL,
        *[gguf.TokenType.BYTE] * 128,
    ]
    tokens += [SPACE, *printable]
    kinds += [gguf.TokenType.NORMAL] * (len(printable) + 1)
    head = WIDTH // HEADS

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)

    def tensor(name: str, *shape: int) -> None:
        values = random.normal(0, 0.3, shape).astype(np.float32)
        if name == "output.weight":
            # Neither a control token nor a byte is ever the likeliest: greedy answers are printable
            # and do not end.
            values[: tokens.index(SPACE)] = 0
        writer.add_tensor(name, values)

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(WIDTH, np.float32))

    tensor("token_embd.weight", len(tokens), WIDTH)
    tensor("output.weight", len(tokens), WIDTH)
    norm("output_norm.weight")
    for layer in range(LAYERS):
        norm(f"blk.{layer}.attn_norm.weight")
        norm(f"blk.{layer}.ffn_norm.weight")
        tensor(f"blk.{layer}.attn_q.weight", WIDTH, WIDTH)
        tensor(f"blk.{layer}.attn_k.weight", KV_HEADS * head, WIDTH)
        tensor(f"blk.{layer}.attn_v.weight", KV_HEADS * head, WIDTH)
        tensor(f"blk.{layer}.attn_output.weight", WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
        tensor(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
        tensor(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
