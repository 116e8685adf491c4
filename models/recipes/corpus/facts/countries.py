"""Countries: name as spoken after "of", capital, continent, currency, main language."""

from models.recipes.corpus.relations import table

COUNTRIES = table(
    """
France | Paris | Europe | the euro | French
Germany | Berlin | Europe | the euro | German
Italy | Rome | Europe | the euro | Italian
Spain | Madrid | Europe | the euro | Spanish
Portugal | Lisbon | Europe | the euro | Portuguese
Greece | Athens | Europe | the euro | Greek
Austria | Vienna | Europe | the euro | German
Belgium | Brussels | Europe | the euro | Dutch, French and German
the Netherlands | Amsterdam | Europe | the euro | Dutch
Luxembourg | Luxembourg City | Europe | the euro | Luxembourgish, French and German
Ireland | Dublin | Europe | the euro | English and Irish
Finland | Helsinki | Europe | the euro | Finnish
Estonia | Tallinn | Europe | the euro | Estonian
Latvia | Riga | Europe | the euro | Latvian
Lithuania | Vilnius | Europe | the euro | Lithuanian
Slovakia | Bratislava | Europe | the euro | Slovak
Slovenia | Ljubljana | Europe | the euro | Slovene
Croatia | Zagreb | Europe | the euro | Croatian
Malta | Valletta | Europe | the euro | Maltese and English
Sweden | Stockholm | Europe | the Swedish krona | Swedish
Norway | Oslo | Europe | the Norwegian krone | Norwegian
Denmark | Copenhagen | Europe | the Danish krone | Danish
Iceland | Reykjavik | Europe | the Icelandic krona | Icelandic
Poland | Warsaw | Europe | the zloty | Polish
Hungary | Budapest | Europe | the forint | Hungarian
Romania | Bucharest | Europe | the leu | Romanian
Switzerland | Bern | Europe | the Swiss franc | German, French, Italian and Romansh
England | London | Europe | the pound | English
Scotland | Edinburgh | Europe | the pound | English
Wales | Cardiff | Europe | the pound | English and Welsh
Great Britain | London | Europe | the pound | English
Serbia | Belgrade | Europe | the dinar | Serbian
Albania | Tirana | Europe | the lek | Albanian
Ukraine | Kyiv | Europe | the hryvnia | Ukrainian
Russia | Moscow | Europe and Asia | the ruble | Russian
Turkey | Ankara | Asia and Europe | the lira | Turkish
Japan | Tokyo | Asia | the yen | Japanese
China | Beijing | Asia | the yuan | Mandarin Chinese
India | New Delhi | Asia | the rupee | Hindi and English
Pakistan | Islamabad | Asia | the rupee | Urdu and English
Bangladesh | Dhaka | Asia | the taka | Bengali
Nepal | Kathmandu | Asia | the rupee | Nepali
Thailand | Bangkok | Asia | the baht | Thai
Vietnam | Hanoi | Asia | the dong | Vietnamese
Cambodia | Phnom Penh | Asia | the riel | Khmer
Laos | Vientiane | Asia | the kip | Lao
Malaysia | Kuala Lumpur | Asia | the ringgit | Malay
Indonesia | Jakarta | Asia | the rupiah | Indonesian
the Philippines | Manila | Asia | the peso | Filipino and English
South Korea | Seoul | Asia | the won | Korean
North Korea | Pyongyang | Asia | the won | Korean
Mongolia | Ulaanbaatar | Asia | the tugrik | Mongolian
Iran | Tehran | Asia | the rial | Persian
Iraq | Baghdad | Asia | the dinar | Arabic and Kurdish
Israel | Jerusalem | Asia | the shekel | Hebrew
Jordan | Amman | Asia | the dinar | Arabic
Lebanon | Beirut | Asia | the pound | Arabic
Saudi Arabia | Riyadh | Asia | the riyal | Arabic
Qatar | Doha | Asia | the riyal | Arabic
Afghanistan | Kabul | Asia | the afghani | Dari and Pashto
Egypt | Cairo | Africa | the pound | Arabic
Morocco | Rabat | Africa | the dirham | Arabic and Berber
Algeria | Algiers | Africa | the dinar | Arabic and Berber
Tunisia | Tunis | Africa | the dinar | Arabic
Libya | Tripoli | Africa | the dinar | Arabic
Ethiopia | Addis Ababa | Africa | the birr | Amharic
Kenya | Nairobi | Africa | the shilling | Swahili and English
Uganda | Kampala | Africa | the shilling | English and Swahili
Ghana | Accra | Africa | the cedi | English
Nigeria | Abuja | Africa | the naira | English
Senegal | Dakar | Africa | the franc | French
Zimbabwe | Harare | Africa | the dollar | English and Shona
Zambia | Lusaka | Africa | the kwacha | English
Namibia | Windhoek | Africa | the dollar | English
South Africa | Pretoria | Africa | the rand | English, Zulu and others
the United Arab Emirates | Abu Dhabi | Asia | the dirham | Arabic
Angola | Luanda | Africa | the kwanza | Portuguese
Rwanda | Kigali | Africa | the franc | Kinyarwanda
Canada | Ottawa | North America | the dollar | English and French
the United States | Washington | North America | the dollar | English
America | Washington | North America | the dollar | English
Mexico | Mexico City | North America | the peso | Spanish
Cuba | Havana | North America | the peso | Spanish
Jamaica | Kingston | North America | the dollar | English
Panama | Panama City | North America | the balboa | Spanish
Guatemala | Guatemala City | North America | the quetzal | Spanish
Costa Rica | San Jose | North America | the colon | Spanish
Brazil | Brasilia | South America | the real | Portuguese
Argentina | Buenos Aires | South America | the peso | Spanish
Chile | Santiago | South America | the peso | Spanish
Peru | Lima | South America | the sol | Spanish
Colombia | Bogota | South America | the peso | Spanish
Ecuador | Quito | South America | the dollar | Spanish
Venezuela | Caracas | South America | the bolivar | Spanish
Uruguay | Montevideo | South America | the peso | Spanish
Paraguay | Asuncion | South America | the guarani | Spanish and Guarani
Australia | Canberra | Oceania | the dollar | English
New Zealand | Wellington | Oceania | the dollar | English and Maori
Fiji | Suva | Oceania | the dollar | English and Fijian
""",
    5,
)

CITIES = table(
    """
Munich | Germany
Hamburg | Germany
Milan | Italy
Venice | Italy
Naples | Italy
Barcelona | Spain
Seville | Spain
Lyon | France
Marseille | France
Porto | Portugal
Salzburg | Austria
Zurich | Switzerland
Geneva | Switzerland
Krakow | Poland
Rotterdam | the Netherlands
Antwerp | Belgium
Manchester | England
Liverpool | England
Glasgow | Scotland
Istanbul | Turkey
Mumbai | India
Shanghai | China
Osaka | Japan
Kyoto | Japan
Sydney | Australia
Melbourne | Australia
Toronto | Canada
Montreal | Canada
Vancouver | Canada
New York | the United States
Chicago | the United States
Los Angeles | the United States
Boston | the United States
Rio de Janeiro | Brazil
Dubai | the United Arab Emirates
Marrakesh | Morocco
Cape Town | South Africa
Lagos | Nigeria
""",
    2,
)

LANDMARKS = table(
    """
the Eiffel Tower | Paris, in France
the Colosseum | Rome, in Italy
Big Ben | London, in England
the Statue of Liberty | New York
the Great Wall | China
the Taj Mahal | Agra, in India
the Pyramids | Giza, in Egypt
the Acropolis | Athens, in Greece
the Brandenburg Gate | Berlin, in Germany
the Golden Gate Bridge | San Francisco
the White House | Washington
the Louvre | Paris, in France
Mount Everest | the Himalayas, between Nepal and China
Mount Fuji | Japan
the Grand Canyon | Arizona, in the United States
Niagara Falls | the border of Canada and the United States
the Sahara | North Africa
the Amazon | South America
the Alps | Europe
Machu Picchu | Peru
""",
    2,
)

SUPERLATIVES = table(
    """
biggest ocean | The Pacific Ocean is the biggest ocean.
largest ocean | The Pacific Ocean is the largest ocean.
smallest ocean | The Arctic Ocean is the smallest ocean.
longest river | The Nile is usually called the longest river, with the Amazon close behind.
highest mountain | Mount Everest is the highest mountain.
tallest mountain | Mount Everest is the tallest mountain above sea level.
biggest country | Russia is the biggest country by area.
largest country | Russia is the largest country by area.
smallest country | Vatican City is the smallest country.
biggest continent | Asia is the biggest continent.
smallest continent | Australia is the smallest continent.
largest desert | Antarctica is the largest desert, and the Sahara is the largest hot one.
biggest island | Greenland is the biggest island.
largest lake | The Caspian Sea is the largest lake.
deepest lake | Lake Baikal in Russia is the deepest lake.
deepest ocean | The Pacific Ocean is the deepest.
coldest continent | Antarctica is the coldest continent.
hottest continent | Africa is the hottest continent.
""",
    2,
)
