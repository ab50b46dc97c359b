"""Tiny vision-language models and a language model: real classes, random weights, tokenizers and processors."""

from __future__ import annotations

from pathlib import Path

from tests.tiny import save_tokenizer
from tests.tiny_references import SHAPE, VISION_TOKENS, _tokenizer

QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IDEFICS_CHAT = (
    "{% for message in messages %}User:{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def save_tiny_qwen_vl(folder: Path) -> Path:
    """Qwen2_5_VLForConditionalGeneration, whose images become as many tokens as their size asks for."""
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder, VISION_TOKENS)
    special = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{name if name in ENDS else name + '_pad'}|>")
        for name in ("image", "video", *ENDS)
    }
    config = Qwen2_5_VLConfig(
        text_config={
            **SHAPE,
            "num_hidden_layers": 1,
            "vocab_size": len(tokenizer),
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3], "rope_type": "default"},
            "initializer_range": 0.4,
            "bos_token_id": None,
            "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "initializer_range": 0.4,
        },
        **special,
    )
    images = Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 56 * 112})
    processor = Qwen2VLProcessor(images, tokenizer, Qwen2VLVideoProcessor(), chat_template=QWEN_CHAT)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


ENDS = ("vision_start", "vision_end")


def save_tiny_idefics3(folder: Path) -> Path:
    """Idefics3ForConditionalGeneration, the class of SmolVLM 256M and 500M."""
    import torch
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
        LlamaConfig,
    )

    torch.manual_seed(1)
    marks = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
    tokenizer = _tokenizer(folder, marks)
    config = Idefics3Config(
        text_config=LlamaConfig(
            **SHAPE,
            head_dim=16,
            num_hidden_layers=1,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.4,
        ),
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "image_size": 32,
            "patch_size": 8,
            "initializer_range": 0.4,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    images = Idefics3ImageProcessor(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=IDEFICS_CHAT)
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_tiny_blip(folder: Path) -> Path:
    """BlipForConditionalGeneration, which has no chat template and counts positions from the left."""
    import torch
    from transformers import (
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    torch.manual_seed(2)
    folder.mkdir(parents=True, exist_ok=True)
    letters = "abcdefghijklmnopqrstuvwxyz?,.{}0123456789"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), bos_token="[DEC]")
    layers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = BlipConfig(
        text_config={
            **layers,
            "vocab_size": len(words),
            "encoder_hidden_size": 16,
            "max_position_embeddings": 128,
            "bos_token_id": words.index("[DEC]"),
            "eos_token_id": words.index("[SEP]"),
            "sep_token_id": words.index("[SEP]"),
            "pad_token_id": 0,
            "initializer_range": 0.4,
        },
        vision_config={**layers, "image_size": 32, "patch_size": 8, "initializer_range": 0.4},
        projection_dim=16,
        image_text_hidden_size=16,
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder


def save_tiny_blip2(folder: Path) -> Path:
    """Blip2ForConditionalGeneration, whose decoder is an OPT."""
    import torch
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
        BlipImageProcessor,
        OPTConfig,
    )

    torch.manual_seed(5)
    tokenizer = _tokenizer(folder, ("<image>",))
    layers = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Blip2Config(
        vision_config=Blip2VisionConfig(
            **layers, intermediate_size=16, image_size=32, patch_size=8, initializer_range=0.4
        ).to_dict(),
        qformer_config=Blip2QFormerConfig(
            **layers,
            intermediate_size=16,
            vocab_size=len(tokenizer),
            encoder_hidden_size=16,
            cross_attention_frequency=1,
            initializer_range=0.4,
        ).to_dict(),
        text_config=OPTConfig(
            **layers,
            ffn_dim=16,
            word_embed_proj_dim=16,
            max_position_embeddings=128,
            vocab_size=len(tokenizer),
            init_std=0.4,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ).to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    net = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(net.query_tokens, std=0.4)
    net.save_pretrained(folder)
    images = BlipImageProcessor(size={"height": 32, "width": 32})
    Blip2Processor(images, tokenizer, num_query_tokens=4).save_pretrained(folder)
    return folder


def save_tiny_florence2(folder: Path) -> Path:
    """Florence2ForConditionalGeneration, an encoder-decoder."""
    import torch
    from transformers import (
        BartConfig,
        BartTokenizerFast,
        CLIPImageProcessor,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    torch.manual_seed(3)
    save_tokenizer(folder)
    tokenizer = BartTokenizerFast(
        str(folder / "vocab.json"), str(folder / "merges.txt"), extra_special_tokens={"image_token": "<image>"}
    )
    text = BartConfig(
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=128,
        vocab_size=len(tokenizer),
        init_std=0.4,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
    )
    stages = {"embed_dim": [8, 8, 8, 16], "num_heads": [1] * 4, "num_groups": [1] * 4, "depths": [1] * 4}
    config = Florence2Config(
        text_config=text.to_dict(),
        vision_config={**stages, "projection_dim": 16, "window_size": 2, "initializer_range": 0.4},
        image_token_id=tokenizer.image_token_id,
    )
    images = CLIPImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    images.image_seq_length = 5
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    Florence2Processor(images, tokenizer).save_pretrained(folder)
    return folder


def save_tiny_language(folder: Path) -> Path:
    """Qwen3ForCausalLM, a language model with a chat template."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(4)
    tokenizer = _tokenizer(folder)
    config = Qwen3Config(
        **SHAPE,
        head_dim=8,
        num_hidden_layers=1,
        vocab_size=len(tokenizer),
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rig(source: Path, folder: Path, logits: dict[str, float]) -> Path:
    """The Idefics 3 in `source` with `logits` of the next token, by letter, whatever the image; 0 of all others.

    Its layers add nothing, and the last token of each prompt is all ones: so the logits are sums of rows of its head.
    """
    import torch
    from transformers import AutoProcessor, Idefics3ForConditionalGeneration

    net, processor = Idefics3ForConditionalGeneration.from_pretrained(source), AutoProcessor.from_pretrained(source)
    ids = processor.tokenizer
    text = net.model.text_model
    with torch.no_grad():
        for layer in text.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        text.norm.weight.fill_(1.0)
        text.embed_tokens.weight[ids(":").input_ids[-1]] = 1.0
        net.lm_head.weight.zero_()
        for letter, value in logits.items():
            net.lm_head.weight[ids(letter).input_ids[0]] = value / net.lm_head.weight.shape[1]
    net.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


TINY = {
    "qwen2.5-vl": save_tiny_qwen_vl,
    "idefics3": save_tiny_idefics3,
    "blip": save_tiny_blip,
    "blip-2": save_tiny_blip2,
    "florence-2": save_tiny_florence2,
}
"""What saves a tiny model of each kind."""
