"""The adapter for language models of transformers: they go on from a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augforge.models.devices import pick_device
from augforge.models.pretrained import open_pretrained, word_dtype
from augforge.models.table import Model
from augforge.optional import require


class LanguageModel:
    """A language model, whatever `AutoModelForCausalLM` of transformers loads. It writes its likeliest words.

    Args:
        model: the row of the model.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "fp32", "fp16" or "bf16"; "auto" is bf16 on CUDA, else fp32.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, model: Model, device: str = "auto", dtype: str = "auto") -> None:
        require("torch", "transformers")
        import transformers

        def load(folder: Path) -> tuple[Any, Any]:
            tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
            return tokenizer, transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=word_dtype(self.device, dtype), use_safetensors=True
            )

        self.device = pick_device(device)
        self._tokenizer, self._net = open_pretrained(model, "language model", load)
        self._net.to(self.device).eval()

    def write(self, prompt: str, longest: int = 256) -> str:
        """The answer to a prompt, or what follows it where the model has no chat template: `longest` tokens at most."""
        import torch

        inputs = self._inputs(prompt).to(self.device)
        with torch.inference_mode():
            tokens = self._net.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=longest)
        answer = tokens[0, inputs["input_ids"].shape[1] :]
        return str(self._tokenizer.decode(answer, skip_special_tokens=True))

    def _inputs(self, prompt: str) -> Any:
        if self._tokenizer.chat_template is None:
            return self._tokenizer(prompt, return_tensors="pt")
        return self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
