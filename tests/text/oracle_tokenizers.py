"""Small tokenizers of every kind, and what the reference implementations make of texts with them.

argv: a folder to write to, the default model's GGUF file, a JSON list of texts. Writes per case a Hugging Face folder
or a GGUF file, and `cases.json`: case -> {"ids": per text, "runs": [[prompt ids, continuation ids, its text]]}.
"""

import json
import random
import sys
from pathlib import Path

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, GPT2Tokenizer, LlamaTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from transformers.tokenization_utils_base import generate_merges

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
SPECIAL = ["<|endoftext|>", "<|begin|>", "<|im_end|>"]
USER = ["<think>", "    "]
WHOLE_ONLY = "Ġindivisibleword"  # in the vocabulary, but out of the merges' reach

out, default_model = Path(sys.argv[1]), Path(sys.argv[2])
texts = json.loads(Path(sys.argv[3]).read_text())
cases: dict[str, dict] = {}


def record(case: str, encode, decode, usable) -> None:
    choose = random.Random(case)  # noqa: S311 - the same every time
    prompt = encode("Once upon a time")
    start = len(decode(prompt))
    runs = []
    for _ in range(200):
        run = choose.choices(usable, k=choose.randrange(1, 30))
        runs.append([prompt, run, decode(prompt + run)[start:]])
    cases[case] = {"ids": [encode(text) for text in texts], "runs": runs}


def record_backend(case: str, backend: Tokenizer, usable=None) -> None:
    record(
        case,
        lambda text: backend.encode(text).ids,
        lambda ids: backend.decode(ids, skip_special_tokens=True),
        usable or range(backend.get_vocab_size()),
    )


def add_tokens(backend: Tokenizer) -> Tokenizer:
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    backend.add_tokens([AddedToken(token, normalized=False) for token in USER])
    return backend


def trained_bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Merges across words, digits and spaces, so that every split of a pre-tokenizer shows in the ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=2500,
        special_tokens=[*SPECIAL, *USER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=10,
    )
    tokenizer.train_from_iterator([*texts, "What's 1234 + 56?  it's 78\n\n" * 3], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"] | {WHOLE_ONLY: len(model["vocab"])}, [tuple(pair) for pair in model["merges"]]


def write_gguf(path: Path, kind: str, pre: str, tokens, types, *, merges=None, scores=None, bos=1, eos=2) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if merges:
        writer.add_token_merges([" ".join(pair) for pair in merges])
    if scores:
        writer.add_token_scores(scores)
    writer.add_bos_token_id(bos)
    writer.add_eos_token_id(eos)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()


def split(pattern: str):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def digits():
    """SmolLM's."""
    each = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([each, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def byte_level(vocab, merges, pre_tokenizer, *, ignore_merges=False, bos=False) -> Tokenizer:
    backend = Tokenizer(models.BPE(vocab, merges, ignore_merges=ignore_merges))
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.ByteLevel()
    if bos:
        backend.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 1)])
    return add_tokens(backend)


def byte_level_references(vocab, merges) -> dict[str, Tokenizer]:
    """By GGUF's name of the pre-tokenizer; each as the models of that name have it in their tokenizer.json."""
    llama3, tekken = (split(GGUF_PRE_TOKENIZER_SPLITS[name]) for name in ("llama-bpe", "tekken"))
    names = {"unk_token": None, "bos_token": None, "eos_token": "<|endoftext|>", "pad_token": None}
    return {
        "smollm": byte_level(vocab, merges, digits()),
        "llama-bpe": byte_level(vocab, merges, llama3, ignore_merges=True, bos=True),
        "tekken": byte_level(vocab, merges, tekken, ignore_merges=True, bos=True),
        "gpt-2": add_tokens(GPT2Tokenizer(vocab=vocab, merges=merges, **names).backend_tokenizer),
        "qwen2": add_tokens(Qwen2Tokenizer(vocab=vocab, merges=merges, **names).backend_tokenizer),
    }


def save_folder(case: str, backend: Tokenizer, **config) -> None:
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(out / case)
    (out / case / "config.json").write_text(json.dumps(config))


def byte_level_cases() -> None:
    vocab, merges = trained_bpe()
    tokens = sorted(vocab, key=vocab.__getitem__)
    types = [CONTROL if t in SPECIAL else USER_DEFINED if t in USER else NORMAL for t in tokens]
    for pre, backend in byte_level_references(vocab, merges).items():
        write_gguf(out / f"gguf-{pre}.gguf", "gpt2", pre, tokens, types, merges=merges)
        record_backend(f"gguf-{pre}", backend)
        save_folder(f"folder-{pre}", backend, eos_token_id=2)
        record_backend(f"folder-{pre}", backend)


def train_sentencepiece() -> sentencepiece.SentencePieceProcessor:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in texts[:30] for line in text.splitlines() if "\0" not in line]),
        model_prefix=str(out / "spm"),
        model_type="bpe",
        vocab_size=1200,
        byte_fallback=True,
        split_digits=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        control_symbols=["<|im_end|>"],
        user_defined_symbols=["<think>"],
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_file=str(out / "spm.model"))


def kind_of(spm, piece: int) -> int:
    if spm.is_unknown(piece):
        return UNKNOWN
    if spm.is_control(piece):
        return CONTROL
    if spm.is_byte(piece):
        return BYTE
    return USER_DEFINED if spm.id_to_piece(piece) == "<think>" else NORMAL


def llama(tokens: list[str], scores: list[float]) -> Tokenizer:
    """As Llama's own class builds it, with Metaspace."""
    vocab = {token: number for number, token in enumerate(tokens)}
    merges = generate_merges(vocab, dict(zip(tokens, scores, strict=True)))
    backend = LlamaTokenizer(vocab=vocab, merges=merges).backend_tokenizer
    backend.add_special_tokens([AddedToken("<|im_end|>", normalized=False, special=True)])
    backend.add_tokens([AddedToken("<think>", normalized=False)])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return backend


def legacy(backend: Tokenizer) -> Tokenizer:
    """As in the tokenizer.json of Llama 2, Mistral and TinyLlama: the space comes from a normalizer."""
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = None
    return backend


def sentencepiece_cases() -> None:
    spm = train_sentencepiece()
    pieces = range(spm.vocab_size())
    tokens, types = [spm.id_to_piece(i) for i in pieces], [kind_of(spm, i) for i in pieces]
    scores = [spm.get_score(i) for i in pieces]
    for name in ("gguf-llama", "gguf-sentencepiece"):
        write_gguf(out / f"{name}.gguf", "llama", "default", tokens, types, scores=scores)
    # Runs of byte tokens that are not UTF-8 read differently on purpose: see the tests of ChoiceText.
    usable = [i for i in pieces if not spm.is_byte(i)]
    for case, backend in {"metaspace": llama(tokens, scores), "llama": legacy(llama(tokens, scores))}.items():
        save_folder(f"folder-{case}", backend, eos_token_id=[2])
        record_backend(f"folder-{case}", backend, usable)
        if case == "llama":
            record_backend("gguf-llama", backend, usable)
    spoken = [i for i in usable if not (spm.is_control(i) or spm.is_unknown(i))]
    record("gguf-sentencepiece", lambda text: spm.encode(text, add_bos=True), spm.decode, spoken)


def default_case() -> None:
    backend = AutoTokenizer.from_pretrained(str(default_model.parent), gguf_file=default_model.name).backend_tokenizer
    # transformers reads this file without the split at digits that the model was trained with.
    backend.pre_tokenizer = digits()
    record_backend("default", backend)


out.mkdir(exist_ok=True)
byte_level_cases()
sentencepiece_cases()
default_case()
(out / "cases.json").write_text(json.dumps(cases))
