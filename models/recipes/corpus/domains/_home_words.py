"""Rooms, devices and settings of a home, as people name them. A name that ends in s is spoken of in the plural."""

from __future__ import annotations

import random
from collections.abc import Sequence

ROOMS = tuple(
    """
kitchen|living room|bedroom|bathroom|office|hallway|garage|basement|attic|garden|dining room|guest room|kids room
nursery|study|laundry room|entrance|balcony|terrace|patio|porch|closet|pantry|corridor|staircase|master bedroom
playroom|workshop|toilet|lounge|utility room|guest bathroom|shed|driveway|backyard|front yard|conservatory|library
game room|media room|home office|family room|sun room|wardrobe|walk in closet|cellar|gym|sauna|mud room|loft
children's room|main bathroom|guest bedroom|spare room|hall|foyer|landing|den|studio|greenhouse|pool house|barn
upstairs bathroom|downstairs bathroom|upstairs hallway|wine cellar|storage room|boiler room|entry|veranda|yard
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
PEOPLE_ROOMS = (
    "anna|ben|emma|leo|max|mia|tom|lucy|jack|sarah|alice|bob|sam|lily|noah|olivia|james|sophie|peter|julia".split("|")
)
FLOORS = ("upstairs", "downstairs", "outside", "on the first floor", "on the ground floor", "on the second floor")
LIGHTS = tuple(
    """
lights|light|lamp|lamps|ceiling light|ceiling lights|ceiling lamp|floor lamp|desk lamp|bedside lamp|night light
reading light|reading lamp|table lamp|spotlights|spot lights|wall light|wall lights|main light|main lights|led strip
chandelier|overhead light|mirror light|counter lights|cabinet lights|mood lights|standing lamp|corner lamp|lava lamp
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
NAMED_LIGHTS = tuple(
    """
christmas lights|christmas tree|tree lights|fairy lights|porch light|garden lights|outdoor lights|outside lights
bed light|bedside light|aquarium light|string lights|flood light|flood lights|pendant lights|sofa lamp|piano lamp
sink light|stair lights|star projector|salt lamp|doorway light|path lights|pool lights|cabinet lights
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
SWITCHES = tuple(
    """
fan|ceiling fan|heater|radiator|air conditioner|air conditioning|tv|heating|coffee machine|kettle
television|oven|stove|toaster|coffee maker|dishwasher|washing machine|dryer|humidifier|dehumidifier|air purifier|speaker|speakers|printer|plug
socket|outlet|switch|smart plug|towel heater|electric blanket|water heater|boiler|fountain|pool pump|sprinklers
sprinkler|irrigation|doorbell|camera|cameras|alarm|router|projector|sound system|stereo|radio|game console|computer
monitor|screen|microwave|extractor fan|exhaust fan|space heater|floor heating|heat pump|charger|car charger|hot tub
fish tank|aquarium pump|robot vacuum|dish washer|freezer|fridge|hood|siren|motion sensor|amplifier|plugs
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
COVERS = (
    "curtains|blinds|windows|window|curtain|blind|shutter|shutters|shades|shade|roller blinds|roller shutters|drapes|awning|"
    "skylight|venetian blinds|left curtain|right curtain|window blinds|sun shade"
).split("|")
DOORS = (
    "garage door|gate|front gate|front door|back door|patio door|main gate|driveway gate|side door|door|pet door|"
    "cellar door|balcony door|shed door|sliding door|main door|side gate|garage doors|roller door"
).split("|")
LOCKS = (
    "front door|back door|door|side door|garage|main door|gate|patio door|shed|car|house|cellar door|doors|"
    "balcony door|front door lock|back gate|smart lock|safe|bedroom door|office door"
).split("|")
COLOURS = tuple(
    """
red|blue|green|yellow|orange|purple|pink|white|warm white|cool white|violet|turquoise|magenta|cyan|teal|gold|lavender
light blue|dark blue|light green|daylight|soft white|crimson|lime|amber|peach|indigo|maroon|olive|silver|brown|coral
bright white|sky blue|candle light|black|beige|mint|navy|lilac|rose|salmon|cold white|deep red|forest green
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
SCENES = tuple(
    """
movie|movie night|dinner|party|relax|good night|good morning|reading|romantic|bedtime|cooking|work|focus|sunset|cozy
away|holiday|wake up|game night|cleaning|sleep|evening|morning|guest|bright|cinema|study|date night|yoga|bath time
welcome home|leaving home|energy saving|night|day|vacation|breakfast|tv|gaming|meeting|nap|rainy day|story time|spa
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
SENSORS = tuple(
    """
temperature|humidity|air quality|carbon dioxide level|carbon monoxide level|air pressure|light level|noise level
water level|power usage|energy consumption|pollen level|dust level|moisture|pressure|battery level|radon level
""".replace("\n", "|")
    .strip("|")
    .split("|")
)


def likely(rng: random.Random, names: Sequence[str]) -> str:
    """One of the names; those at the head of a list, which people say most, come up far more often."""
    return names[int(len(names) * rng.random() ** 2.2)]


def room(rng: random.Random) -> str:
    """A room without its article; now and then somebody's ("anna's bedroom")."""
    if rng.random() < 0.06:
        return f"{rng.choice(PEOPLE_ROOMS)}'s {rng.choice(('room', 'bedroom', 'office', 'bathroom'))}"
    return likely(rng, ROOMS)


def owned(name: str) -> bool:
    return "'s " in name.split(" ", 2)[0] + " " and not name.startswith("children's")


def the(name: str) -> str:
    """`the kitchen`, but `anna's room`."""
    return name if owned(name) else f"the {name}"


def are(name: str) -> str:
    plural = name.endswith("s") and not name.endswith(("ss", "s's"))
    return "are" if plural else "is"


def spoken(text: str) -> str:
    """Heard text as an answer writes it: names, TV and LED in capitals."""
    words = []
    for word in text.split():
        stem = word.removesuffix("'s")
        upper = {"tv": "TV", "led": "LED", "christmas": "Christmas"}.get(word)
        words.append(upper or (word.capitalize() if stem in PEOPLE_ROOMS else word))
    return " ".join(words)
