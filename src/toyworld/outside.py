"""Prompts from beyond the toy world, for the language model to learn to keep what it is given.

People type anything; a model that had only seen animals in garments would turn a lighthouse into
a cat. So it also learns to copy common words, made-up words, odd casing, digits and symbols.
"""

from __future__ import annotations

import random

NOUNS = """lighthouse castle bridge mountain river ocean island forest desert volcano waterfall
village city street house cottage tower temple church museum station harbor market garden meadow
boat ship submarine train tram bus car truck bicycle motorcycle airplane balloon rocket satellite
robot astronaut wizard knight pirate dancer chef farmer sailor king queen child woman man portrait
guitar piano violin drum clock lamp candle lantern mirror window door chair table bookshelf teapot
cup bottle vase basket umbrella camera telescope computer keyboard phone painting statue fountain
apple banana orange lemon strawberry grape pizza burger sandwich cake cookie bread cheese coffee
rose tulip sunflower daisy cactus mushroom oak palm bamboo fern horse cow sheep goat elephant lion
tiger giraffe zebra monkey whale dolphin shark octopus turtle crab butterfly bee spider ant snail
dinosaur dragon unicorn phoenix mermaid planet moon sun star comet galaxy nebula storm rainbow
cloud lightning aurora sunset sunrise skyline landscape still-life map poster logo
sculpture""".split()

QUALITIES = """tiny huge ancient modern futuristic abandoned glowing golden silver wooden broken
beautiful mysterious dark bright colorful foggy sunny stormy quiet busy lonely cute funny detailed
realistic abstract minimal surreal dramatic vintage rusty shiny transparent floating flying running
sleeping smiling angry old young tall small big round square blue red green black white purple pink
yellow grey crimson turquoise beige striped spotted fluffy elegant""".split()

STYLES = """photo photograph painting drawing sketch illustration poster render watercolor cartoon
close-up snapshot portrait mosaic fresco engraving collage screenshot""".split()

LINKS = """on in at near under over behind beside with without and of by from wearing holding
eating watching above across between inside riding""".split()

TAIL = """8k, highly detailed; trending; cinematic lighting; soft focus; 35mm; f/1.8; HDR; unreal
engine; award winning; masterpiece; wide angle; by a master; no text; isometric; low poly; bokeh;
--ar 16:9; in the style of a postcard; at night; at noon""".replace("\n", " ").split("; ")

SYMBOLS = [
    *"{}[]()<>#@&%*+=_/|~^$!?:;'\"\\-0123456789",
    "é",
    "ü",
    "ñ",
    "ø",
    "ß",
    "日",
    "本",
    "🐈",
    "🌊",
    "🚀",
]

_ONSETS = (
    "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl gr pl sh sk sl sp st th tr".split()
)
_VOWELS = "a e i o u ai ea ee io oa oo ou y".split()
_CODAS = ["", "", *"b d g k l m n p r s t x ck ll nd ng nt rd rk rn sh st ster tion ing".split()]


def pseudo_word(rng: random.Random) -> str:
    """A word of 1 to 4 made-up syllables."""
    syllables = range(rng.choice((1, 2, 2, 2, 3, 3, 4)))
    return "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in syllables
    )


def symbols(rng: random.Random) -> str:
    """1 to 6 digits, brackets, accented letters or emoji."""
    return "".join(rng.choices(SYMBOLS, k=rng.randint(1, 6)))


def word(rng: random.Random) -> str:
    """Mostly a word, common or made up."""
    pick = rng.random()
    if pick < 0.4:
        return rng.choice(rng.choice((NOUNS, QUALITIES, STYLES, LINKS)))
    return pseudo_word(rng) if pick < 0.96 else symbols(rng)


def phrase(rng: random.Random) -> str:
    """A plausible prompt: "a photo of a rusty lighthouse near the harbor, bokeh"."""
    noun = rng.choice((rng.choice(NOUNS), pseudo_word(rng)))
    quality = rng.choice(("", "", rng.choice(QUALITIES) + " ", pseudo_word(rng) + " "))
    style = rng.choice(("", f"a {rng.choice(STYLES)} of ", f"{rng.choice(STYLES)} of "))
    article = rng.choice(("a ", "a ", "an ", "the ", "two ", ""))
    place = f" {rng.choice(LINKS)} {rng.choice(('a', 'the'))} {rng.choice(NOUNS)}"
    tail = ", ".join(["", *rng.sample(TAIL, rng.choice((0, 0, 1, 2)))])
    return style + article + quality + noun + rng.choice(("", place)) + tail


def jumble(rng: random.Random) -> str:
    """1 to 16 unrelated words."""
    separator = rng.choice((" ", " ", " ", ", "))
    return separator.join(word(rng) for _ in range(rng.randint(1, 16)))


def swap_word(prompt: str, rng: random.Random) -> str:
    """`prompt` with one word replaced, so that known sentences do not swallow unknown words."""
    words = prompt.split(" ")
    words[rng.randrange(len(words))] = word(rng)
    return " ".join(words)


def recase(prompt: str, rng: random.Random) -> str:
    """`prompt` in one of the ways that people type it."""
    change = rng.choice((str, str, str, str.lower, str.upper, str.title, str.capitalize))
    return change(prompt) + rng.choice(("", "", "", ".", "!", " "))


def outside_prompt(inside: str, rng: random.Random) -> str:
    """A prompt from beyond the toy world, or a disturbed form of `inside`, a prompt of it."""
    kind = rng.random()
    if kind < 0.01:
        return ""
    if kind < 0.25:
        return recase(inside, rng)
    if kind < 0.5:
        return recase(swap_word(inside, rng), rng)
    return recase(phrase(rng) if kind < 0.75 else jumble(rng), rng)
