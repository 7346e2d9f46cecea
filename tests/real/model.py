#!/usr/bin/env python3
"""Write a tiny llama model with random weights as a GGUF file: `model.py OUT.gguf [SEED]`.

The text it makes means nothing, and that is the point: it loads in a second, makes thousands of
tokens a second on one core, and is the same file for the same seed. Two things are arranged:

* It never ends by itself. Every embedding carries the same large value in its first dimension, so
  the first dimension of the hidden state is a constant, and the output rows of the tokens that must
  not be said (control and byte tokens) have a large negative weight there. An answer therefore ends
  by `num_predict`, a stop string, or because the client went away, whichever the test asks for.
* It speaks more than ASCII: letters with accents, CJK, an emoji of four bytes, and U+2028, which
  some clients take for the end of a line when it is not escaped inside JSON.
"""

import sys

import gguf
import numpy as np

WIDTH, HEADS, LAYERS, FEED_FORWARD, CONTEXT = 128, 4, 4, 384, 4096
CONSTANT = 8.0  # first dimension of every embedding
SILENCE = -40.0  # weight on it for tokens that must not be said

WORDS = """the a of and to in is it that for on with as was be by are this from or one had not but
what all were when we there can an your which their said if do will each about how up out them then
she many some so these would other into has more her two like him see time could no make than first
been its who now people my made over did down only way find use may water long little very after
words called just where most know""".split()
OTHERS = ["é", "ü", "ß", "ñ", "日", "本", "語", "中", "😀", "🦙", "\u2028"]


def vocabulary():
    """Tokens in id order: three control tokens, all bytes, characters, words with and without space."""
    normal, control, unknown, byte = (
        gguf.TokenType.NORMAL,
        gguf.TokenType.CONTROL,
        gguf.TokenType.UNKNOWN,
        gguf.TokenType.BYTE,
    )
    tokens = [("<unk>", unknown), ("<s>", control), ("</s>", control)]
    tokens += [(f"<0x{n:02X}>", byte) for n in range(256)]
    characters = ["▁"] + [chr(n) for n in range(33, 127)] + OTHERS
    words = ["▁" + word for word in WORDS]
    seen = dict.fromkeys(characters + words)
    return tokens + [(text, normal) for text in seen]


def write(path, seed):
    """Write the model for `seed` to `path`."""
    tokens = vocabulary()
    random = np.random.default_rng(seed)

    def weights(*shape, scale=0.35):
        return (random.standard_normal(shape) * scale).astype(np.float32)

    out = gguf.GGUFWriter(path, "llama")
    out.add_name(f"tiny random llama {seed}")
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FEED_FORWARD)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list([text for text, _ in tokens])
    # Longer tokens are merged first; the merge of a word needs no parts with a better score.
    out.add_token_scores([float(len(text)) - 1000.0 for text, _ in tokens])
    out.add_token_types([kind for _, kind in tokens])
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(True)
    out.add_add_eos_token(False)
    out.add_add_space_prefix(True)

    embedding = weights(len(tokens), WIDTH, scale=1.0)
    embedding[:, 0] = CONSTANT
    output = weights(len(tokens), WIDTH, scale=0.25)
    output[:, 0] = 0.0
    for number, (_, kind) in enumerate(tokens):
        if kind != gguf.TokenType.NORMAL:
            output[number, 0] = SILENCE
    for text in OTHERS:
        output[[token for token, _ in tokens].index(text), 0] = 0.4  # said a little more often
    out.add_tensor("token_embd.weight", embedding)
    out.add_tensor("output.weight", output)
    out.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"{name}{part}.weight", quiet(part, weights(WIDTH, WIDTH)))
        out.add_tensor(f"{name}ffn_gate.weight", weights(FEED_FORWARD, WIDTH))
        out.add_tensor(f"{name}ffn_up.weight", weights(FEED_FORWARD, WIDTH))
        out.add_tensor(f"{name}ffn_down.weight", quiet("ffn_down", weights(WIDTH, FEED_FORWARD)))
        for part in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"{name}{part}.weight", np.ones(WIDTH, np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def quiet(part, matrix):
    """Keep the constant first dimension constant: nothing is added to it on the way through."""
    if part in ("attn_output", "ffn_down"):
        matrix[0, :] = 0.0
        matrix *= 0.2
    return matrix


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: model.py OUT.gguf [SEED]")
    write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1)
