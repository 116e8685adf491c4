"""Simple explanations: what things are, why and how, each in one or two sentences."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.phrases import asked, say
from models.recipes.corpus.relations import table

WEIGHT = 1.8

_THINGS = table(
    """
a volcano | A volcano is a mountain where melted rock comes out of the earth.
an earthquake | An earthquake is a shaking of the ground when pieces of the earth's crust move.
a rainbow | A rainbow appears when sunlight is split into colors by drops of rain.
a computer | A computer is a machine that follows instructions and works with data very fast.
the internet | The internet is a network that connects computers all over the world.
a robot | A robot is a machine that can do work by itself.
gravity | Gravity is the force that pulls things toward each other, and us toward the ground.
electricity | Electricity is the flow of tiny charged particles, and it powers our machines.
photosynthesis | Photosynthesis is how plants make sugar from light, water and air.
an atom | An atom is the smallest piece of an element.
a molecule | A molecule is a group of atoms that hold together.
a cell | A cell is the smallest living part of a plant or an animal.
a galaxy | A galaxy is a huge group of stars. Ours is called the Milky Way.
the milky way | The Milky Way is the galaxy we live in.
a black hole | A black hole is a place where gravity is so strong that not even light gets out.
a comet | A comet is a ball of ice and dust with a long tail near the sun.
the moon | The moon is a ball of rock that goes around the earth.
the sun | The sun is a star, a huge ball of hot gas that gives us light.
a star | A star is a huge ball of hot gas that shines.
an eclipse | An eclipse is when the moon or the earth blocks the light of the sun.
a desert | A desert is a place with very little rain.
an island | An island is land with water all around it.
a glacier | A glacier is a slow river of ice.
a river | A river is water that flows over land to a lake or the sea.
a tornado | A tornado is a fast spinning column of air.
a hurricane | A hurricane is a huge spinning storm over warm sea.
thunder | Thunder is the sound of lightning heating the air.
lightning | Lightning is a giant electric spark in the sky.
a cloud | A cloud is made of tiny drops of water or ice.
snow | Snow is frozen water that falls as small crystals.
fog | Fog is a cloud that touches the ground.
wind | Wind is moving air.
a magnet | A magnet is something that pulls on iron.
a dinosaur | Dinosaurs were reptiles that lived millions of years ago.
a fossil | A fossil is what is left of a living thing in old rock.
a democracy | In a democracy the people choose who governs.
money | Money is what people use to pay for things.
a bank | A bank keeps money and lends it.
a vaccine | A vaccine teaches the body to fight an illness.
a virus | A virus is a tiny thing that makes living cells copy it and can make us ill.
a vitamin | A vitamin is something the body needs a little of to stay healthy.
a wake word | A wake word is the word you say to get my attention.
a language model | A language model is a program that writes the next word again and again. I am a very small one.
artificial intelligence | Artificial intelligence is when machines do things that seem to need thinking.
a microphone | A microphone turns sound into an electric signal.
a battery | A battery stores energy and gives it back as electricity.
a telescope | A telescope makes far things look near.
a microscope | A microscope makes tiny things look big.
a library | A library is a place where you can borrow books.
a hospital | A hospital is a place where sick people are cared for.
a museum | A museum shows old or beautiful things.
an orchestra | An orchestra is a big group of musicians who play together.
a symphony | A symphony is a long piece of music for an orchestra.
a poem | A poem is a short text with rhythm and often rhymes.
a verb | A verb is a word for something you do, like run or sing.
a noun | A noun is a word for a person, a place or a thing.
an adjective | An adjective is a word that describes something, like red or big.
a triangle | A triangle is a shape with three sides.
a prime number | A prime number can only be divided by one and itself, like seven.
a fraction | A fraction is a part of a whole, like one half.
chess | Chess is a board game for two players with sixteen pieces each.
football | Football is a game where two teams try to get a ball into a goal.
jazz | Jazz is a kind of music where players make up parts as they play.
yoga | Yoga is exercise for the body and the mind, with slow moves and calm breathing.
coffee | Coffee is a drink made from roasted beans, and it keeps you awake.
tea | Tea is a drink made from leaves in hot water.
pizza | Pizza is flat bread from Italy, baked with tomato sauce and cheese.
bread | Bread is baked from flour, water, salt and yeast.
cheese | Cheese is made from milk.
christmas | Christmas is a holiday in December with lights, songs and presents.
a leap year | A leap year has one day more, February twenty ninth.
a decade | A decade is ten years.
a century | A century is one hundred years.
the equator | The equator is an imaginary line around the middle of the earth.
the north pole | The North Pole is the northern end of the earth, covered with sea ice.
the universe | The universe is everything there is, all space, stars and time.
dna | DNA is the long molecule that holds the plan of a living thing.
oxygen | Oxygen is the gas we breathe.
a parrot | A parrot is a colorful bird, and some can copy words.
a unicorn | A unicorn is a horse with one horn. It only lives in stories.
a dragon | A dragon is a big fire breathing animal. It only lives in stories.
""",
    2,
)
_WHY = table(
    """
is the sky blue | Because the air scatters blue light more than the other colors.
is the sunset red | Because the light takes a long way through the air, and mostly red is left.
is the sea salty | Because rivers carry salt from the rocks into it.
is grass green | Because of a green stuff called chlorophyll, which catches light.
do leaves fall in autumn | Because the tree saves water and energy for the winter.
does ice float | Because ice is lighter than the same amount of water.
do we sleep | Because body and brain need time to rest and repair.
do we dream | Nobody knows exactly. The brain may be sorting what happened.
do we yawn | Nobody knows for sure. It may help to cool and wake the brain.
do we need water | Because the body is mostly water and loses some all the time.
do birds fly south | Because they find more food where it is warm.
do cats purr | Often because they feel good, and sometimes to calm themselves.
do dogs wag their tails | To show how they feel. Often it means they are happy.
do bees make honey | To have food for the winter.
do we have seasons | Because the earth is tilted on its way around the sun.
is there day and night | Because the earth turns around itself once a day.
is the moon bright | Because it reflects the light of the sun.
do onions make us cry | Because cutting them sets free a gas that stings in the eyes.
do stars twinkle | Because their light passes through moving air.
does it rain | Because water in the clouds forms drops that get too heavy.
does popcorn pop | Because the water in it turns to steam and bursts the shell.
is fire hot | Because burning sets energy free as heat and light.
do we have leap years | Because a year is about six hours longer than three hundred sixty five days.
do things fall down | Because gravity pulls them to the earth.
do we have two ears | So that we can hear where a sound comes from.
are flamingos pink | Because of the food they eat.
do zebras have stripes | Probably to confuse flies.
did the dinosaurs die out | Most likely because a huge rock from space hit the earth.
do we sneeze | To clean the nose of dust.
does bread rise | Because yeast makes little bubbles of gas in the dough.
""",
    2,
)
_HOW = table(
    """
(does a plane fly\\do planes fly) | The wings push air down, and that lifts the plane.
(does a car work\\does a car engine work) | It burns fuel, or uses a battery, to turn the wheels.
(does a fridge work\\does a refrigerator work) | It carries heat from the inside to the outside.
does a microwave [oven] work | It shakes the water in the food with radio waves, and that makes heat.
does a light bulb work | Electricity makes a part of it glow.
does a telephone work | It turns your voice into signals and sends them to the other side.
does the heart work | It is a muscle that pumps blood through the body.
do fish breathe | With gills, which take oxygen from the water.
do plants drink | They take up water with their roots.
do bees make honey | They collect nectar and dry it in the hive.
do magnets work | Tiny magnets inside all point the same way and pull on iron.
does a compass work | Its needle is a magnet that lines up with the earth, pointing north.
does rain form | Water rises as vapor, cools in the clouds and falls as drops.
do you boil an egg | Put it in boiling water, seven minutes for soft and ten for hard.
do you make tea | Pour hot water on the leaves and wait about four minutes.
do you make coffee | Pour hot water over ground coffee, and let it drip through a filter.
do you cook pasta | Boil it in salted water for about ten minutes.
do you cook rice | Use two cups of water for one cup of rice, and simmer it until the water is gone.
do you work | I listen, turn your words into text, write an answer and speak it.
(do i interrupt you\\can i stop you\\do i stop you) | Just start to speak, and I'll stop.
(can i change your voice\\do i change your voice) | You can choose another voice in the settings.
""",
    2,
)


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        roll = rng.random()
        if roll < 0.6:
            thing, answer = rng.choice(_THINGS)
            ask = (
                "(what is|what's) {a}",
                "explain {a} [to me]",
                "tell me what {a} is",
                "(can you|please) explain {a} [to me]",
                "what do you know about {a}",
                "tell me [something] about {a}",
            )
            question = say(rng, ask, a=thing)
        elif roll < 0.85:
            what, answer = rng.choice(_WHY)
            question = say(rng, ("why {a}", "(do you know|tell me|explain) why {a}"), a=what)
        else:
            what, answer = rng.choice(_HOW)
            question = say(rng, "how " + what.replace("\\", "|"))
        yield talk(asked(rng, question), answer, key=(answer,))
