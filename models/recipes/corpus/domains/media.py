"""Music, radio, television, volume: what a media player behind the assistant would be told."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.domains import _home_words as w
from models.recipes.corpus.number_words import capital, words
from models.recipes.corpus.phrases import asked, heard, polite, say

WEIGHT = 2.5

ARTISTS = tuple(
    """
The Beatles|Queen|Madonna|Michael Jackson|Elvis Presley|Abba|Pink Floyd|Led Zeppelin|David Bowie|Bob Dylan|Prince
The Rolling Stones|Johnny Cash|Nirvana|Coldplay|Adele|Beyonce|Rihanna|Taylor Swift|Bob Marley|Frank Sinatra|Radiohead
Elton John|Stevie Wonder|Miles Davis|Louis Armstrong|Ella Fitzgerald|Nina Simone|Mozart|Bach|Beethoven|Chopin|Vivaldi
Metallica|Green Day|Daft Punk|Ed Sheeran|Lady Gaga|Katy Perry|Eminem|Drake|Bruno Mars|Billie Eilish|Fleetwood Mac
The Doors|The Beach Boys|Simon and Garfunkel|Dolly Parton|Willie Nelson|Bruce Springsteen|Tina Turner|Whitney Houston
Aretha Franklin|Ray Charles|Chuck Berry|Jimi Hendrix|Janis Joplin|Leonard Cohen|Joni Mitchell|Neil Young|Pearl Jam
The Police|Depeche Mode|The Cure|Genesis|Phil Collins|Santana|Shakira|Kraftwerk|Enya|Debussy|Brahms|Tchaikovsky|Handel
Black Sabbath|Iron Maiden|Deep Purple|Red Hot Chili Peppers|Foo Fighters|Linkin Park|Oasis|Blur|Norah Jones|Amy Winehouse
""".strip()
    .replace("\n", "|")
    .split("|")
)
SONGS = tuple(
    """
Yesterday|Let It Be|Hey Jude|Imagine|Bohemian Rhapsody|Dancing Queen|Purple Rain|Thriller|Billie Jean|Hotel California
Stairway to Heaven|Smells Like Teen Spirit|Wonderwall|Creep|Hallelujah|Jolene|Ring of Fire|My Way|Yellow Submarine
Here Comes the Sun|Come Together|Like a Virgin|Heroes|Space Oddity|Space Man|Rocket Man|Your Song|Superstition|Respect
What a Wonderful World|Summertime|Take Five|So What|Autumn Leaves|Happy Birthday|Jingle Bells|Silent Night|Hello
Rolling in the Deep|Viva la Vida|Yellow|Fix You|The Scientist|Shape of You|Perfect|Blank Space|Shake It Off|Umbrella
Single Ladies|Halo|Bad Guy|Get Lucky|One More Time|Enter Sandman|Paranoid|Africa|Take on Me|The Final Countdown|Jump
Every Breath You Take|Roxanne|Born to Run|Dreams|Landslide|Layla|Wish You Were Here|Money|Time|Comfortably Numb
Moonlight Sonata|The Four Seasons|Fur Elise|Clair de Lune|Ode to Joy|Swan Lake|The Magic Flute|Blue in Green|Lean on Me
""".strip()
    .replace("\n", "|")
    .split("|")
)
GENRES = tuple(
    """
jazz|rock|pop|classical|blues|country|hip hop|rap|techno|reggae|metal|folk|soul|disco|house|ambient|funk|punk|opera|indie
heavy metal|classical music|piano|christmas|dance|electronic|acoustic|smooth jazz|latin|salsa|kids|party|relaxing|calm
workout|sleep|meditation|study|dinner|morning|chill|romantic|happy|sad|eighties|nineties|seventies|sixties|oldies|summer
""".strip()
    .replace("\n", "|")
    .split("|")
)
STATIONS = (
    "radio|news radio|classic radio|jazz radio|rock radio|the news|local radio|the radio station|a podcast|sports radio|"
    "my podcast|the latest news|public radio|radio one|radio two|radio three|radio four|the morning show"
).split("|")
SOUNDS = (
    "rain sounds|white noise|ocean waves|bird song|forest sounds|thunderstorm sounds|whale songs|brown noise|"
    "nature sounds|a lullaby|an audiobook|my audiobook|a fairy tale|rain|sea sounds|fireplace sounds"
).split("|")
PLAYERS = (
    "tv|television|radio|speaker|speakers|stereo|music player|sound system|record player|soundbar|projector|media player"
).split("|")
LISTS = (
    "favorites|favourites|workout playlist|party playlist|dinner playlist|playlist|morning playlist|road trip playlist|"
    "liked songs|library|favorite songs|summer playlist|sleep playlist|running playlist|cooking playlist|albums"
).split("|")
FILMS = (
    "movie|film|show|series|cartoon|documentary|video|episode|comedy|news|football game|match|game|western|concert"
).split("|")
APPS = "netflix|youtube|spotify|disney plus|prime video|apple music|plex|kodi|amazon music|hulu".split("|")
APP_NAMES = {"youtube": "YouTube", "hulu": "Hulu"}


def _where(rng: random.Random) -> str:
    """ " in the kitchen", " on the tv", or nothing."""
    roll = rng.random()
    if roll < 0.6:
        return ""
    if roll < 0.85:
        return f" in {w.the(w.room(rng))}"
    return " " + rng.choice(
        (
            "everywhere",
            "on the tv",
            "on the speakers",
            "on the kitchen speaker",
            "on spotify",
            "upstairs",
            "on all speakers",
        )
    )


def play(rng: random.Random) -> Dialogue:
    artist, song, genre, where = rng.choice(ARTISTS), rng.choice(SONGS), rng.choice(GENRES), _where(rng)
    kind = rng.choices(
        ("artist", "song", "both", "genre", "music", "list", "station", "sound"), (5, 4, 3, 5, 4, 2, 2, 1.5)
    )[0]
    a, s, g = heard(artist), heard(song), genre
    if kind == "artist":
        command, what = (
            say(
                rng,
                "play {a}|play (something|songs|music|some music|a song|an album|the best songs) (by|from) {a}|play [some] {a} songs|i want to (hear|listen to) {a}|put on [some] {a}|listen to {a}",
                a=a,
            ),
            artist,
        )
    elif kind == "song":
        command, what = (
            say(
                rng,
                "play {s}|play the song {s}|i want to (hear|listen to) {s}|play the track {s}|put on {s}|play [me] {s}",
                s=s,
            ),
            song,
        )
    elif kind == "both":
        command, what = (
            say(
                rng,
                "play {s} (by|from) {a}|play the song {s} by {a}|i want to hear {s} by {a}|play {s} of {a}|put on {s} by {a}",
                s=s,
                a=a,
            ),
            f"{song} by {artist}",
        )
    elif kind == "genre":
        bare = g.removesuffix(" music")
        command, what = (
            say(
                rng,
                "play [some|a little] {g} [music]|play a {g} (song|playlist|album|station)|(put on|start) [some] {g} music|i (want|would like) to (hear|listen to) [some] {g} [music]|play (something|music) {g}|{g} music",
                g=bare,
            ),
            f"{bare} music",
        )
    elif kind == "music":
        command, what = (
            say(
                rng,
                "play [some|the|my] music|(start|put on) [some|the] music|play (a song|something|anything|something nice|something else|something new)|music|i want to (hear|listen to) [some] music|some music|play me a song|play my (favorite|favourite) (song|music|album|artist|band)",
            ),
            "some music",
        )
    elif kind == "list":
        chosen = rng.choice(LISTS)
        command, what = (
            say(rng, "(play|start|shuffle|put on) my {l}|shuffle [all songs in] my {l}", l=chosen),
            f"your {chosen}",
        )
    elif kind == "station":
        station = rng.choice(STATIONS)
        command, what = (
            say(
                rng,
                "(play|put on|start|turn on) {x}|listen to {x}|i want to (hear|listen to) {x}|tune (in|in to|to) {x}",
                x=station,
            ),
            station.replace("my ", "your "),
        )
    else:
        sound = rng.choice(SOUNDS)
        command, what = (
            say(
                rng,
                "play [some] {x}|play {x} [for sleeping]|i want to hear {x}|read me {x}"
                if "book" in sound or "tale" in sound
                else "play {x}|i want to hear {x}|put on {x}",
                x=sound,
            ),
            sound.replace("my ", "your "),
        )
    turns = [
        polite(rng, command + where) if command.startswith(("play", "put", "start")) else command + where,
        f"Okay, playing {what}.",
    ]
    if rng.random() < 0.3:
        turns += _follow(rng, what)
    return talk(*turns)  # fmt: skip


def _follow(rng: random.Random, what: str) -> list[str]:
    second = rng.choice(ARTISTS)
    rows = (
        ("(louder|a bit louder|turn it up|a little louder|make it louder)", "Okay, a bit louder."),
        ("(quieter|softer|a bit quieter|turn it down|not so loud|too loud)", "Okay, a bit quieter."),
        ("(stop|stop it|turn it off|stop the music|enough|that's enough)", "Okay, it has stopped."),
        ("(next|skip|next song|skip this|another one|i don't like this|not this one)", "Okay, here is the next one."),
        (
            "(what did i ask for|what is playing|what's playing|what is this|what are you playing)",
            "You asked for {w}.",
        ),
        ("(and then|no|no play|actually|after that|now) {a}", "Okay, playing {b}."),
        ("[and] (also|too) in {r}|and in {r} [too|as well]", "Okay, it plays in {r2} too."),
    )
    user, answer = rng.choice(rows)
    place = w.the(w.room(rng))
    return [say(rng, user, a=heard(second), r=place), say(rng, answer, w=what, b=second, r2=w.spoken(place))]


def transport(rng: random.Random) -> Dialogue:
    rows = (
        ("(pause|hold) [the|this] (music|song|tv|movie|video|player|podcast|radio|playback|show)|pause|pause (it|that|this)|pause [the] (tv|music){p}|pause the media", "Okay, paused."),
        ("(resume|continue|unpause) [the] (music|song|tv|movie|playback|video|show|podcast)|(resume|continue) [playing]|keep playing|go on playing|play again|play it again|unpause [it]|start playing again", "Okay, it goes on."),
        ("stop [the|this] (music|song|tv|movie|radio|playing|playback|video|noise)|stop playing|stop [the] music{p}|turn off the (music|radio)|no more music|be quiet|quiet please|(music|radio) off|mute|stop", "Okay, it has stopped."),
        ("(next|skip) [song|track|one|this song|this track|episode|video]|skip (this|it|to the next song|to the next track|ahead|the song|forward)|play the next (song|track|one|episode)|next (song|track) please|go to the next (song|track|chapter)|i don't like this song", "Okay, here is the next one."),
        ("(previous|last) (song|track|one|episode)|(go|skip) back [one song|to the last song]|play the (previous|last) (song|track|one|episode)|play that [song] again|repeat (this|that|the|the last) (song|track)|once more|start over|restart the (song|movie)|from the beginning", "Okay, again."),
        ("(rewind|go back|jump back|skip back) [by] {n} (seconds|minutes)|(fast forward|skip ahead|jump ahead|go forward|forward) [by] {n} (seconds|minutes)", "Okay, done."),
        ("(shuffle|turn on shuffle|shuffle on|turn shuffle on|shuffle off|repeat on|repeat off|turn off repeat|loop this song|repeat the album)|shuffle (the|my|these) (songs|playlist|music)", "Okay, done."),
        ("(what|which) song is (this|playing|that)|what('s| is) (playing|this song|this|the name of this song)|who (sings|is singing|plays|wrote) this [song]|who is this [by]|what are we listening to|what album is this|how old is this song", "I can't hear what is playing."),
        ("(like|save|love) this song|add this (song|track) to my (favorites|playlist|library)|i (like|love) this song|thumbs up|thumbs down|never play this [song] again", "Okay, I made a note of it."),
        ("set a sleep timer for {n} minutes|stop [playing|the music] (in|after) {n} minutes|turn off the tv in {n} minutes|stop after this song", "Okay, I'll do that."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    pattern = pattern.replace("what('s| is)", "(what's|what is)")
    text = say(rng, pattern, n=words(rng.choice((5, 10, 15, 20, 30, 45, 60, rng.randint(2, 90)))), p=_where(rng))
    return talk(asked(rng, text) if "can't hear" in answer else text, answer)


def volume(rng: random.Random) -> Dialogue:
    level = words(
        rng.choice((10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 100, rng.randint(1, 11), rng.randint(0, 100)))
    )
    device, where = rng.choice(PLAYERS), _where(rng)
    roll = rng.random()
    if roll < 0.45:
        command = say(
            rng,
            "(set|put|turn|change) [the] [{d}] volume to {n} [percent]|volume {n} [percent]|volume to {n} [percent]|set [the] volume [{p}] to {n} percent"
            "|set the volume of the {d} to {n} [percent]|turn the {d} [volume] (up|down) to {n} [percent]|(raise|lower|increase|decrease|reduce) the volume to {n} [percent]"
            "|volume at {n} [percent]|(turn up|turn down) the volume to {n}|volume level {n}",
            d=device, n=level, p=where,
        )  # fmt: skip
        turns = [command, f"Okay, the volume is at {level}{' percent' if 'percent' in command else ''}."]
        if rng.random() < 0.25:
            second = words(rng.randint(1, 100))
            turns += [
                say(rng, "(no|make it|actually|now|better) {n} [percent]", n=second),
                f"Okay, the volume is at {second}.",
            ]
        return talk(*turns)
    if roll < 0.7:
        command = say(
            rng,
            "(turn|crank) it up [a bit|a little]|[a bit|a little|much] louder [please]|turn up the (volume|music|tv|radio|sound|{d})|turn the (volume|music|tv|radio|sound|{d}) up"
            "|(increase|raise) the volume [{p}|by {n} percent]|volume up|(make it|play it) louder|i can't hear (it|anything|the tv|the music)|(make|turn) the (music|tv|{d}) louder|speak (up|louder)",
            d=device, n=level, p=where,
        )  # fmt: skip
        return talk(command, "Okay, a bit louder.")
    if roll < 0.93:
        command = say(
            rng,
            "turn it down [a bit|a little]|[a bit|a little|much] (quieter|softer) [please]|turn down the (volume|music|tv|radio|sound|{d})|turn the (volume|music|tv|radio|sound|{d}) down"
            "|(decrease|lower|reduce) the volume [{p}|by {n} percent]|volume down|make it (quieter|softer)|(it's|that's|it is) too loud|(make|turn) the (music|tv|{d}) (quieter|softer)|not so loud|speak (softer|quieter|more quietly)",
            d=device, n=level, p=where,
        )  # fmt: skip
        return talk(command, "Okay, a bit quieter.")
    off = rng.random() < 0.5
    command = say(
        rng,
        "{m} [the|the {d}|the tv|the sound|the music|the volume|everything|yourself]|turn the sound {s}",
        m="mute" if off else "unmute",
        d=device,
        s="off" if off else "on",
    )
    return talk(command, f"Okay, the sound is {'off' if off else 'on'}.")


def television(rng: random.Random) -> Dialogue:
    app, film, number = (
        rng.choice(APPS),
        rng.choice(FILMS),
        words(rng.choice((rng.randint(1, 20), rng.randint(1, 200)))),
    )
    source = rng.choice(
        (
            "hdmi one",
            "hdmi two",
            "hdmi three",
            "the radio",
            "bluetooth",
            "cable",
            "the game console",
            "the playstation",
            "the xbox",
            "the computer",
            "aux",
            "antenna",
        )
    )
    rows = (
        ("(open|start|launch|play|watch|put on|turn on|go to) {a} [on the tv|on the television]|i want to watch {a}", "Okay, opening {A}."),
        ("(change|switch|turn) [the tv|the channel] to channel {n}|channel {n}|(go|tune) to channel {n}|(set|put) the tv (to|on) channel {n}", "Okay, channel {n}."),
        ("(next|previous) channel|channel (up|down)|change the channel|switch the channel", "Okay, I'll try the next one."),
        ("(switch|change|set) [the tv] [input|source] to {s}|select {s}|(set|change) the (input|source) [of the tv] to {s}", "Okay, done."),
        ("(play|watch|start|put on) (a|the|some|my) {f} [on the tv|on netflix|on youtube]|i want to (watch|see) a {f}|let's watch (a|the) {f}|find me a {f}", "Okay, starting the {f}."),
        ("what's on tv [tonight]|what is on tv|what can i watch [tonight]", "I have no TV guide."),
        ("turn (on|off) the (subtitles|captions)|(subtitles|captions) (on|off)", "Okay, done."),
    )  # fmt: skip
    pattern, answer = rng.choice(rows)
    name = APP_NAMES.get(app, " ".join(capital(word) for word in app.split()))
    return talk(
        polite(rng, command)
        if (command := say(rng, pattern, a=app, n=number, s=source, f=film)).startswith(
            ("open", "start", "play", "change", "switch")
        )
        else command,
        say(rng, answer, A=name, n=number, f=film),
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    """Playing, transport, volume and television; endless."""
    while True:
        yield rng.choices((play, transport, volume, television), (4.0, 2.5, 2.0, 1.2))[0](rng)
