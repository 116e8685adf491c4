"""Tables about space, elements, animals, bodies and food."""

from models.recipes.corpus.relations import table

PLANETS = table(
    """
Mercury | first | has no moons | small and rocky, and the closest to the sun
Venus | second | has no moons | the hottest planet, with thick clouds
Earth | third | has one moon | the only planet known to have life
Mars | fourth | has two moons | the red planet, dry and cold
Jupiter | fifth | has more than ninety moons | the biggest planet, a giant ball of gas
Saturn | sixth | has more than a hundred moons | a gas giant famous for its rings
Uranus | seventh | has about twenty eight moons | a cold giant that spins on its side
Neptune | eighth | has at least fourteen moons | a blue, windy giant far from the sun
""",
    4,
)

ELEMENTS = table(
    """
hydrogen | H | one | the lightest gas
helium | He | two | a light gas used in balloons
lithium | Li | three | a light metal used in batteries
beryllium | Be | four | a light, stiff metal
boron | B | five | a hard, dark solid
carbon | C | six | the element of coal, diamonds and all life
nitrogen | N | seven | a gas that makes up most of the air
oxygen | O | eight | the gas we breathe
fluorine | F | nine | a very reactive gas
neon | Ne | ten | a gas that glows in signs
sodium | Na | eleven | a soft metal that is part of salt
magnesium | Mg | twelve | a light metal that burns with a bright flame
aluminium | Al | thirteen | a light metal used for cans and planes
silicon | Si | fourteen | the element computer chips are made of
phosphorus | P | fifteen | an element found in bones and matches
sulfur | S | sixteen | a yellow solid with a strong smell when it burns
chlorine | Cl | seventeen | a green gas used to clean pools
argon | Ar | eighteen | a gas that hardly reacts with anything
potassium | K | nineteen | a soft metal that plants need
calcium | Ca | twenty | a metal that makes bones strong
titanium | Ti | twenty two | a strong, light metal
iron | Fe | twenty six | the metal that steel is made from
nickel | Ni | twenty eight | a shiny metal used in coins
copper | Cu | twenty nine | a reddish metal used for wires
zinc | Zn | thirty | a metal that protects steel from rust
silver | Ag | forty seven | a shiny metal used for jewelry
tin | Sn | fifty | a soft metal used to coat cans
iodine | I | fifty three | a dark solid that the body needs a little of
gold | Au | seventy nine | a soft yellow metal that never rusts
mercury | Hg | eighty | a metal that is liquid at room temperature
lead | Pb | eighty two | a soft, heavy and poisonous metal
uranium | U | ninety two | a heavy metal used in nuclear power
""",
    4,
)

ANIMALS = table(
    """
dog | puppy | four legs | woof | a mammal
cat | kitten | four legs | meow | a mammal
cow | calf | four legs | moo | a mammal
horse | foal | four legs | neigh | a mammal
sheep | lamb | four legs | baa | a mammal
pig | piglet | four legs | oink | a mammal
goat | kid | four legs | baa | a mammal
lion | cub | four legs | roar | a mammal
tiger | cub | four legs | roar | a mammal
bear | cub | four legs | growl | a mammal
wolf | pup | four legs | howl | a mammal
fox | kit | four legs | yip | a mammal
elephant | calf | four legs | trumpet | a mammal
deer | fawn | four legs | bellow | a mammal
kangaroo | joey | two strong back legs and two small front legs | chatter | a mammal
rabbit | kit | four legs | hardly any sound | a mammal
mouse | pup | four legs | squeak | a mammal
whale | calf | no legs | a long song | a mammal
dolphin | calf | no legs | click | a mammal
bat | pup | two legs and two wings | squeak | a mammal
chicken | chick | two legs | cluck | a bird
duck | duckling | two legs | quack | a bird
goose | gosling | two legs | honk | a bird
owl | owlet | two legs | hoot | a bird
swan | cygnet | two legs | hiss | a bird
penguin | chick | two legs | bray | a bird
eagle | eaglet | two legs | screech | a bird
frog | tadpole | four legs | croak | an amphibian
snake | snakelet | no legs | hiss | a reptile
turtle | hatchling | four legs | hardly any sound | a reptile
crocodile | hatchling | four legs | growl | a reptile
shark | pup | no legs | no sound | a fish
salmon | fry | no legs | no sound | a fish
bee | larva | six legs | buzz | an insect
ant | larva | six legs | no sound | an insect
butterfly | caterpillar | six legs | no sound | an insect
spider | spiderling | eight legs | no sound | an arachnid
octopus | larva | eight arms | no sound | a mollusk
""",
    5,
)

RECORDS = table(
    """
fastest animal | The peregrine falcon is the fastest animal, and the cheetah is the fastest on land.
fastest land animal | The cheetah is the fastest land animal.
biggest animal | The blue whale is the biggest animal that has ever lived.
largest animal | The blue whale is the largest animal that has ever lived.
tallest animal | The giraffe is the tallest animal.
biggest land animal | The African elephant is the biggest land animal.
biggest bird | The ostrich is the biggest bird.
smallest bird | The bee hummingbird is the smallest bird.
biggest cat | The tiger is the biggest cat.
slowest animal | The three-toed sloth is one of the slowest animals.
biggest fish | The whale shark is the biggest fish.
biggest planet | Jupiter is the biggest planet.
largest planet | Jupiter is the largest planet.
smallest planet | Mercury is the smallest planet.
hottest planet | Venus is the hottest planet.
coldest planet | Uranus and Neptune are the coldest planets.
closest planet to the sun | Mercury is the closest planet to the sun.
farthest planet from the sun | Neptune is the farthest planet from the sun.
nearest star | The sun is the nearest star.
hardest natural material | Diamond is the hardest natural material.
lightest element | Hydrogen is the lightest element.
biggest organ in the body | The skin is the biggest organ.
longest bone in the body | The thigh bone is the longest bone.
""",
    2,
)

PLAIN_FACTS = table(
    r"""
(how many bones [are there] in (the human body\|an adult)\|how many bones do (we\|people) have) | Two hundred six. That is for an adult.
(how many teeth (does an adult\|do adults\|do people) have) | Thirty two, counting the wisdom teeth.
(how far [away] is the moon) | About three hundred eighty four thousand kilometers.
(how far [away] is the sun) | About one hundred fifty million kilometers.
(how fast is light\|(what is\|what's) the speed of light) | About three hundred thousand kilometers per second.
(how fast is sound\|(what is\|what's) the speed of sound) | About three hundred forty meters per second in air.
((at what temperature\|when) does water boil\|(what is\|what's) the boiling point of water) | At one hundred degrees Celsius, at sea level.
((at what temperature\|when) does water freeze\|(what is\|what's) the freezing point of water) | At zero degrees Celsius.
(how many planets are there [in the solar system]) | Eight. Pluto is now called a dwarf planet.
(how many continents are there) | Seven.
(how many oceans are there) | Five.
(how many colors are there in [a\|the] rainbow\|how many colors does a rainbow have) | Seven.
((what are\|name) the colors of the rainbow) | Red, orange, yellow, green, blue, indigo and violet.
((what are\|name) the primary colors) | Red, yellow and blue.
((what are\|name) the planets [of the solar system]) | Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus and Neptune.
((what are\|name) the seven continents\|what are the continents) | Africa, Antarctica, Asia, Australia, Europe, North America and South America.
((what are\|name) the (five oceans\|oceans)) | The Pacific, the Atlantic, the Indian, the Southern and the Arctic Ocean.
(what do you get (when\|if) you mix (red and yellow\|yellow and red)) | Orange.
(what do you get (when\|if) you mix (blue and yellow\|yellow and blue)) | Green.
(what do you get (when\|if) you mix (red and blue\|blue and red)) | Purple.
((what is\|what's) water made of) | Hydrogen and oxygen.
((what is\|what's) the chemical formula (of\|for) water) | H two O.
((what is\|what's) the chemical formula (of\|for) salt) | N a C l. It is sodium chloride.
((what is\|what's) table salt made of) | Sodium and chlorine.
((what is\|what's) (bread\|flour) made (of\|from)) | Mostly from wheat.
((what is\|what's) cheese made (of\|from)) | From milk.
((what is\|what's) wine made (of\|from)) | From grapes.
((what is\|what's) paper made (of\|from)) | From wood.
((what is\|what's) glass made (of\|from)) | Mostly from sand.
((what is\|what's) chocolate made (of\|from)) | From cocoa beans, with sugar and often milk.
((what is\|what's) steel made (of\|from)) | From iron with a little carbon.
(where does honey come from\|who makes honey) | From bees. They make it from nectar.
(where does milk come from) | Mostly from cows.
(what do cows eat) | Mostly grass.
(what do (rabbits\|bunnies) eat) | Mostly grass, hay and leaves.
(what do pandas eat) | Almost only bamboo.
(what do lions eat) | Meat. They hunt animals such as zebras and antelopes.
(what do bees eat) | Nectar and pollen from flowers.
(how many legs do insects have) | Six.
(is a (tomato\|cucumber) a fruit) | Yes, to a botanist it is a fruit.
(is (a\|the) whale a fish) | No, a whale is a mammal.
(is the sun a (star\|planet)) | The sun is a star.
(is (the earth\|earth) flat) | No, the earth is round.
(can penguins fly) | No, but they are very good swimmers.
(how many hearts does an octopus have) | Three.
(how many legs does a spider have) | Eight.
(how old is the earth) | About four and a half billion years.
(how old is the universe) | About thirteen point eight billion years.
(how long is a marathon) | About forty two kilometers, or twenty six miles.
(how many players are (there in\|on) a (soccer\|football) team) | Eleven, in soccer.
(how many players are (there in\|on) a basketball team) | Five on the court.
(how many squares are there on a chess board\|how many squares does a chess board have) | Sixty four.
(how many cards are (there in\|in) a deck) | Fifty two, without the jokers.
(how many strings does a guitar have) | Usually six.
(how many strings does a violin have) | Four.
(how many keys does a piano have) | Eighty eight.
(how many sides does a triangle have) | Three.
(how many sides does a square have) | Four.
(how many sides does a pentagon have) | Five.
(how many sides does a hexagon have) | Six.
(how many sides does an octagon have) | Eight.
(how many letters are [there] in the alphabet) | Twenty six.
((what is\|what's) (pi\|the value of pi\|the number pi)) | About three point one four.
(who painted the mona lisa) | Leonardo da Vinci.
(who painted the starry night) | Vincent van Gogh.
(who wrote (romeo and juliet\|hamlet\|macbeth)) | William Shakespeare.
(who wrote harry potter) | J. K. Rowling.
(who wrote (pride and prejudice\|emma)) | Jane Austen.
(who wrote (oliver twist\|a christmas carol)) | Charles Dickens.
(who wrote the lord of the rings\|who wrote the hobbit) | J. R. R. Tolkien.
(who wrote (faust)) | Johann Wolfgang von Goethe.
(who wrote (the odyssey\|the iliad)) | Homer, as far as we know.
(who wrote (don quixote)) | Miguel de Cervantes.
(who discovered penicillin) | Alexander Fleming.
(who discovered gravity\|who found the laws of gravity) | Isaac Newton described it.
(who discovered radium) | Marie and Pierre Curie.
(who invented the telephone) | Alexander Graham Bell is usually named.
(who invented the light bulb) | Thomas Edison made the first practical one.
(who invented the printing press) | Johannes Gutenberg.
(who invented the world wide web\|who invented the web) | Tim Berners-Lee.
(who (came up with\|developed) the theory of relativity) | Albert Einstein.
(who (came up with\|developed) the theory of evolution) | Charles Darwin.
(who was albert einstein) | A physicist, famous for the theory of relativity.
(who was isaac newton) | An English scientist, famous for the laws of motion and gravity.
(who was marie curie) | A scientist who won two Nobel prizes for her work on radioactivity.
(who was charles darwin) | The naturalist who described evolution by natural selection.
(who was mozart) | A composer from Salzburg who wrote more than six hundred works.
(who was beethoven) | A German composer, famous for his nine symphonies.
(who was leonardo da vinci) | An Italian painter and inventor, who painted the Mona Lisa.
(who was cleopatra) | A queen of ancient Egypt.
(who was (julius caesar\|caesar)) | A Roman general and ruler.
(who was napoleon) | A French general who became emperor.
(who was alan turing) | A British mathematician and a founder of computer science.
(who was ada lovelace) | A mathematician often called the first programmer.
(who was the first (man\|person\|human) on the moon\|who first walked on the moon) | Neil Armstrong, in nineteen sixty nine.
(who was the first (man\|person\|human) in space) | Yuri Gagarin, in nineteen sixty one.
(who was the first president of the united states\|who was the first american president) | George Washington.
(when did (world war two\|the second world war) end) | In nineteen forty five.
(when did (world war two\|the second world war) (start\|begin)) | In nineteen thirty nine.
(when did (world war one\|the first world war) end) | In nineteen eighteen.
(when did (world war one\|the first world war) (start\|begin)) | In nineteen fourteen.
(when did the berlin wall fall) | In nineteen eighty nine.
(when was the (moon landing\|first moon landing)) | In nineteen sixty nine.
(when did columbus (reach\|sail to\|discover) america) | In fourteen ninety two.
(when did the titanic sink) | In nineteen twelve.
""".replace(r"\|", "\x00"),
    2,
)
PLAIN_FACTS = [(question.replace("\x00", "|"), answer) for question, answer in PLAIN_FACTS]
