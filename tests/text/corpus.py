"""Texts to compare tokenizers on: what people write, what breaks tokenizers, and noise."""

from __future__ import annotations

import random

WRITTEN = [
    "",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog. It's 1234567890 o'clock; we'll've SHOUTED, didn't we?",
    "I'M, YOU'RE, he'S, they'LL, we'VE, I'D, can'T",
    "3.14159 1,000,000 0x1F 2024-02-29 ½ ² ③ ٣ ४ 12ab34",
    "Zażółć gęślą jaźń; naïve café; ẞß; İstanbul; ﬁancé; Å Å Å",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. 0,5 %",
    "敏捷的棕色狐狸跳过懒狗。我能吞下玻璃而不伤身体。",
    "いろはにほへと ちりぬるを。素早い茶色の狐。",
    "키스의 고유조건은 입술끼리 만나야 하고",
    "مرحبا بالعالم، كيف حالك؟ שלום עולם",
    "नमस्ते दुनिया, क्षत्रिय की कहानी। สวัสดีชาวโลก",
    "😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ 🏴󠁧󠁢󠁳󠁣󠁴󠁿 ﷽ \U0001d518\U0001d52b\U0001d526\U0001d520\U0001d52c\U0001d521\U0001d522 𒀀",
    "e\u0301 vs \u00e9, n\u0303, \u1e9b\u0323, \uac00 \u1100\u1161",
    "  two spaces,   three,\ta tab,\t\ttwo tabs, trailing  ",
    "\n\n\nnew lines\r\nCRLF\rCR \n \n\t\n end\n",
    "    four\n        eight\n  def f(x):\n\treturn x  # code\n\n\n",
    "\u00a0no-break\u2003em space\u3000wide\u200bzero width\ufeffbom\u2028line\u2029paragraph",
    "\0null \x01\x02\x7f\x1b[31mred\x1b[0m \x85 \ufffd \uffff",
    'C++ -> a[i] != b && !(c || d); {"key": [1, 2.5e-3, null]} $x^2$ <b>~|`\\',
    "https://example.org/a/b?c=d&e=%20f#g user@example.org",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbb" * 3,
    "........!!!!!!!!????----____====****//////" * 2,
    "an indivisibleword here, indivisibleword, indivisiblewords",
    " ",
    "     ",
    "\n",
    "a",
    "▁ the lower block ▁▁ and <0x41> as text Ġ Ċ",
]
SPECIAL = [
    "<|im_end|>",
    "before<|im_end|> after",
    "<|endoftext|><|begin|>twice  <|im_end|>\n<think> thinks </think>",
    "<s>beginning</s> <unk> <think>x",
    "<|im_en almost <|im_end| >",
]
_RANGES = [
    (0x20, 0x7F),
    (0x00, 0x20),
    (0x80, 0x530),
    (0x530, 0x1200),
    (0x2000, 0x2C00),
    (0x3000, 0x9FFF),
    (0xAC00, 0xD7A4),
    (0x1F300, 0x1FAFF),
    (0x10000, 0x10FFFF),
]


def noise(count: int) -> list[str]:
    """Random text over all of Unicode, always the same."""
    choose = random.Random(20)  # noqa: S311 - the same every time
    return ["".join(_character(choose) for _ in range(choose.randrange(1, 60))) for _ in range(count)]


def _character(choose: random.Random) -> str:
    return choose.choice(" \n019aeZ'") if choose.random() < 0.4 else chr(choose.randrange(*choose.choice(_RANGES)))


TEXTS = [*WRITTEN, *SPECIAL, *noise(400)]
